"""Equalisers: a peak, a shelf, a limited band (R. Bristow-Johnson, Audio EQ Cookbook)."""

from __future__ import annotations

import numpy as np


def boost_peak(wave: np.ndarray, rate: int, hz: float, gain_db: float, q: float = 0.8) -> np.ndarray:
    """A band raised or lowered.

    Args:
        wave: (…, samples).
        rate: Hz.
        hz: Its centre, 20 Hz to below rate / 2.
        gain_db: −24 to 24.
        q: Narrowness, 0.3 to 10.

    Returns:
        (…, samples) float32.

    Example:
        >>> boost_peak(np.zeros((2, 100), np.float32), 22050, 1000.0, 6.0).shape
        (2, 100)
    """
    from scipy.signal import lfilter

    gain, angle = 10 ** (gain_db / 40), 2 * np.pi * _below_nyquist(hz, rate) / rate
    alpha, middle = np.sin(angle) / (2 * q), -2 * np.cos(angle)
    numerator = [1 + alpha * gain, middle, 1 - alpha * gain]
    return np.asarray(lfilter(numerator, [1 + alpha / gain, middle, 1 - alpha / gain], wave, axis=-1), np.float32)


def tilt(wave: np.ndarray, rate: int, hz: float, gain_db: float) -> np.ndarray:
    """Highs raised and lows lowered by half of `gain_db` each, or the other way round where it is negative.

    Args:
        wave: (…, samples).
        rate: Hz.
        hz: Where they part, 100 to 5000 Hz.
        gain_db: −18 (dull) to 18 (thin).

    Returns:
        (…, samples) float32.

    Example:
        >>> tilt(np.zeros(100, np.float32), 22050, 800.0, -6.0).shape
        (100,)
    """
    from scipy.signal import lfilter

    gain, ratio = 10 ** (gain_db / 40), np.tan(np.pi * _below_nyquist(hz, rate) / rate)
    # first order: 1 / gain at 0 Hz, 1 at `hz`, gain at half the rate
    numerator = [ratio + gain, ratio - gain]
    return np.asarray(lfilter(numerator, [gain * ratio + 1, gain * ratio - 1], wave, axis=-1), np.float32)


def limit_band(wave: np.ndarray, rate: int, low_hz: float, high_hz: float) -> np.ndarray:
    """What a small loudspeaker, a radio or an old disc leaves: 12 dB an octave outside of the band.

    Args:
        wave: (…, samples).
        rate: Hz.
        low_hz: Lower edge, from 20 Hz.
        high_hz: Upper edge, above `low_hz`; from half the rate on nothing is cut there.

    Returns:
        (…, samples) float32.

    Raises:
        ValueError: The edges are out of order.

    Example:
        >>> limit_band(np.zeros(100, np.float32), 22050, 300.0, 3400.0).shape
        (100,)
    """
    from scipy.signal import butter, sosfilt

    if not 0 < low_hz < high_hz:
        raise ValueError(f"the band is {low_hz} to {high_hz} Hz; give 0 < low_hz < high_hz")
    sections = [butter(2, _below_nyquist(low_hz, rate), "highpass", fs=rate, output="sos")]
    if high_hz < 0.49 * rate:
        sections.append(butter(2, high_hz, "lowpass", fs=rate, output="sos"))
    return np.asarray(sosfilt(np.concatenate(sections), wave, axis=-1), np.float32)


def _below_nyquist(hz: float, rate: int) -> float:
    if not 0 < hz < rate / 2:
        raise ValueError(f"no filter at {hz:g} Hz for a rate of {rate} Hz; give more than 0 and less than {rate / 2:g}")
    return hz
