"""Weights that are no numbers are refused before they play."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def check_finite(owner: str, weights: Mapping[str, Tensor]) -> None:
    """Raise ValueError, which names ``owner`` and the weight, where one of ``weights`` holds NaN or infinity."""
    for name, weight in weights.items():
        if weight.is_floating_point() and not weight.is_meta and not bool(torch.isfinite(weight).all()):
            raise ValueError(f"{owner} is damaged: {name} holds NaN or infinity; get it anew or train it again")
