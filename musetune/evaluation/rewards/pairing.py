"""From rewards to what is learned from: the best and the worst take of a request, and how good each take is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def best_and_worst(rewards: Sequence[float], margin: float) -> tuple[int, int] | None:
    """Places of the best and the worst of a request's takes; None where they are no more than `margin` apart.

    Args:
        rewards: Of each take, 0…1.
        margin: At least 0: what is nearer is noise of the recognisers.

    Raises:
        ValueError: `margin` is below 0.

    Example:
        >>> best_and_worst([0.5, 0.9, 0.4], 0.1), best_and_worst([0.5, 0.55], 0.1)
        ((1, 2), None)
    """
    if margin < 0:
        raise ValueError(f"margin={margin} must be at least 0")
    if not len(rewards):
        return None
    best, worst = int(np.argmax(rewards)), int(np.argmin(rewards))
    return (best, worst) if rewards[best] - rewards[worst] > margin else None


def advantages(rewards: Sequence[float], scale: float | None = None) -> np.ndarray:
    """Optimality r of each of a request's takes: 0.5 + 0.5 · clip((reward − mean) / scale, −1, 1).

    As DiffusionNFT has it (Zheng et al., arXiv 2509.16117, §3.2).

    Args:
        rewards: Of each take.
        scale: What one unit is; None: twice the standard deviation of these rewards.

    Returns:
        (n,), 0…1; 0.5 where all are alike.

    Example:
        >>> advantages([0.2, 0.4, 0.6], scale=0.2).tolist()
        [0.0, 0.5, 1.0]
    """
    values = np.asarray(rewards, dtype=float)
    unit = 2 * float(values.std()) if scale is None else scale
    centred = values - values.mean() if len(values) else values
    return 0.5 + 0.5 * np.clip(centred / unit, -1, 1) if unit > 1e-9 else np.full(len(values), 0.5)
