"""Means with 95 % bootstrap intervals (Efron 1979, percentile method): clips are drawn again with replacement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mean:
    """A mean over ``n`` clips and the interval that holds 95 % of its bootstrap replicates."""

    mean: float
    low: float
    high: float
    n: int


def bootstrap_mean(values: Sequence[float | None], *, replicates: int = 10_000, seed: int = 0) -> Mean | None:
    """The mean of ``values`` and its 95 % interval; None entries (quantity undefined for a clip) are left out.

    Returns None where nothing is left. Raises ValueError for values that are not finite.
    """
    scores = np.array([value for value in values if value is not None], dtype=float)
    if not len(scores):
        return None
    if not np.isfinite(scores).all():
        raise ValueError(
            f"values must be finite, got {scores[~np.isfinite(scores)][0]}; give None for what is undefined"
        )
    draws = np.random.default_rng(seed).integers(0, len(scores), (replicates, len(scores)))
    low, high = np.percentile(scores[draws].mean(axis=1), [2.5, 97.5])
    return Mean(float(scores.mean()), float(low), float(high), len(scores))


def reachable_share(floor: np.ndarray, score: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """(score − floor) / (ceiling − floor), the share of what is reachable, of arrays (n,); NaN where the ceiling is not
    above the floor.
    """
    reach = ceiling - floor
    return np.divide(score - floor, reach, out=np.full(np.shape(reach), np.nan), where=reach > 0)


def cell(mean: Mean | None) -> str:
    """Write "85.1 (79–90)" of 0…1; a dash where there is nothing."""
    return "—" if mean is None else f"{100 * mean.mean:.1f} ({100 * mean.low:.0f}–{100 * mean.high:.0f})"
