"""What the networks see of a sound: notes for the chords; rises, harmonic change and levels for the beat."""

from __future__ import annotations

import numpy as np

from musetune.analysis.listening.features import FPS, N_MELS
from musetune.analysis.listening.spectrum import HOP, N_NOTES, NoteSalience
from musetune.audio.source import RATE

PAIR = 2  # spectrum frames that make a frame of the chord network
CHORD_FPS = RATE / (HOP * PAIR)  # 10.8
FEATURE_FPS = 50  # frames a second that the beat network sees
CHANGE_SPANS_S = (0.25, 0.5, 1.0, 2.0)
BANDS = N_MELS // 2
BLOCK = 4096  # frames at a time, to keep memory small
N_FEATURES = 2 * BANDS + 2 * len(CHANGE_SPANS_S) + 1


def chord_inputs(salience: NoteSalience) -> tuple[np.ndarray, np.ndarray]:
    """(frames at CHORD_FPS, N_NOTES, 4) float16: three bins a semitone and the note's salience; (frames,) level in
    units of 20 dB, 0 at the loud frames (95th percentile), at least −3.
    """
    count = max(len(salience.notes) // PAIR, 1)
    stacked = np.empty((count, N_NOTES, 4), np.float16)
    for low in range(0, count, BLOCK):
        out = stacked[low : low + BLOCK]
        out[..., :3] = np.log1p(_average_pairs(salience.white, low, len(out))).reshape(-1, N_NOTES, 3)
        notes = _average_pairs(salience.notes, low, len(out))
        out[..., 3] = 4 * np.sqrt(notes / (notes.sum(axis=1, keepdims=True) + 1e-3))
    loud = np.percentile(salience.loudness, 95) + 1e-9
    level = np.log10(_average_pairs(salience.loudness[:, None], 0, count)[:, 0] / loud + 1e-3)
    return stacked, level.astype(np.float16)


def _average_pairs(rows: np.ndarray, low: int, count: int) -> np.ndarray:
    """(count, …) means of each two rows from pair `low` on; the last row is repeated where one is missing."""
    some = rows[low * PAIR : (low + count) * PAIR]
    some = np.pad(some, ((0, count * PAIR - len(some)), (0, 0)), mode="edge")
    return some.reshape(count, PAIR, -1).mean(axis=1, dtype=np.float32)


def beat_features(levels: np.ndarray, salience: NoteSalience) -> np.ndarray:
    """(frames at FEATURE_FPS, N_FEATURES) float16: rises and levels in BANDS bands, harmonic change of bass and treble
    over CHANGE_SPANS_S, level; `levels` (frames at FPS, N_MELS).
    """
    step = FPS // FEATURE_FPS
    count = len(levels) // step
    out = np.empty((count, N_FEATURES), np.float16)
    rise, band, change, level = np.split(out, np.cumsum([BANDS, BANDS, 2 * len(CHANGE_SPANS_S)]), axis=1)
    for low in range(0, count, BLOCK):
        high = min(low + BLOCK, count)
        rise[low:high] = _halve(rises(levels, low * step, high * step))
        band[low:high] = _halve(levels[low * step : high * step].astype(np.float32))
        level[low:high] = band[low:high].mean(axis=1, dtype=np.float32, keepdims=True)
    _harmonic_change(salience, np.arange(count) / FEATURE_FPS, change)
    spread, middle = rise.std(dtype=np.float64), level.mean(dtype=np.float64)
    scale, mean = level.std(dtype=np.float64), band.mean(axis=0, dtype=np.float64)
    for low in range(0, count, BLOCK):
        here = slice(low, low + BLOCK)
        rise[here] = np.minimum(rise[here] / (spread + 1e-6), 8)
        level[here] = (level[here] - middle) / (scale + 1e-6)
        band[here] = band[here] - mean
    return out


def _halve(rows: np.ndarray) -> np.ndarray:
    """Neighbouring bands averaged, the louder of each two frames."""
    step = FPS // FEATURE_FPS
    rows = rows[: len(rows) // step * step]
    return rows.reshape(-1, step, BANDS, 2).mean(axis=3).max(axis=1)


def rises(levels: np.ndarray, low: int = 0, high: int | None = None) -> np.ndarray:
    """(frames low…high, bands) ≥ 0: growth within 20 ms beyond what neighbouring bands held before (SuperFlux, Böck
    2013).
    """
    first = max(low - 2, 0)
    part = levels[first:high].astype(np.float32)
    wide = np.maximum.reduce([part, np.roll(part, 1, 1), np.roll(part, -1, 1)])
    rise = np.zeros_like(part)
    rise[2:] = np.maximum(part[2:] - wide[:-2], 0)
    return rise[low - first :]


def _harmonic_change(salience: NoteSalience, times_s: np.ndarray, out: np.ndarray) -> None:
    """Into `out` (times, 2 · spans).

    Cosine distance of mean chroma (bass, treble) in the span after each time to that in the span before.
    """
    if not len(times_s):
        return
    chroma = np.concatenate([np.zeros((1, 24)), salience.chroma().cumsum(axis=0, dtype=np.float64)])
    edges = np.append(salience.times_s, salience.times_s[-1] + HOP / RATE) - HOP / RATE / 2
    last = times_s[-1] + 2
    for low in range(0, len(times_s), BLOCK):
        now = times_s[low : low + BLOCK, None]
        for index, span in enumerate(CHANGE_SPANS_S):
            moments = np.concatenate([now - span, now, np.minimum(now + span, last)], axis=1)
            total = np.stack([np.interp(moments, edges, column) for column in chroma.T], axis=2)
            before, after = total[:, 1] - total[:, 0], total[:, 2] - total[:, 1]
            for half, part in enumerate((slice(0, 12), slice(12, 24))):
                out[low : low + BLOCK, 2 * index + half] = _cosine_distance(after[:, part], before[:, part])


def _cosine_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.where(size > 1e-6, 1 - (a * b).sum(axis=1) / np.maximum(size, 1e-6), 0.0)
