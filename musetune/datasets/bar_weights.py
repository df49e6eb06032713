"""What the confidence of a clip's bars means for training: how much each latent row counts, and which clips go in."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MIN_CONFIDENCE = 0.5  # by benchmarks/bar_confidence.py: see docs/results/analysis.md
SURE_SHARE = 0.5  # of a clip's time in bars of at least the minimum; clips with less are left out

Bars = Sequence[Sequence[float]]  # (start_s, end_s, confidence) of each bar of a clip, from the clip's start


def check_confidence(min_confidence: float) -> float:
    """Return `min_confidence`. Raises ValueError outside 0…1."""
    if not 0 <= min_confidence <= 1:
        raise ValueError(f"min_confidence={min_confidence} is outside 0…1: 0 trusts every bar, 0.5 is the default")
    return min_confidence


def sure_share(bars: Bars, min_confidence: float) -> float:
    """Share of a clip's time that lies in bars of at least a confidence.

    Args:
        bars: (start_s, end_s, confidence) of each.
        min_confidence: 0…1.

    Returns:
        0…1; 1 where there are no bars.

    Example:
        >>> sure_share([(0.0, 2.0, 0.9), (2.0, 4.0, 0.3)], 0.5)
        0.5
    """
    seconds = sum(end - start for start, end, _ in bars)
    sure = sum(end - start for start, end, confidence in bars if confidence >= min_confidence)
    return sure / seconds if seconds > 0 else 1.0


def row_weights(clips: Sequence[Bars | None], rows: int, row_s: float, min_confidence: float) -> Tensor | None:
    """How much each latent row of each clip counts in the loss.

    A row counts 1 in a bar of at least `min_confidence`, and in a less sure one its confidence over that; what lies
    outside every bar counts as the nearest bar does.

    Args:
        clips: The bars of each clip, (start_s, end_s, confidence); None: all are trusted.
        rows: Latent rows of a clip.
        row_s: Seconds of a row.
        min_confidence: 0…1; 0 trusts every bar.

    Returns:
        (clips, rows) in 0…1; None where every row counts fully.

    Raises:
        ValueError: `min_confidence` is outside 0…1.

    Example:
        >>> row_weights([[(0.0, 2.0, 0.9), (2.0, 4.0, 0.25)], None], rows=4, row_s=1.0, min_confidence=0.5)
        tensor([[1.0000, 1.0000, 0.5000, 0.5000],
                [1.0000, 1.0000, 1.0000, 1.0000]])
    """
    check_confidence(min_confidence)
    weights = torch.ones(len(clips), rows)
    middle = (torch.arange(rows, dtype=torch.float64) + 0.5) * row_s
    for i, bars in enumerate(clips):
        if bars and min_confidence > 0:
            starts, _, confidence = torch.tensor(bars, dtype=torch.float64).T
            bar = (torch.searchsorted(starts.contiguous(), middle, right=True) - 1).clamp(min=0)
            weights[i] = (confidence[bar] / min_confidence).clamp(max=1).float()
    return None if bool((weights == 1).all()) else weights
