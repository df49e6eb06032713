"""Rooms and width: reverberation from made-up impulse responses, chorus, stereo width."""

from __future__ import annotations

import numpy as np


def impulse_response(
    rate: int, decay_s: float, damping: float, rng: np.random.Generator, channels: int = 2
) -> np.ndarray:
    """A room's answer to a click: early reflections, then noise that fades, its highs sooner than its lows.

    Args:
        rate: Hz.
        decay_s: Time in which it falls by 60 dB, 0.1 (booth) to 4 s (church).
        damping: How much sooner highs fade, 0 (alike) to 1 (a carpeted room).
        rng: Draws the reflections.
        channels: Each has its own.

    Returns:
        (channels, samples) float32 of unit energy a channel.

    Example:
        >>> impulse_response(22050, 0.5, 0.3, np.random.default_rng(0)).shape
        (2, 11025)
    """
    from scipy.signal import lfilter

    samples = max(int(rate * decay_s), 64)
    time = np.arange(samples) / rate
    noise = rng.normal(0, 1, (channels, samples))
    dull = lfilter([0.15], [1, -0.85], noise, axis=-1) * 3
    bright_share = np.exp(-6.9 * damping * 2 * time / decay_s) * (1 - 0.5 * damping)
    tail = (noise * bright_share + dull * (1 - bright_share)) * np.exp(-6.9 * time / decay_s)
    tail *= np.minimum(time / 0.01, 1)  # what comes back at once are the reflections below, not the tail
    for _ in range(int(rng.integers(3, 9))):
        at = rng.integers(int(0.003 * rate), int(0.04 * rate), channels)
        inside = at < samples
        tail[np.arange(channels)[inside], at[inside]] += rng.uniform(1, 4) * rng.choice([-1, 1])
    return np.asarray(tail / np.sqrt(np.square(tail).sum(axis=1, keepdims=True)), np.float32)


def reverberate(wave: np.ndarray, response: np.ndarray, wet: float) -> np.ndarray:
    """Sound in a room, as long as before: what rings on after the end is cut.

    Args:
        wave: (channels, samples).
        response: (channels, n) of `impulse_response`.
        wet: Amplitude of the room beside the sound itself, 0 to 1.

    Returns:
        (channels, samples) float32.

    Raises:
        ValueError: The channels differ.

    Example:
        >>> room = impulse_response(22050, 0.2, 0.5, np.random.default_rng(0))
        >>> reverberate(np.zeros((2, 1000), np.float32), room, 0.3).shape
        (2, 1000)
    """
    from scipy.signal import fftconvolve

    if len(wave) != len(response):
        raise ValueError(f"the sound has {len(wave)} channels and the response {len(response)}; give as many")
    return np.asarray(wave + wet * fftconvolve(wave, response, axes=-1)[..., : wave.shape[-1]], np.float32)


def chorus(wave: np.ndarray, rate: int, depth_s: float, speed_hz: float, mix: float) -> np.ndarray:
    """A second voice beside the sound, late by 10 ms and a little more or less, as time goes.

    Args:
        wave: (…, samples).
        rate: Hz.
        depth_s: How far the lateness sways, 0.0005 to 0.008 s.
        speed_hz: How fast, 0.1 to 3 Hz.
        mix: Amplitude of the second voice, 0 to 1.

    Returns:
        (…, samples) float32.

    Example:
        >>> chorus(np.zeros((2, 500), np.float32), 22050, 0.003, 0.8, 0.5).shape
        (2, 500)
    """
    at = np.arange(wave.shape[-1])
    late = rate * (0.01 + depth_s * np.sin(2 * np.pi * speed_hz * at / rate))
    second = np.stack([np.interp(at - late, at, row, left=0.0) for row in wave.reshape(-1, wave.shape[-1])])
    return np.asarray((wave + mix * second.reshape(wave.shape)) / (1 + mix), np.float32)


def set_width(wave: np.ndarray, width: float) -> np.ndarray:
    """The stereo image narrowed or widened; the mono sum stays.

    Args:
        wave: (2, samples).
        width: 0 (mono), 1 (as it is) to 2.

    Returns:
        (2, samples) float32.

    Raises:
        ValueError: `wave` is not stereo.

    Example:
        >>> set_width(np.array([[1.0], [0.0]]), 0.0).tolist()
        [[0.5], [0.5]]
    """
    if wave.ndim != 2 or len(wave) != 2:
        raise ValueError(f"the wave has shape {wave.shape}; width is of stereo (2, samples)")
    middle, side = (wave[0] + wave[1]) / 2, (wave[0] - wave[1]) / 2
    return np.asarray([middle + width * side, middle - width * side], np.float32)
