"""Expression as frames: how loud, dense, syncopated, swung and complex music is at each moment, for the adapter."""

from __future__ import annotations

import math

import numpy as np

from musetune.conditioning.stem_frames import HIDDEN
from musetune.symbols.expression import LOUDNESS, RANGES, Expression

EXPRESSION = "expression"  # the stream's name
EXPRESSION_FIELDS = ("loudness_db", *RANGES)


def expression_frames(expression: Expression, times_s: np.ndarray) -> np.ndarray:
    """Features of each moment on scales from 0 to 1.

    Loudness runs along its curve; the other features hold all the time. −70 to 0 LUFS are 0 to 1, density is
    log(1 + onsets a second) of its range, the rest runs straight over its range (`musetune.symbols.expression`).

    Args:
        expression: What is said.
        times_s: (n,) of the expression's own time.

    Returns:
        (n, 5) float32, columns EXPRESSION_FIELDS; HIDDEN (−1) where nothing is said.

    Example:
        >>> frames = expression_frames(Expression(loudness_db=((0, -70), (1, 0)), swing=0.6), np.array([0.0, 0.5]))
        >>> frames[:, [0, 3]].round(2).tolist(), frames[0, 1].item()
        ([[0.0, 0.5], [0.5, 0.5]], -1.0)
    """
    out = np.full((len(times_s), len(EXPRESSION_FIELDS)), HIDDEN, np.float32)
    if expression.loudness_db:
        low, high = LOUDNESS
        out[:, 0] = (expression.loudness_at(times_s) - low) / (high - low)
    for column, (name, (low, high)) in enumerate(RANGES.items(), 1):
        if (value := getattr(expression, name)) is None:
            continue
        if name == "note_density":
            out[:, column] = math.log1p(value) / math.log1p(high)
        else:
            out[:, column] = (value - low) / (high - low)
    return out
