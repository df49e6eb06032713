"""Beats and bar lines together: the likeliest way for a bar pointer to run through the beat network's activations.

The bar-pointer hidden Markov model of Whiteley, Cemgil and Godsill (2006) in the state space of Krebs, Böck and Widmer (ISMIR 2015): a
state is a tempo and a position in the bar; within a beat the position moves on by one frame, and the tempo may change only at a
beat. Bars of three and of four run in separate models, and the likelier wins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

POINTER_FPS = 100
N_TEMPI = 48
TEMPO_RIGIDITY = 80.0  # nats for a relative change of 1 in the beat's length
BEAT_SHARE = 16  # the first sixteenth of a beat is where its onset is expected
METRE_PRIOR = {4: 0.0, 3: -2.0}  # nats for a whole clip


@dataclass(frozen=True)
class Bars:
    """`beats` (n,) frames at POINTER_FPS; `beats_per_bar` 3 or 4; `first` index of the first beat that opens a bar; `confidence` 0…1 of
    the metre against the other."""

    beats: np.ndarray
    beats_per_bar: int
    first: int
    confidence: float

    def downbeats(self, n_beats: int) -> np.ndarray:
        """Indices of the beats that open a bar."""
        return np.arange(self.first, n_beats, self.beats_per_bar)


def point(activation: np.ndarray, bpm_range: tuple[float, float], tempo_weight: np.ndarray | None = None) -> Bars:
    """Beats and bars in `activation` (frames, 2): probabilities of beat and bar line at POINTER_FPS; tempi within `bpm_range`."""
    longest, shortest = (60 * POINTER_FPS / bpm for bpm in bpm_range)
    lengths = np.unique(np.geomspace(shortest, longest, N_TEMPI).round().astype(int))
    runs = {metre: _Pointer(lengths, metre).run(activation) for metre in METRE_PRIOR}
    scores = {metre: runs[metre][0] + METRE_PRIOR[metre] for metre in runs}
    best = max(scores, key=lambda metre: scores[metre])
    other = max(score for metre, score in scores.items() if metre != best)
    frames, place = runs[best][1], runs[best][2]
    first = int((-place[0]) % best) if len(place) else 0
    return Bars(frames, best, first, float(1 / (1 + np.exp(np.clip(other - scores[best], -50, 0)))))


class _Pointer:
    """States of one metre in a row: beat 0 at tempo 0 from its first frame to its last, tempo 1, …, then beat 1."""

    def __init__(self, lengths: np.ndarray, metre: int) -> None:
        self.lengths, self.metre = lengths, metre
        every = np.tile(lengths, metre)
        self.first = np.concatenate([[0], every.cumsum()[:-1]])
        self.last = every.cumsum() - 1
        position = np.concatenate([np.arange(length) / length for length in every])
        beat = np.repeat(np.arange(len(every)) // len(lengths), every)
        self.kind = np.where(position >= 1 / BEAT_SHARE, 0, np.where(beat == 0, 2, 1))
        cost = -TEMPO_RIGIDITY * np.abs(lengths[:, None] / lengths[None] - 1)  # from row to column
        self.move = (cost - np.log(np.exp(cost).sum(axis=1, keepdims=True))).T  # (to, from)

    def run(self, activation: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Viterbi: (log-likelihood, frames at which beats begin, place of each in its bar)."""
        beat, down = np.clip(activation, 1e-4, 1 - 1e-4).T
        plain = np.clip(beat - down, 1e-4, 1)
        seen = np.log(np.stack([(1 - np.maximum(beat, down)) / (BEAT_SHARE - 1), plain, down], axis=1))
        tempi, metre = len(self.lengths), self.metre
        value = np.full(self.last[-1] + 1, -np.log(self.last[-1] + 1))
        came = np.zeros((len(activation), metre * tempi), np.int16)
        value += seen[0][self.kind]
        for frame in range(1, len(activation)):
            ends = np.roll(value[self.last].reshape(metre, tempi), 1, axis=0)  # the beat before, beat by beat
            options = ends[:, None, :] + self.move[None]
            source = options.argmax(axis=2)
            came[frame] = source.ravel()
            value[1:] = value[:-1]
            value[self.first] = np.take_along_axis(options, source[..., None], axis=2).ravel()
            value += seen[frame][self.kind]
        return float(value.max()), *self._back(int(value.argmax()), came)

    def _back(self, state: int, came: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Follow the pointers from the last frame's `state`."""
        tempi = len(self.lengths)
        block = int(np.searchsorted(self.last, state))
        frame = len(came) - 1 - (state - int(self.first[block]))
        frames, places = [], []
        while frame >= 0:
            frames.append(frame)
            places.append(block // tempi)
            if frame == 0:
                break
            before = int(came[frame, block])
            block = (block // tempi - 1) % self.metre * tempi + before
            frame -= int(self.lengths[before])
        return np.array(frames[::-1], int), np.array(places[::-1], int)
