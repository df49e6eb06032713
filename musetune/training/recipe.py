"""The training recipe that `musetune train` runs: recipes/finetune.py itself, of the checkout or of the wheel."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

PLACES = (Path(__file__).parents[1] / "_recipes", Path(__file__).parents[2] / "recipes")  # in a wheel, in a checkout
NAME = "musetune_recipe_finetune"


def recipes_folder() -> Path:
    """The folder that holds finetune.py and configs/genre.yaml.

    Raises:
        FileNotFoundError: MuseTune was installed without them.
    """
    for folder in PLACES:
        if (folder / "finetune.py").is_file():
            return folder
    raise FileNotFoundError("no finetune.py in " + " and ".join(map(str, PLACES)) + ": install MuseTune again")


def load_finetune() -> ModuleType:
    """The recipe as a module with `Config`, `load_config` and `train`, loaded once."""
    if NAME not in sys.modules:
        path = recipes_folder() / "finetune.py"
        spec = importlib.util.spec_from_file_location(NAME, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"{path} cannot be loaded as a module")
        module = importlib.util.module_from_spec(spec)
        sys.modules[NAME] = module  # dataclasses look their module up
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[NAME]
            raise
    return sys.modules[NAME]
