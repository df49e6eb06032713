"""What the ear for rhythm sees: a mel spectrum, its rises, and how much the harmony changes around each moment."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .source import RATE
from .spectrum import Salience

FPS = 100  # frames a second of levels and onset strength
N_FFT = 1024
N_MELS = 64
FEATURE_FPS = 50  # frames a second of the features of the beat network
CHANGE_SPANS_S = (0.25, 0.5, 1.0, 2.0)
N_FEATURES = N_MELS // 2 + 2 * len(CHANGE_SPANS_S) + 1


@lru_cache(maxsize=1)
def _mel_filters() -> np.ndarray:
    import librosa

    return librosa.filters.mel(sr=RATE, n_fft=N_FFT, n_mels=N_MELS, fmin=30, fmax=8000).T


def mel_levels(wave: np.ndarray) -> np.ndarray:
    """(frames at FPS, N_MELS) compressed mel power of `wave` (samples,) at RATE; frame k is centred on k / FPS."""
    starts = (np.arange(int(len(wave) * FPS / RATE) + 1) * RATE / FPS).astype(int)
    padded = np.pad(wave, (N_FFT // 2, N_FFT))
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[starts]
    window = np.hanning(N_FFT).astype(np.float32)
    power = [np.abs(np.fft.rfft(frames[i : i + 512] * window)) ** 2 for i in range(0, len(frames), 512)]
    return np.log10(1 + 1e2 * (np.concatenate(power) @ _mel_filters())).astype(np.float32)


def rises(levels: np.ndarray) -> np.ndarray:
    """(frames, bands) ≥ 0: growth within 20 ms beyond what neighbouring bands held before (SuperFlux, Böck 2013)."""
    wide = np.maximum.reduce([levels, np.roll(levels, 1, 1), np.roll(levels, -1, 1)])
    rise = np.zeros_like(levels)
    rise[2:] = np.maximum(levels[2:] - wide[:-2], 0)
    return rise


def onset_strength(levels: np.ndarray, seconds: float = 3.0) -> np.ndarray:
    """(frames,) ≥ 0: mean rise over bands above its local mean, in standard deviations."""
    rise = rises(levels).mean(axis=1)
    width = min(len(rise), int(seconds * FPS) | 1)
    window = np.hanning(width + 2)[1:-1]
    excess = np.maximum(rise - np.convolve(rise, window / window.sum(), "same"), 0)
    return excess / (excess.std() + 1e-9)


def n_onsets(strength: np.ndarray) -> int:
    """Number of distinct rises: local maxima over 100 ms above a quarter of the strongest."""
    if strength.max(initial=0) <= 0:
        return 0
    width = FPS // 10
    window = np.lib.stride_tricks.sliding_window_view(np.pad(strength, width // 2), width + 1).max(axis=1)
    return int(((strength == window[: len(strength)]) & (strength > 0.25 * strength.max())).sum())


def beat_features(levels: np.ndarray, notes: Salience) -> np.ndarray:
    """(frames at FEATURE_FPS, N_FEATURES): rises in 32 bands, harmonic change of bass and treble over CHANGE_SPANS_S, level."""
    step = FPS // FEATURE_FPS
    usable = len(levels) // step * step
    rise = rises(levels)[:usable].reshape(-1, step, N_MELS // 2, 2).mean(axis=3).max(axis=1)
    level = levels[:usable:step].mean(axis=1, keepdims=True)
    times = np.arange(len(rise)) / FEATURE_FPS
    change = _harmonic_change(notes, times)
    rise = rise / (rise.std() + 1e-6)
    level = (level - level.mean()) / (level.std() + 1e-6)
    return np.concatenate([np.minimum(rise, 8), change, level], axis=1).astype(np.float32)


def _harmonic_change(notes: Salience, times_s: np.ndarray) -> np.ndarray:
    """(times, 2 · spans) cosine distance of mean chroma (bass, treble) in the span after each time to that in the span before."""
    chroma = np.concatenate([np.zeros((1, 24)), notes.chroma().cumsum(axis=0)])
    edges = np.append(notes.times_s, notes.times_s[-1] + notes.times_s[min(1, len(notes.times_s) - 1)]) - 0.023
    total = np.stack([np.interp(np.arange(-2, times_s[-1] + 2, 0.02), edges, column) for column in chroma.T], axis=1)
    columns = []
    for span in CHANGE_SPANS_S:
        now = ((times_s + 2) / 0.02).round().astype(int)
        reach = int(span / 0.02)
        after = total[np.minimum(now + reach, len(total) - 1)] - total[now]
        before = total[now] - total[now - reach]
        columns += [_cosine_distance(after[:, part], before[:, part]) for part in (slice(0, 12), slice(12, 24))]
    return np.stack(columns, axis=1)


def _cosine_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.where(size > 1e-6, 1 - (a * b).sum(axis=1) / np.maximum(size, 1e-6), 0.0)
