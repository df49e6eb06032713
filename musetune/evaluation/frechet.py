"""Change of a Fréchet distance from one policy to another, with its interval: requests are drawn again in pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from musetune.evaluation.audio_similarity import gaussian_distance
from musetune.evaluation.bootstrap import Mean

POINTS_A_DIMENSION = 10  # of each set: with fewer, a covariance is mostly noise


@dataclass(frozen=True)
class FrechetChange:
    """Distances before and after, and the rise as a share of before with its 95 % interval.

    Attributes:
        before: Of all clips of the first policy.
        after: Of all clips of the second one.
        rise: after / before − 1.
    """

    before: float
    after: float
    rise: Mean


def frechet_change(
    before: Sequence[np.ndarray],
    after: Sequence[np.ndarray],
    real: Sequence[np.ndarray],
    *,
    components: int | None = None,
    points_a_dimension: int = POINTS_A_DIMENSION,
    replicates: int = 500,
    seed: int = 0,
) -> FrechetChange | None:
    """How much farther the second policy's clips are from real ones than the first's.

    Args:
        before: Embeddings (n, d) of each request's clips by the first policy.
        after: By the second one, of the same requests.
        real: Of real clips of the same requests.
        components: Distances are taken in so many of the real clips' principal components; None: in all dimensions.
        points_a_dimension: Least size of each set, for each dimension of the embedding.
        replicates: How often requests are drawn again, with replacement: the same ones for all three.
        seed: Of the drawing.

    Returns:
        The change; None where a set has fewer points than that, or the distance before is zero.

    Raises:
        ValueError: The numbers of requests differ.
    """
    if not len(before) == len(after) == len(real):
        raise ValueError(f"{len(before)}, {len(after)} and {len(real)} requests are not the same ones")
    if not len(real):
        return None
    sets = [[np.asarray(points, dtype=float) for points in clips] for clips in (before, after, real)]
    if components is not None:
        whole = np.concatenate(sets[2])
        centre = whole.mean(axis=0)
        axes = np.linalg.svd(whole - centre, full_matrices=False)[2][:components].T
        sets = [[(points - centre) @ axes for points in clips] for clips in sets]
    dimensions = sets[0][0].shape[1]
    if min(sum(map(len, clips)) for clips in sets) < points_a_dimension * dimensions:
        return None
    sums = [_Sums(clips) for clips in sets]
    ones = np.ones(len(real))
    first, second = (gaussian_distance(*part.gaussian(ones), *sums[2].gaussian(ones)) for part in sums[:2])
    if first <= 0:
        return None
    rng, rises = np.random.default_rng(seed), []
    for _ in range(replicates):
        counts = np.bincount(rng.integers(0, len(real), len(real)), minlength=len(real)).astype(float)
        theirs = sums[2].gaussian(counts)
        a, b = (gaussian_distance(*part.gaussian(counts), *theirs) for part in sums[:2])
        rises.append(b / a - 1 if a > 0 else 0.0)
    low, high = np.percentile(rises, [2.5, 97.5])
    return FrechetChange(first, second, Mean(second / first - 1, float(low), float(high), len(real)))


class _Sums:
    """Counts, sums and sums of outer products of each request's embeddings, so that a replicate is a weighted sum."""

    def __init__(self, clips: Sequence[np.ndarray]) -> None:
        self.counts = np.array([len(points) for points in clips], dtype=float)
        self.firsts = np.stack([points.sum(axis=0) for points in clips])
        self.seconds = np.stack([points.T @ points for points in clips])

    def gaussian(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean (d,) and covariance (d, d) with each request taken so many times."""
        count = float(weights @ self.counts)
        mean = weights @ self.firsts / count
        moment = np.tensordot(weights, self.seconds, axes=1)
        return mean, (moment - count * np.outer(mean, mean)) / (count - 1)
