"""From rewards to what is learned from: the best and the worst take of a request, and how good each take is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def best_and_worst(rewards: Sequence[float], margin: float, pairs: int = 1) -> list[tuple[int, int]]:
    """Places of the best and the worst of a request's takes, of the second best and the second worst, and so on.

    Args:
        rewards: Of each take, 0…1.
        margin: At least 0: takes that are no further apart are no pair, since recognisers err.
        pairs: How many at most, at least 1. No take is in two pairs.

    Raises:
        ValueError: A value is outside its range.

    Example:
        >>> best_and_worst([0.5, 0.9, 0.4], 0.1), best_and_worst([0.5, 0.55], 0.1)
        ([(1, 2)], [])
    """
    if margin < 0 or pairs < 1:
        raise ValueError(f"margin={margin} must be at least 0, and pairs={pairs} at least 1")
    order = [int(place) for place in np.argsort(-np.asarray(rewards, dtype=float), kind="stable")]
    ends = list(zip(order, reversed(order)))[: min(pairs, len(order) // 2)]
    return [(best, worst) for best, worst in ends if rewards[best] - rewards[worst] > margin]


def advantage_scale(groups: Sequence[Sequence[float]], least: float) -> float:
    """What one unit of `advantages` is for a whole set: twice the deviation of rewards from their requests' means.

    One scale for all requests, as DiffusionNFT's Z, so that takes that hardly differ hardly count. At least `least`.

    Args:
        groups: Rewards of each request's takes.
        least: Such as the margin below which recognisers cannot tell takes apart; at least 0.

    Example:
        >>> round(advantage_scale([[0.2, 0.8], [0.5, 0.5]], 0.05), 3), advantage_scale([[0.5, 0.501]], 0.05)
        (0.424, 0.05)
    """
    deviations = [value - float(np.mean(own)) for own in groups for value in own]
    return max(2 * float(np.sqrt(np.mean(np.square(deviations)))) if deviations else 0.0, least)


def advantages(rewards: Sequence[float], scale: float) -> np.ndarray:
    """Optimality r of each of a request's takes: 0.5 + 0.5 · clip((reward − mean) / scale, −1, 1).

    As DiffusionNFT has it (Zheng et al., arXiv 2509.16117, §3.2).

    Args:
        rewards: Of each take.
        scale: What one unit is, at least 0: of `advantage_scale`.

    Returns:
        (n,), 0…1; 0.5 where all are alike.

    Example:
        >>> advantages([0.2, 0.4, 0.6], scale=0.2).round(3).tolist()
        [0.0, 0.5, 1.0]
    """
    values = np.asarray(rewards, dtype=float)
    centred = values - values.mean() if len(values) else values
    return 0.5 + 0.5 * np.clip(centred / scale, -1, 1) if scale > 1e-9 else np.full(len(values), 0.5)
