"""What the networks see of a sound: notes for the chords; rises, harmonic change and levels for the beat."""

from __future__ import annotations

import numpy as np

from .features import FPS, N_MELS, parts
from .source import RATE
from .spectrum import HOP, N_NOTES, Salience

PAIR = 2  # spectrum frames that make a frame of the chord network
CHORD_FPS = RATE / (HOP * PAIR)  # 10.8
FEATURE_FPS = 50  # frames a second that the beat network sees
CHANGE_SPANS_S = (0.25, 0.5, 1.0, 2.0)
BANDS = N_MELS // 2
N_FEATURES = 2 * BANDS + 2 * len(CHANGE_SPANS_S) + 1


def chord_inputs(heard: Salience) -> tuple[np.ndarray, np.ndarray]:
    """(frames at CHORD_FPS, N_NOTES, 4) float16: three bins a semitone and the note's salience; (frames,) level in units
    of 20 dB, 0 at the loud frames (95th percentile), at least −3."""
    usable = max(len(heard.notes) // PAIR, 1) * PAIR
    white = _paired(heard.white, usable).reshape(-1, N_NOTES, 3)
    notes = _paired(heard.notes, usable)
    share = notes / (notes.sum(axis=1, keepdims=True) + 1e-3)
    stacked = np.concatenate([np.log1p(white), 4 * np.sqrt(share)[..., None]], axis=2).astype(np.float16)
    loud = np.percentile(heard.loudness, 95) + 1e-9
    level = np.log10(_paired(heard.loudness[:, None], usable)[:, 0] / loud + 1e-3)
    return stacked, level.astype(np.float16)


def _paired(rows: np.ndarray, usable: int) -> np.ndarray:
    padded = rows[:usable] if len(rows) >= usable else np.pad(rows, ((0, usable - len(rows)), (0, 0)), mode="edge")
    return padded.reshape(-1, PAIR, rows.shape[1]).mean(axis=1, dtype=np.float32)


def beat_features(levels: np.ndarray, heard: Salience) -> np.ndarray:
    """(frames at FEATURE_FPS, N_FEATURES) float16: rises and levels in BANDS bands, harmonic change of bass and treble over
    CHANGE_SPANS_S, level; `levels` (frames at FPS, N_MELS)."""
    step = FPS // FEATURE_FPS
    usable = len(levels) // step * step
    rise = np.concatenate([_halved(rises(levels, low, low + 4096)) for low in range(0, usable, 4096)])
    rise = rise[: usable // step]
    band = np.concatenate([_halved(part.astype(np.float32)) for part in parts(levels[:usable], 4096)])
    change = _harmonic_change(heard, np.arange(len(rise)) / FEATURE_FPS)
    level = band.mean(axis=1, keepdims=True)
    level = (level - level.mean()) / (level.std() + 1e-6)
    rise = np.minimum(rise / (rise.std() + 1e-6), 8)
    return np.concatenate([rise, band - band.mean(axis=0), change, level], axis=1).astype(np.float16)


def _halved(rows: np.ndarray) -> np.ndarray:
    """Neighbouring bands averaged, the louder of each two frames."""
    step = FPS // FEATURE_FPS
    rows = rows[: len(rows) // step * step]
    return rows.reshape(-1, step, BANDS, 2).mean(axis=3).max(axis=1)


def rises(levels: np.ndarray, low: int = 0, high: int | None = None) -> np.ndarray:
    """(frames low…high, bands) ≥ 0: growth within 20 ms beyond what neighbouring bands held before (SuperFlux, Böck 2013)."""
    first = max(low - 2, 0)
    part = levels[first:high].astype(np.float32)
    wide = np.maximum.reduce([part, np.roll(part, 1, 1), np.roll(part, -1, 1)])
    rise = np.zeros_like(part)
    rise[2:] = np.maximum(part[2:] - wide[:-2], 0)
    return rise[low - first :]


def _harmonic_change(heard: Salience, times_s: np.ndarray) -> np.ndarray:
    """(times, 2 · spans) cosine distance of mean chroma (bass, treble) in the span after each time to that in the span before."""
    if not len(times_s):
        return np.zeros((0, 2 * len(CHANGE_SPANS_S)), np.float32)
    chroma = np.concatenate([np.zeros((1, 24)), heard.chroma().cumsum(axis=0, dtype=np.float64)])
    edges = np.append(heard.times_s, heard.times_s[-1] + HOP / RATE) - HOP / RATE / 2
    grid = np.arange(-2, times_s[-1] + 2.1, 0.02)
    total = np.stack([np.interp(grid, edges, column) for column in chroma.T], axis=1).astype(np.float32)
    now = ((times_s + 2) / 0.02).round().astype(int)
    columns = []
    for span in CHANGE_SPANS_S:
        reach = int(span / 0.02)
        after = total[np.minimum(now + reach, len(total) - 1)] - total[now]
        before = total[now] - total[now - reach]
        columns += [_cosine_distance(after[:, part], before[:, part]) for part in (slice(0, 12), slice(12, 24))]
    return np.stack(columns, axis=1)


def _cosine_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.where(size > 1e-6, 1 - (a * b).sum(axis=1) / np.maximum(size, 1e-6), 0.0)
