"""Cutting a recording into clips."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def clip_starts(
    downbeats_s: Iterable[float], duration_s: float, clip_s: float, *, lead_s: float = 0.0, slack_s: float = 0.05
) -> list[float]:
    """Starts (seconds) of clips that do not overlap, each on a downbeat; at 0 where no downbeat leaves room for a clip.

    A clip begins `lead_s` before its downbeat, and may end `slack_s` past the recording. Seconds throughout.
    """
    starts: list[float] = []
    for downbeat in downbeats_s:
        start = max(0.0, float(downbeat) - lead_s)
        room = -slack_s <= downbeat and start <= duration_s - clip_s + slack_s
        if room and (not starts or start >= starts[-1] + clip_s - slack_s):
            starts.append(start)
    return starts or [0.0]


def cut(wave: np.ndarray, sample_rate: int, start_s: float, seconds: float) -> np.ndarray:
    """`seconds` of `wave` (samples,) from `start_s` on, with silence where it ends sooner."""
    n, first = round(seconds * sample_rate), round(start_s * sample_rate)
    piece = wave[first : first + n]
    return np.pad(piece, (0, n - len(piece)))


def rms_db(wave: np.ndarray) -> float:
    """Root mean square in dB relative to full scale; −200 for digital silence."""
    return 10 * float(np.log10(np.mean(np.square(wave, dtype=np.float64)) + 1e-20))
