"""Which chord sounds when: the network's view of each half beat, the likeliest sequence (Viterbi), and the bass of each
chord.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from musetune.analysis.listening.network_inputs import CHORD_FPS
from musetune.analysis.listening.spectrum import NoteSalience
from musetune.analysis.listening.vocabulary import LABELS, NO_BASS, QUALITIES, SHAPES

DEGREES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")
SHARPNESS = 1.4  # exponent on the network's probabilities, tuned beside the change costs on songs outside the benchmark
BASS_MARGIN = 0.4  # nats by which a chord's other note must be likelier in the bass than its root


@dataclass(frozen=True)
class ChordTrack:
    """`intervals_s` (n, 2), `labels` Harte, `confidence` (n,) 0…1: mean of the network's probability of the label
    over its span; `beats` (n, 2) where each span starts and ends in beats of the grid, in halves."""

    intervals_s: np.ndarray
    labels: list[str]
    confidence: np.ndarray
    beats: np.ndarray


@dataclass(frozen=True)
class ChordFrames:
    """Log-probabilities (frames at CHORD_FPS, …) float16 of chord, bass and key.

    `loudness` (n,) rms at `times_s` (n,).
    """

    chord: np.ndarray
    bass: np.ndarray
    key: np.ndarray
    loudness: np.ndarray
    times_s: np.ndarray


@dataclass(frozen=True)
class ChordScores:
    """Log-probabilities of each span between edges.

    `chord` (spans, N_CHORDS), `bass` (spans, 13), `key` (spans, N_KEYS); `sounding` (spans,) whether there is anything
    to hear.
    """

    chord: np.ndarray
    bass: np.ndarray
    key: np.ndarray
    sounding: np.ndarray


def half_beats(beats_s: np.ndarray, duration_s: float) -> tuple[np.ndarray, np.ndarray]:
    """(edges in seconds (n+1,), edges in beats (n+1,)): halves of the beats, carried on to both ends of the sound."""
    first, last = beats_s[1] - beats_s[0], beats_s[-1] - beats_s[-2]
    before = int(np.ceil(max(beats_s[0], 0) / first))
    after = int(np.ceil(max(duration_s - beats_s[-1], 0) / last))
    number = np.arange(-before, len(beats_s) + after)
    times = np.concatenate(
        [beats_s[0] - first * np.arange(before, 0, -1), beats_s, beats_s[-1] + last * np.arange(1, after + 1)]
    )
    halves = np.arange(number[0], number[-1] + 0.25, 0.5)
    edges = np.clip(np.interp(halves, number, times), 0, duration_s)
    keep = np.append(np.diff(edges) > 1e-3, True)
    return edges[keep], halves[keep]


def pool(values: np.ndarray, times_s: np.ndarray, edges_s: np.ndarray) -> np.ndarray:
    """Mean of `values` (frames, d) over each span between edges → (spans, d).

    A span without a frame takes the nearest one.
    """
    at = np.searchsorted(times_s, edges_s)
    low, end = np.minimum(at[:-1], len(times_s) - 1), max(int(at[-1]), int(min(at[-2], len(times_s) - 1)) + 1)
    count = np.maximum(np.append(low[1:], end) - low, 1)
    return np.add.reduceat(values[:end], low, axis=0, dtype=np.float32) / count[:, None].astype(np.float32)


def hear_frames(inputs: tuple[np.ndarray, np.ndarray], notes: NoteSalience) -> ChordFrames:
    """What the network hears in each frame of `inputs`, the `chord_inputs` of `notes`."""
    from musetune.analysis.listening.networks import hear_chords

    return ChordFrames(*hear_chords(*inputs), notes.loudness, notes.times_s)


def score(frames: ChordFrames, edges_s: np.ndarray) -> ChordScores:
    """What the network holds of each span; N for certain where it is quiet."""
    times = (np.arange(len(frames.chord)) + 0.25) / CHORD_FPS
    chord, bass, key = (pool(rows, times, edges_s) for rows in (frames.chord, frames.bass, frames.key))
    loud = sounding(frames, edges_s) >= 0.5
    chord[~loud] = -50.0
    chord[~loud, -1] = 0.0
    return ChordScores(chord, bass, key, loud)


def sounding(frames: ChordFrames, edges_s: np.ndarray) -> np.ndarray:
    """(spans,) share of frames within 45 dB of the loud ones (95th percentile)."""
    loud = frames.loudness > np.percentile(frames.loudness, 95) * 10 ** (-45 / 20)
    return pool(loud[:, None].astype(np.float32), frames.times_s, edges_s)[:, 0]


def changes(scores: ChordScores, edges_beat: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """(beats,) 0…1: one less the Bhattacharyya coefficient of the chords in the half beat before each beat and after
    it.
    """
    at = np.clip(np.searchsorted(edges_beat, beats), 1, len(scores.chord) - 1)
    before, after = np.exp(scores.chord[at - 1]), np.exp(scores.chord[at])
    return 1 - np.minimum(np.sqrt(before * after).sum(axis=1) / np.sqrt(before.sum(axis=1) * after.sum(axis=1)), 1)


def change_costs(edges_beat: np.ndarray, downbeats: np.ndarray | None) -> np.ndarray:
    """(spans,) log-probability that a chord begins with this span: on a bar line, on a beat, between beats."""
    at = edges_beat[:-1]
    chance = np.where(at % 1 == 0, 0.2, 0.02)
    if downbeats is not None:
        chance[np.isin(at, downbeats)] = 0.6
    return np.log(chance)


def decode(scores: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Likeliest state of each span (spans,), by Viterbi, when a chord changes with log-probability `change`
    (spans,) and any new one is equally likely; which is why O(labels) a span suffices."""
    n, k = scores.shape
    stay = np.log1p(-np.exp(change))
    move = change - np.log(k - 1)
    best, came = SHARPNESS * scores[0], np.zeros((n, k), int)
    for t in range(1, n):
        top = int(best.argmax())
        jump = best[top] + move[t] > best + stay[t]
        came[t] = np.where(jump, top, np.arange(k))
        best = np.where(jump, best[top] + move[t], best + stay[t]) + SHARPNESS * scores[t]
    path = np.zeros(n, int)
    path[-1] = best.argmax()
    for t in range(n - 1, 0, -1):
        path[t - 1] = came[t, path[t]]
    return path


def spans_of(path: np.ndarray, scores: ChordScores, edges_s: np.ndarray, edges_beat: np.ndarray) -> ChordTrack:
    """Join equal neighbours, and name the bass."""
    bass = np.array([bass_step(state, row) for state, row in zip(path, _smooth(path, scores.bass), strict=True)])
    starts = np.flatnonzero(np.append(True, (np.diff(path) != 0) | (np.diff(bass) != 0)))
    ends = np.append(starts[1:], len(path))
    confidence = [np.exp(scores.chord[a:b, path[a]]).mean() for a, b in zip(starts, ends, strict=True)]
    intervals = np.stack([edges_s[starts], edges_s[ends]], axis=1)
    beats = np.stack([edges_beat[starts], edges_beat[ends]], axis=1)
    labels = [LABELS[path[a]] + (f"/{DEGREES[bass[a]]}" if bass[a] else "") for a in starts]
    return ChordTrack(intervals, labels, np.array(confidence), beats)


def _smooth(path: np.ndarray, bass: np.ndarray) -> np.ndarray:
    """(spans, 13) the mean over each chord: its bass is decided once."""
    starts = np.flatnonzero(np.append(True, np.diff(path) != 0))
    sizes = np.diff(np.append(starts, len(path)))
    return np.repeat(np.add.reduceat(bass, starts, axis=0) / sizes[:, None], sizes, axis=0)


def bass_step(state: int, bass: np.ndarray) -> int:
    """Semitones of the bass above the root of chord `state`.

    A note of the chord, 0 unless another is clearly likelier.
    """
    if state == len(LABELS) - 1:
        return 0
    root, shape = state // len(QUALITIES), SHAPES[QUALITIES[state % len(QUALITIES)]]
    likely = max(shape, key=lambda step: bass[(root + step) % NO_BASS])
    return likely if bass[(root + likely) % NO_BASS] > bass[root] + BASS_MARGIN else 0
