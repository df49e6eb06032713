"""What a run leaves behind: the adapter's folder and the story of how it came about."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from diffusers.training_utils import EMAModel
from torch import nn

import musetune
from musetune.adapter import MusicAdapter, lora


def versions() -> dict[str, str]:
    """Of all that a result depends on."""
    libraries = ("torch", "diffusers", "transformers", "accelerate", "peft")
    return {"musetune": musetune.__version__, "python": platform.python_version()} | {p: version(p) for p in libraries}


@contextmanager
def averaged(params: list[nn.Parameter], ema: EMAModel | None) -> Iterator[None]:
    """Inside, `params` hold their moving averages (where there are any); after it, what they held before."""
    if ema is None:
        yield
        return
    ema.store(params)
    ema.copy_to(params)
    try:
        yield
    finally:
        ema.restore(params)


def save_adapter(adapter: MusicAdapter, folder: Path, story: dict[str, Any]) -> Path:
    """Write the adapter as the Hub holds it, with its `training.json`."""
    adapter.save_pretrained(folder)
    save_story(folder, story)
    return folder


def save_lora(unet: nn.Module, name: str, folder: Path, story: dict[str, Any]) -> Path:
    """Write the LoRA ``name`` of ``unet`` in peft's format, with its `training.json`."""
    lora.save(lora.state(unet, name), unet.peft_config[name], folder)  # type: ignore[index]
    save_story(folder, story)
    return folder


def save_story(folder: Path, story: dict[str, Any]) -> None:
    """Write `training.json`: settings, data, versions; of paths only the names."""
    (folder / "training.json").write_text(json.dumps(_without_folders(story) | {"versions": versions()}, indent=2))


def _without_folders(value: Any) -> Any:
    """The same without the folders in which files lay: they tell of a machine, not of the training."""
    if isinstance(value, dict):
        return {k: _without_folders(v) for k, v in value.items()}
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
