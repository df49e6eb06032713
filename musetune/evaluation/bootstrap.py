"""Means with 95 % bootstrap intervals (Efron 1979, percentile method): clips are drawn again with replacement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mean:
    """A mean over clips and the interval that holds 95 % of its bootstrap replicates.

    Attributes:
        mean: The mean.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n: How many clips it is over.

    Example:
        >>> Mean(0.8, 0.7, 0.9, 40).n
        40
    """

    mean: float
    low: float
    high: float
    n: int


def bootstrap_mean(values: Sequence[float | None], *, replicates: int = 10_000, seed: int = 0) -> Mean | None:
    """Average clips' scores, with a 95 % interval by the percentile bootstrap (Efron 1979).

    Args:
        values: A number for each clip; None, where the quantity is undefined, is left out.
        replicates: How often clips are drawn again, with replacement.
        seed: Of the drawing; an equal seed gives an equal interval.

    Returns:
        The mean and its interval; None where nothing is left.

    Raises:
        ValueError: A value is not finite.

    Example:
        >>> bootstrap_mean([0.5, None, 0.5])
        Mean(mean=0.5, low=0.5, high=0.5, n=2)
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


def bootstrap_ratio(
    after: Sequence[float], before: Sequence[float], *, replicates: int = 10_000, seed: int = 0
) -> Mean:
    """Ratio of two means over the same clips, with its 95 % interval: clips are drawn again in pairs.

    Args:
        after: A number for each clip, finite.
        before: Of the same clips, at least 0. Where all are 0, so that there is no ratio, it counts as 1.
        replicates: How often clips are drawn again, with replacement.
        seed: Of the drawing; an equal seed gives an equal interval.

    Raises:
        ValueError: There are none, or not as many of one as of the other.

    Example:
        >>> bootstrap_ratio([1.0, 3.0], [2.0, 6.0])
        Mean(mean=0.5, low=0.5, high=0.5, n=2)
    """
    if len(after) != len(before) or not len(before):
        raise ValueError(f"{len(after)} and {len(before)} values are no pairs")
    pairs = np.stack([np.asarray(after, dtype=float), np.asarray(before, dtype=float)])
    draws = np.random.default_rng(seed).integers(0, len(before), (replicates, len(before)))
    tops, bottoms = pairs[:, draws].mean(axis=2)
    ratios = np.divide(tops, bottoms, out=np.ones_like(tops), where=bottoms > 0)
    low, high = np.percentile(ratios, [2.5, 97.5])
    top, bottom = pairs.mean(axis=1)
    return Mean(float(top / bottom) if bottom > 0 else 1.0, float(low), float(high), len(before))


def reachable_share(floor: np.ndarray, score: np.ndarray, ceiling: np.ndarray) -> np.ndarray:
    """Say where scores stand between a floor and a ceiling: (score − floor) / (ceiling − floor).

    Args:
        floor: What is reached without, (n,).
        score: What is reached, (n,).
        ceiling: What can be reached at most, (n,).

    Returns:
        The shares (n,): 0 at the floor, 1 at the ceiling; NaN where the ceiling is not above the floor.

    Example:
        >>> reachable_share(np.array([0.2]), np.array([0.5]), np.array([0.8])).round(3).tolist()
        [0.5]
    """
    reach = ceiling - floor
    return np.divide(score - floor, reach, out=np.full(np.shape(reach), np.nan), where=reach > 0)


def cell(mean: Mean | None) -> str:
    """Write "85.1 (79–90)" of 0…1; a dash where there is nothing."""
    return "—" if mean is None else f"{100 * mean.mean:.1f} ({100 * mean.low:.0f}–{100 * mean.high:.0f})"
