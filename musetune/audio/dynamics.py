"""How loud a piece is from moment to moment, and how to give another that course."""

from __future__ import annotations

import numpy as np

STEP_S = 0.1
WINDOW_S = 0.4  # as momentary loudness is measured (EBU Tech 3341), without its filter
FLOOR_DB = -60.0  # below it there is silence
MOST_DB = 12.0  # nothing is made louder or softer by more


def loudness_curve(wave: np.ndarray, rate: int) -> np.ndarray:
    """Measure loudness every 0.1 s.

    Args:
        wave: Floats (samples,) or (channels, samples).
        rate: Hz.

    Returns:
        Decibels of full scale (n,) of the root mean square in the 0.4 s around k · 0.1 s; −60 for silence.

    Example:
        >>> curve = loudness_curve(np.full(16000, 0.1), 16000)
        >>> len(curve), round(float(curve[5]), 1)
        (11, -20.0)
    """
    power = np.square(wave, dtype=float)
    power = power if power.ndim == 1 else power.mean(axis=0)
    total = np.concatenate([[0.0], np.cumsum(power)])
    centres = np.arange(0.0, len(power) / rate + 1e-9, STEP_S)
    first = np.clip(np.round((centres - WINDOW_S / 2) * rate).astype(int), 0, len(power))
    last = np.clip(np.round((centres + WINDOW_S / 2) * rate).astype(int), 0, len(power))
    mean = (total[last] - total[first]) / np.maximum(last - first, 1)
    return np.asarray(10 * np.log10(np.maximum(mean, 10 ** (FLOOR_DB / 10))))


def follow_loudness(wave: np.ndarray, rate: int, curve: np.ndarray) -> np.ndarray:
    """Make a piece louder and softer as another is.

    Args:
        wave: Floats (samples,) or (channels, samples).
        rate: Hz.
        curve: What `loudness_curve` measured of the other; its last value goes on.

    Returns:
        Float32 of the same shape. No moment is changed by more than 12 dB against the whole; where the peak would
        clip, the whole is brought to 0.99.

    Example:
        >>> wave = np.full(32000, 0.1, np.float32)
        >>> swell = np.linspace(-30, -20, 21)
        >>> bool(np.abs(loudness_curve(follow_loudness(wave, 16000, swell), 16000) - swell)[3:-3].max() < 0.5)
        True
    """
    own = loudness_curve(wave, rate)
    wanted = np.asarray(curve, float)[np.minimum(np.arange(len(own)), len(curve) - 1)]
    change = np.where((own > FLOOR_DB) & (wanted > FLOOR_DB), wanted - own, np.minimum(wanted - own, 0.0))
    whole = float(np.median(change))
    change = np.clip(change, whole - MOST_DB, whole + MOST_DB)
    gain = 10 ** (np.interp(np.arange(wave.shape[-1]) / rate, np.arange(len(own)) * STEP_S, change) / 20)
    louder = wave * gain
    return np.asarray(louder / max(1.0, float(np.abs(louder).max(initial=0.0)) / 0.99), np.float32)
