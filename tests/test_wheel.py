"""What a user gets: the wheel carries the base, the adapters, the test sheets and the types."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
TRAINING = {"musetune/_recipes/finetune.py", "musetune/_recipes/configs/genre.yaml"}  # what `musetune train` runs


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="the wheel is built with hatchling, of the extra dev")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return next(folder.glob("musetune-*.whl"))


@pytest.mark.slow
def test_wheel_holds_everything_and_little_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    there = {
        "musetune/py.typed",
        "musetune/models/bases/nano/model_index.json",
        "musetune/models/upsampler/weights/config.json",
        "musetune/models/upsampler/weights/diffusion_pytorch_model.safetensors",
        "musetune/_adapters/theory/config.json",
        "musetune/_adapters/theory/diffusion_pytorch_model.safetensors",
        "musetune/_adapters/theory/lora/adapter_model.safetensors",
        "musetune/_adapters/jazz/adapter_model.safetensors",
        "musetune/_adapters/jazz/musetune.json",
        "musetune/serve/page.css",
        "musetune/serve/page.js",
        "musetune/serve/edit.css",
        "musetune/serve/edit.js",
        "musetune/serve/live.css",
        "musetune/serve/live.js",
        "musetune/serve/live_board.js",
        "musetune/serve/pads.css",
        "musetune/serve/pads.js",
        "musetune/serve/synth.js",
        "musetune/serve/song.css",
        "musetune/serve/song.js",
        "musetune/datasets/prepare.py",
        "musetune/suites/obedience.py",
        *TRAINING,
    }
    assert there <= names, there - names
    assert sum(name.startswith("musetune/evaluation/sheets/") for name in names) >= 24
    assert {name for name in names if name.startswith("musetune/_recipes")} == TRAINING
    assert not [name for name in names if "__pycache__" in name or name.startswith(("tests", "recipes"))]
    assert wheel.stat().st_size < 75e6


@pytest.mark.slow
def test_wheel_runs_by_itself(wheel: Path, tmp_path: Path) -> None:
    """Unpacked away from the repository it finds its base and its adapters, and its commands run."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    code = (
        "import musetune; from musetune.hub.locate import find_adapter, find_base; "
        "from musetune.training.recipe import load_finetune; "
        "print(musetune.__file__, find_base('nano'), find_adapter('theory'), load_finetune().__file__)"
    )
    environment = {"PYTHONPATH": str(tmp_path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert all(part.startswith(str(tmp_path)) for part in done.stdout.split())
    helped = subprocess.run(
        [sys.executable, "-m", "musetune.cli", "prepare", "--help"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert helped.returncode == 0, helped.stderr
    assert "--base" in helped.stdout
