"""Long audio from a model of fixed length: overlapping windows denoised jointly (MultiDiffusion, arXiv 2302.08113)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def window_starts(rows: int, size: int, hop: int) -> list[int]:
    """First rows of windows of ``size`` rows that cover ``rows``; the last one ends exactly at the end."""
    if not 0 < hop <= size:
        raise ValueError(f"hop={hop} is outside 1–{size}, the window's size")
    if rows <= size:
        return [0]
    starts = list(range(0, rows - size, hop))
    return [*starts, rows - size]


def blend(latents: Tensor, size: int, hop: int, denoise: Callable[[Tensor, int], Tensor]) -> Tensor:
    """Predict every window of ``latents`` (B, C, rows, cols) and average where they overlap, weights falling towards
    window ends.

    ``denoise(window, index)`` predicts one window (B, C, ≤ size, cols).
    """
    rows = latents.shape[2]
    starts = window_starts(rows, size, hop)
    if len(starts) == 1:
        return denoise(latents, 0)
    ramp = torch.arange(1, size + 1, device=latents.device, dtype=latents.dtype)
    weight = torch.minimum(ramp, ramp.flip(0))[None, None, :, None]
    total, weights = torch.zeros_like(latents), torch.zeros_like(latents[:1, :1, :, :1])
    for index, start in enumerate(starts):
        span = slice(start, start + size)
        total[:, :, span] += weight * denoise(latents[:, :, span], index)
        weights[:, :, span] += weight
    return total / weights
