"""What a base and its adapter weigh: numbers in memory, megabytes on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from musetune.hub.listing import folder_size
from musetune.symbols.json_values import JsonObject

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline

    from musetune.adapter import MusicAdapter


def base_sizes(pipe: DiffusionPipeline, folder: Path) -> dict[str, JsonObject]:
    """For each part of a plain base (no adapter attached) and their "total".

    Parameters, and mb of safetensors in ``folder``/part.
    """
    parts = {name: part for name, part in pipe.components.items() if isinstance(part, nn.Module)}
    sizes = {name: {"parameters": count(part), "mb": megabytes(folder / name)} for name, part in parts.items()}
    total = {key: round(sum(part[key] for part in sizes.values()), 3) for key in ("parameters", "mb")}
    return sizes | {"total": total}


def adapter_sizes(adapter: MusicAdapter, folder: Path, unet_parameters: int) -> JsonObject:
    """Return parameters and megabytes of an attached adapter with its LoRA, and its share of the U-Net."""
    own = sum(p.numel() for p in adapter.trainable_parameters())
    return {"parameters": own, "mb": megabytes(folder), "share_of_unet": round(own / unet_parameters, 4)}


def lora_sizes(folder: Path, unet_parameters: int) -> JsonObject:
    """Return parameters and megabytes of a genre LoRA's folder, and its share of the U-Net."""
    own, size = folder_size(folder)
    return {"parameters": own, "mb": size, "share_of_unet": round(own / unet_parameters, 4)}


def count(module: nn.Module) -> int:
    """How many numbers a module keeps.

    Parameters, and the buffers that nano's autoencoder is made of; shared ones once.
    """
    tensors = {id(t): t for t in (*module.parameters(), *_kept_buffers(module))}
    return sum(t.numel() for t in tensors.values() if t.is_floating_point())


def _kept_buffers(module: nn.Module) -> list:
    keys = module.state_dict().keys()
    return [buffer for name, buffer in module.named_buffers() if name in keys]


def megabytes(folder: Path) -> float:
    """Return the megabytes of the safetensors files in a folder."""
    return round(sum(file.stat().st_size for file in folder.rglob("*.safetensors")) / 1e6, 3)
