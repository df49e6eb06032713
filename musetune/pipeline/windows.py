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


def circular_starts(rows: int, size: int) -> list[int]:
    """First rows of windows of ``size`` ≤ ``rows`` that cover a circle of ``rows``, each row at least twice."""
    count = max(2, -(-2 * rows // size))
    return [index * rows // count for index in range(count)]


def blend(
    latents: Tensor, size: int, hop: int, denoise: Callable[[Tensor, int], Tensor], circular: bool = False
) -> Tensor:
    """Predict every window of ``latents`` (B, C, rows, cols) and average where they overlap, weights falling towards
    window ends.

    ``denoise(window, index)`` predicts one window (B, C, ≤ size, cols). ``circular``: the last row is followed by the
    first, and windows lie across that seam as across any other place.
    """
    if circular:
        return _blend_circle(latents, min(size, latents.shape[2]), denoise)
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


def _blend_circle(latents: Tensor, size: int, denoise: Callable[[Tensor, int], Tensor]) -> Tensor:
    rows = latents.shape[2]
    ramp = torch.arange(1, size + 1, device=latents.device, dtype=latents.dtype)
    weight = torch.minimum(ramp, ramp.flip(0))[None, None, :, None]
    total, weights = torch.zeros_like(latents), torch.zeros_like(latents[:1, :1, :, :1])
    for index, start in enumerate(circular_starts(rows, size)):
        span = (start + torch.arange(size, device=latents.device)) % rows
        total[:, :, span] += weight * denoise(latents[:, :, span], index)
        weights[:, :, span] += weight
    return total / weights
