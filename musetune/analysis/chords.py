"""Which chord sounds when: the network's view of each half beat, and the likeliest sequence (Viterbi).

Chords are in root position: a bass head was trained and told no inversion better than always saying the root, so
none is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .nets import NET_QUALITIES, chord_net
from .spectrum import Salience

PITCHES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SHAPES = {  # semitones above the root
    "maj": (0, 4, 7), "min": (0, 3, 7), "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "min7": (0, 3, 7, 10),
    "dim": (0, 3, 6), "sus2": (0, 2, 7), "sus4": (0, 5, 7), "hdim7": (0, 3, 6, 10), "dim7": (0, 3, 6, 9),
    "aug": (0, 4, 8),
}  # fmt: skip
LABELS = (*(f"{root}:{quality}" for root in PITCHES for quality in NET_QUALITIES), "N")
SHARPNESS = 1.4  # exponent on the network's probabilities, tuned beside the change costs on songs outside the benchmark


@dataclass(frozen=True)
class ChordTrack:
    """`intervals_s` (n, 2), `labels` Harte, `confidence` (n,) 0…1: mean of the network's probability of the label
    over its span; `beats` (n, 2) where each span starts and ends in beats of the grid, in halves."""

    intervals_s: np.ndarray
    labels: list[str]
    confidence: np.ndarray
    beats: np.ndarray


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
    """Mean of `values` (frames, d) over each span between edges → (spans, d); a span without a frame takes the nearest one."""
    total = np.concatenate([np.zeros((1, values.shape[1])), values.cumsum(axis=0, dtype=np.float64)])
    low = np.minimum(np.searchsorted(times_s, edges_s[:-1]), len(times_s) - 1)
    high = np.maximum(np.searchsorted(times_s, edges_s[1:]), low + 1)
    return ((total[high] - total[low]) / (high - low)[:, None]).astype(np.float32)


def score(heard: Salience, edges_s: np.ndarray) -> np.ndarray:
    """(spans, labels) log-probabilities of each chord and N; N for certain where it is quiet."""
    chords = chord_net(pool(heard.registers(), heard.times_s, edges_s))
    silent = sounding(heard, edges_s) < 0.5
    chords[silent] = -50.0
    chords[silent, -1] = 0.0
    return chords


def sounding(heard: Salience, edges_s: np.ndarray) -> np.ndarray:
    """(spans,) share of frames within 45 dB of the loud ones (95th percentile)."""
    loud = heard.loudness > np.percentile(heard.loudness, 95) * 10 ** (-45 / 20)
    return pool(loud[:, None].astype(np.float32), heard.times_s, edges_s)[:, 0]


def change_costs(edges_beat: np.ndarray, downbeats: np.ndarray | None) -> np.ndarray:
    """(spans,) log-probability that a chord begins with this span: on a bar line, on a beat, between beats."""
    at = edges_beat[:-1]
    chance = np.where(at % 1 == 0, 0.3, 0.05)
    if downbeats is not None:
        chance[np.isin(at, downbeats)] = 0.7
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


def spans_of(path: np.ndarray, scores: np.ndarray, edges_s: np.ndarray, edges_beat: np.ndarray) -> ChordTrack:
    """Join equal neighbours."""
    starts = np.flatnonzero(np.append(True, np.diff(path) != 0))
    ends = np.append(starts[1:], len(path))
    confidence = [np.exp(scores[a:b, path[a]]).mean() for a, b in zip(starts, ends, strict=True)]
    intervals = np.stack([edges_s[starts], edges_s[ends]], axis=1)
    beats = np.stack([edges_beat[starts], edges_beat[ends]], axis=1)
    return ChordTrack(intervals, [LABELS[path[a]] for a in starts], np.array(confidence), beats)
