"""What the analyser's networks are trained to make small."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def chord_loss(net: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
    """Cross-entropy of chord, bass (half weight) and key (a fifth)."""
    notes, level, target = batch
    with torch.autocast("cpu", torch.bfloat16):
        out = net(notes.float(), level.float())
    weights = (1.0, 0.5, 0.2)
    each = [
        F.cross_entropy(logits.float().transpose(1, 2), truth, label_smoothing=0.02)
        for logits, truth in zip(out, target)
    ]
    return sum(w * value for w, value in zip(weights, each))  # type: ignore[return-value]


def beat_loss(net: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
    """Binary cross-entropy, beats weighing three times and bar lines six times as much as the frames between.

    A quarter of the cross-entropy of the meter at each frame.
    """
    x, target, mask, meter = batch
    with torch.autocast("cpu", torch.bfloat16):
        beat, kind = net(x)
    each = F.binary_cross_entropy_with_logits(
        beat.float(), target, pos_weight=torch.tensor([3.0, 6.0]), reduction="none"
    )
    of_meter = F.cross_entropy(kind.float().transpose(1, 2), meter[:, None].expand(-1, x.shape[1]), reduction="none")
    return ((each.sum(2) + 0.25 * of_meter) * mask).sum() / mask.sum()
