"""Weights that are no numbers, or might not be safetensors, are refused before they play."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor


def check_finite(owner: str, weights: Mapping[str, Tensor]) -> None:
    """Raise ValueError, which names ``owner`` and the weight, where one of ``weights`` holds NaN or infinity."""
    for name, weight in weights.items():
        if weight.is_floating_point() and not weight.is_meta and not bool(torch.isfinite(weight).all()):
            raise ValueError(f"{owner} is damaged: {name} holds NaN or infinity; get it anew or train it again")


def refuse_weight_indices(folder: str | Path) -> None:
    """Raise ValueError where ``folder`` holds an index of sharded weights, which may name a pickle."""
    for path in sorted(Path(folder).glob("*.index*.json")):
        raise ValueError(f"{path} is an index of weights; an adapter has one safetensors file: remove the index")
