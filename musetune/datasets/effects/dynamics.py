"""Loudness over time: distortion, compression, ducking."""

from __future__ import annotations

import numpy as np


def distort(wave: np.ndarray, drive_db: float) -> np.ndarray:
    """An amplifier driven into saturation, as loud as before.

    Args:
        wave: (…, samples).
        drive_db: Gain before the saturation over a signal of unit deviation, 0 (mild) to 40 (fuzz).

    Returns:
        (…, samples) float32 of the same root mean square; odd harmonics are new in it.

    Example:
        >>> tone = np.sin(np.arange(2205) * 0.1).astype(np.float32)
        >>> bool(np.isclose(distort(tone, 20.0).std(), tone.std(), rtol=1e-2))
        True
    """
    size = _rms(wave)
    if size == 0:
        return np.asarray(wave, np.float32)
    bent = np.tanh(wave / size * 10 ** (drive_db / 20))
    return np.asarray(bent * (size / _rms(bent)), np.float32)


def compress(wave: np.ndarray, rate: int, ratio: float, threshold_db: float, time_s: float = 0.05) -> np.ndarray:
    """Loud passages made quieter, all channels alike (feed-forward, root mean square).

    Args:
        wave: (…, samples).
        rate: Hz.
        ratio: What remains of 1 dB above the threshold is 1 / ratio dB; from 1 (nothing) to 20 (a limiter).
        threshold_db: Relative to the whole's root mean square, −20 to 10.
        time_s: Time constant of the level, 0.005 to 0.3 s.

    Returns:
        (…, samples) float32, its loudest passages nearer to the others.

    Raises:
        ValueError: `ratio` is below 1.

    Example:
        >>> compress(np.ones((2, 100), np.float32), 22050, 4.0, -6.0).shape
        (2, 100)
    """
    from scipy.signal import lfilter

    if ratio < 1:
        raise ValueError(f"ratio is {ratio}; a compressor's is 1 or more")
    size = _rms(wave)
    if size == 0:
        return np.asarray(wave, np.float32)
    power = np.square(wave, dtype=np.float64).reshape(-1, wave.shape[-1]).mean(axis=0)
    decay = np.exp(-1 / (time_s * rate))
    level_db = 10 * np.log10(lfilter([1 - decay], [1, -decay], power) / size**2 + 1e-10)
    over_db = np.maximum(level_db - threshold_db, 0)
    return np.asarray(wave * 10 ** (-over_db * (1 - 1 / ratio) / 20), np.float32)


def duck(wave: np.ndarray, rate: int, times_s: np.ndarray, depth_db: float, release_s: float) -> np.ndarray:
    """Sound that steps back at given times and returns, as a compressor does that a kick drum steers (sidechain).

    Args:
        wave: (…, samples).
        rate: Hz.
        times_s: (n,) when it steps back, seconds.
        depth_db: By how much, 0 to 30.
        release_s: Until it is back, 0.05 to 1 s; the gain rises evenly in dB.

    Returns:
        (…, samples) float32.

    Example:
        >>> ducked = duck(np.ones(22050, np.float32), 22050, np.array([0.0]), 20.0, 0.5)
        >>> round(float(ducked[0]), 2), round(float(ducked[-1]), 2)
        (0.1, 1.0)
    """
    samples = wave.shape[-1]
    starts = np.sort(np.round(np.asarray(times_s) * rate).astype(int))
    starts = starts[(starts >= 0) & (starts < samples)]
    if not len(starts):
        return np.asarray(wave, np.float32)
    at = np.arange(samples)
    last = np.searchsorted(starts, at, side="right") - 1
    since_s = np.where(last >= 0, (at - starts[np.maximum(last, 0)]) / rate, np.inf)
    return np.asarray(wave * 10 ** (-depth_db * np.maximum(1 - since_s / release_s, 0) / 20), np.float32)


def _rms(wave: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(wave, dtype=np.float64)))) if np.size(wave) else 0.0
