"""Where something begins: how strongly the mel levels rise, in all and in three registers."""

from __future__ import annotations

import numpy as np

from musetune.analysis.listening.features import FPS, N_MELS
from musetune.analysis.listening.network_inputs import rises

REGISTERS = (slice(0, 3), slice(3, 35), slice(35, N_MELS))  # mel bands: centres below 200 Hz, middle, above 2 kHz
BLOCK = 4096
CLEAR = 3.0  # standard deviations: an onset, however loud a single click is elsewhere


def onset_strengths(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`levels` (frames at FPS, N_MELS) → (frames,) and (frames, 3): onset strength of the whole and of the low, middle
    and high register, ≥ 0, in standard deviations of each.
    """
    rows = []
    for low in range(0, len(levels), BLOCK):
        rise = rises(levels, low, min(low + BLOCK, len(levels)))
        rows.append(np.stack([rise.mean(axis=1), *(rise[:, part].mean(axis=1) for part in REGISTERS)], axis=1))
    strength = np.stack([_salient(column) for column in np.concatenate(rows).T], axis=1)
    return strength[:, 0], strength[:, 1:]


def _salient(rise: np.ndarray, seconds: float = 3.0) -> np.ndarray:
    """What exceeds the local mean."""
    width = min(len(rise), int(seconds * FPS) | 1)
    window = np.hanning(width + 2)[1:-1]
    excess = np.maximum(rise - np.convolve(rise, window / window.sum(), "same"), 0)
    return (excess / (excess.std() + 1e-9)).astype(np.float32)


def n_onsets(strength: np.ndarray) -> int:
    """Number of distinct rises: local maxima over 100 ms above a quarter of the strongest, or above CLEAR."""
    if strength.max(initial=0) <= 0:
        return 0
    width = FPS // 10
    window = np.lib.stride_tricks.sliding_window_view(np.pad(strength, width // 2), width + 1).max(axis=1)
    return int(((strength == window[: len(strength)]) & (strength > min(0.25 * strength.max(), CLEAR))).sum())
