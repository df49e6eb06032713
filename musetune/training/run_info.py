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
from musetune.adapter import MusicAdapter
from musetune.adapter.lora_files import from_unet
from musetune.adapter.metadata import AdapterMetadata, read_adapter_metadata, short_name


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
    """Write the attached adapter as the Hub holds it, with `training.json` and `musetune.json`."""
    adapter.card = card_of(adapter.unet, "theory", folder, story)
    adapter.save_pretrained(folder)
    save_run_info(folder, story)
    return folder


def save_lora(unet: nn.Module, name: str, folder: Path, story: dict[str, Any]) -> Path:
    """Write the LoRA ``name`` of ``unet`` in peft's format, with its `training.json` and `musetune.json`."""
    from_unet(unet, name, card_of(unet, "lora", folder, story)).write(folder)
    save_run_info(folder, story)
    return folder


def card_of(unet: nn.Module, kind: str, folder: Path, story: dict[str, Any]) -> AdapterMetadata:
    """Of a fresh adapter: called as its genre, else as its run; for the base and on the theory adapter that ``story``'s config names."""
    config: dict[str, Any] = story.get("config", {})
    genre, theory = config.get("genre"), config.get("theory_adapter")
    name = genre or short_name(Path(config.get("output_dir", folder)).resolve())
    base = short_name(config.get("pretrained_model_name_or_path", "unknown"))
    if theory is not None:
        known = read_adapter_metadata(theory) if Path(theory).is_dir() else None
        theory = short_name(theory) if known is None else known.name
    return AdapterMetadata.of(unet, kind, name, base, genre=genre, theory=theory)


def save_run_info(folder: Path, story: dict[str, Any]) -> None:
    """Write `training.json`: settings, data, versions; of paths only the names."""
    (folder / "training.json").write_text(json.dumps(_without_folders(story) | {"versions": versions()}, indent=2))


def _without_folders(value: Any) -> Any:
    """The same without the folders in which files lay: they tell of a machine, not of the training."""
    if isinstance(value, dict):
        return {k: _without_folders(v) for k, v in value.items()}
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
