"""Loudness by EBU R128 (pyloudnorm), and true peaks."""

from __future__ import annotations

import numpy as np

PEAK_DB = -1.0  # dBTP: the highest true peak that platforms take
LOUDNESS = (-40.0, -5.0)  # LUFS that can be asked for
OVERSAMPLING = 4  # as BS.1770 measures true peaks
SHORTEST_S = 0.4  # a block of the measure
HOP_S = 0.1  # between blocks
SILENCE = -70.0  # LUFS, the absolute gate of EBU R128
BLOCK = 2**18  # samples that are oversampled at once, so that an hour of audio needs no more memory than seconds
REACH = 64  # samples to either side that a value between two samples depends on


def true_peak(audio: np.ndarray) -> float:
    """Highest magnitude of the wave between its samples too, as BS.1770 measures it.

    Args:
        audio: Floats (samples,) or (channels, samples).

    Returns:
        1.0 is full scale; 0.0 for silence and for no samples.

    Example:
        >>> wave = np.sin(np.pi / 2 * np.arange(400) + np.pi / 4)
        >>> bool(np.abs(wave).max() < 0.71), bool(0.95 < true_peak(wave) < 1.3)
        (True, True)
    """
    from scipy.signal import resample_poly

    if not audio.size:
        return 0.0
    peak = float(np.abs(audio).max())
    for start in range(0, audio.shape[-1], BLOCK):
        first = max(0, start - REACH)
        block = np.asarray(audio[..., first : start + BLOCK + REACH], np.float64)
        between = resample_poly(block, OVERSAMPLING, 1, axis=-1)
        inside = between[..., (start - first) * OVERSAMPLING :][..., : BLOCK * OVERSAMPLING]
        peak = max(peak, float(np.abs(inside).max(initial=0.0)))
    return peak


def loudness_gain(audio: np.ndarray, rate: int, lufs: float | None) -> float:
    """Factor that brings audio to a loudness, whatever its peaks then are.

    Args:
        audio: Floats (samples,) or (channels, samples).
        rate: Sampling rate in Hz.
        lufs: Integrated loudness, −40 to −5; None: as it is.

    Returns:
        1.0 for silence and for None.

    Raises:
        ValueError: `lufs` lies outside of its range, or the audio lasts less than 0.4 s.

    Example:
        >>> loudness_gain(np.zeros((2, 48000)), 48000, -14.0)
        1.0
    """
    import pyloudnorm

    check_loudness(lufs)
    if lufs is None:
        return 1.0
    if audio.shape[-1] < SHORTEST_S * rate:
        raise ValueError(f"the audio lasts {audio.shape[-1] / rate:.2f} s; loudness needs at least {SHORTEST_S} s")
    if not np.any(audio):
        return 1.0
    before = pyloudnorm.Meter(rate).integrated_loudness(np.asarray(audio, np.float64).T)
    return float(10 ** ((lufs - before) / 20)) if np.isfinite(before) else 1.0


def peak_gain(peak: float) -> float:
    """Factor, at most 1, that brings a true peak (1.0: full scale) to −1 dBTP at most.

    Example:
        >>> peak_gain(0.5), round(peak_gain(2.0), 3)
        (1.0, 0.446)
    """
    limit = 10 ** (PEAK_DB / 20)
    return min(1.0, limit / peak) if peak > 0 else 1.0


def check_loudness(lufs: float | None) -> None:
    """Raise ValueError for a loudness outside of −40 to −5 LUFS; None is left alone."""
    low, high = LOUDNESS
    if lufs is not None and not low <= lufs <= high:
        raise ValueError(f"lufs={lufs:g} is outside of {low:g} to {high:g}")


def set_loudness(audio: np.ndarray, rate: int, lufs: float) -> np.ndarray:
    """Bring audio to a loudness, or as near as a true peak of −1 dBTP lets it; it is scaled, never clipped.

    Args:
        audio: Floats (samples,) or (channels, samples).
        rate: Sampling rate in Hz.
        lufs: Integrated loudness, −40 to −5; streaming services take about −14.

    Returns:
        Float32 of the same shape; silence as it is.

    Raises:
        ValueError: `lufs` lies outside of its range, or the audio lasts less than 0.4 s.

    Example:
        >>> tone = 0.01 * np.sin(np.arange(96000) / 10)
        >>> louder = set_loudness(tone, 48000, -20.0)
        >>> bool(np.abs(louder).max() > 5 * np.abs(tone).max())
        True
    """
    gain = loudness_gain(audio, rate, lufs)
    return np.asarray(audio * (gain * peak_gain(gain * true_peak(audio))), np.float32)


def momentary_loudness(audio: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Momentary loudness (EBU Tech 3341): K-weighted power in blocks of 0.4 s, ten a second.

    Args:
        audio: Floats (samples,) or (channels, samples); each channel counts alike.
        rate: Hz.

    Returns:
        Middles of the blocks (n,) in seconds; loudness (n,) in LUFS, at least −70.

    Raises:
        ValueError: The audio lasts less than 0.4 s.

    Example:
        >>> tone = np.sin(2 * np.pi * 997 * np.arange(96000) / 48000)
        >>> times_s, levels = momentary_loudness(tone, 48000)
        >>> float(times_s[0]), len(levels)
        (0.2, 17)
    """
    from pyloudnorm import IIRfilter

    if np.shape(audio)[-1] < SHORTEST_S * rate:
        raise ValueError(f"the audio lasts {np.shape(audio)[-1] / rate:.2f} s; loudness needs at least {SHORTEST_S} s")
    power = np.zeros(np.shape(audio)[-1])
    shelf, high_pass = (
        IIRfilter(4.0, np.sqrt(0.5), 1500.0, rate, "high_shelf"),
        IIRfilter(0.0, 0.5, 38.0, rate, "high_pass"),
    )
    for channel in np.atleast_2d(np.asarray(audio, np.float64)):
        power += np.square(high_pass.apply_filter(shelf.apply_filter(channel)))
    total = np.concatenate([[0.0], np.cumsum(power)])
    block, hop = round(SHORTEST_S * rate), round(HOP_S * rate)
    starts = np.arange(0, len(power) - block + 1, hop)
    mean = (total[starts + block] - total[starts]) / block
    return (starts + block / 2) / rate, np.maximum(-0.691 + 10 * np.log10(np.maximum(mean, 1e-12)), SILENCE)
