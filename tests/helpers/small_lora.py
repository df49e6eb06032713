"""LoRAs of random weights for any U-Net, as folders."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from musetune.adapter.lora import LoraDelta, plain_weights
from musetune.adapter.lora_files import Lora
from musetune.adapter.metadata import AdapterMetadata

ENDS = ("to_q.weight", "to_out.0.weight", "proj_in.weight", "conv1.weight")


def random_lora(
    unet: nn.Module, seed: int, rank: int = 2, scale: float = 1.0, metadata: AdapterMetadata | None = None
) -> Lora:
    """On some attentions, 1 × 1 and 3 × 3 convolutions; it does something."""
    drawn = torch.Generator().manual_seed(seed)
    parts = {}
    for name, weight in sorted(plain_weights(unet).items()):
        if name.endswith(ENDS):
            down = torch.randn(rank, *weight.shape[1:], generator=drawn) * 0.2
            up = torch.randn(weight.shape[0], rank, *(1,) * (weight.ndim - 2), generator=drawn) * 0.2
            parts[name.removesuffix(".weight")] = LoraDelta(down, up, scale)
    return Lora(parts, metadata)


def genre_folder(unet: nn.Module, folder: Path, seed: int, **about: str | None) -> Path:
    """A genre adapter as recipes/finetune.py leaves it, called as its folder."""
    about = {"genre": folder.name, "theory": "theory"} | about
    random_lora(unet, seed, metadata=AdapterMetadata.of(unet, "lora", folder.name, "tiny", **about)).write(folder)
    (folder / "training.json").write_text("{}")
    return folder
