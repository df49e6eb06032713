"""What a run leaves behind: the adapter's folder, and the run info that says how it came about."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from musetune.adapter import MusicAdapter
from musetune.adapter.lora_files import from_unet
from musetune.adapter.metadata import AdapterMetadata, read_adapter_metadata, short_name
from musetune.datasets.latent_dataset import LatentDataset
from musetune.datasets.versions import library_versions
from musetune.symbols.json_values import JsonObject


@contextmanager
def with_averages(params: Sequence[nn.Parameter], averages: Sequence[Tensor] | None) -> Iterator[None]:
    """Inside, `params` hold their moving averages; after it, what they held before.

    Args:
        params: The trained parameters.
        averages: Their moving averages in the same order; None changes nothing.
    """
    if averages is None:
        yield
        return
    before = [p.detach().clone() for p in params]
    with torch.no_grad():
        for p, average in zip(params, averages, strict=True):
            p.copy_(average)
    try:
        yield
    finally:
        with torch.no_grad():
            for p, value in zip(params, before, strict=True):
                p.copy_(value)


def save_adapter(adapter: MusicAdapter, folder: Path, run_info: Mapping[str, Any]) -> Path:
    """Write an attached adapter as the Hub holds it, with `training.json` and `musetune.json`.

    Args:
        adapter: On its U-Net.
        folder: Made where it is missing.
        run_info: `config`, `data`, `step`: how it came about.

    Returns:
        The folder.
    """
    adapter.metadata = describe_adapter(adapter.unet, "theory", folder, run_info)
    adapter.save_pretrained(folder)
    save_run_info(folder, run_info)
    return folder


def save_lora(unet: nn.Module, name: str, folder: Path, run_info: Mapping[str, Any]) -> Path:
    """Write one LoRA of a U-Net in peft's format, with its `training.json` and `musetune.json`.

    Args:
        unet: Holds the LoRA.
        name: The LoRA's in `unet`.
        folder: Made where it is missing.
        run_info: `config`, `data`, `step`: how it came about.

    Returns:
        The folder.
    """
    from_unet(unet, name, describe_adapter(unet, "lora", folder, run_info)).write(folder)
    save_run_info(folder, run_info)
    return folder


def describe_adapter(unet: nn.Module, kind: str, folder: Path, run_info: Mapping[str, Any]) -> AdapterMetadata:
    """Metadata for a fresh adapter, for the base and the theory adapter that its config names; it is called as the
    config says, else as its genre, else as its run.
    """
    config: JsonObject = run_info.get("config", {})
    genre, theory = config.get("genre"), config.get("theory_adapter")
    name = config.get("name") or genre or short_name(Path(config.get("output_dir", folder)).resolve())
    base = short_name(config.get("pretrained_model_name_or_path", "unknown"))
    if theory is not None:
        metadata = read_adapter_metadata(theory) if Path(theory).is_dir() else None
        theory = short_name(theory) if metadata is None else metadata.name
    return AdapterMetadata.of(unet, kind, name, base, genre=genre, theory=theory)


def describe_music(data: LatentDataset, licence: str | None = None) -> JsonObject:
    """What was trained on, for `training.json` and the card.

    Args:
        data: The clips that were trained on.
        licence: Of the music where a clip does not say; None: unknown.

    Returns:
        `clips`, transposed ones too; `songs`; `minutes` of music, transposed copies not counted; `licences`: those of
        the songs, most frequent first, "unknown" among them.
    """
    songs = {clip.file: clip.licence or licence or "unknown" for clip in data.clips}
    seconds = sum(clip.duration_s for clip in data.clips if not clip.transpose)
    return {
        "clips": len(data),
        "songs": len(songs),
        "minutes": round(seconds / 60, 1),
        "licences": [name for name, _ in Counter(songs.values()).most_common()],
    }


def save_run_info(folder: Path, run_info: Mapping[str, Any]) -> None:
    """Write `training.json`: settings, data, versions; of paths only the names."""
    content = _without_folders(dict(run_info)) | {"versions": library_versions()}
    (folder / "training.json").write_text(json.dumps(content, indent=2), encoding="utf-8")


def _without_folders(value: Any) -> Any:
    """The value with paths cut to their last part: where files lay tells of a machine, not of the training."""
    if isinstance(value, dict):
        return {k: _without_folders(v) for k, v in value.items()}
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
