"""Beats and bar lines together: the likeliest way for a bar pointer to run through the beat network's activations.

The bar-pointer hidden Markov model of Whiteley, Cemgil and Godsill (2006) in the state space of Krebs, Böck and
Widmer (ISMIR 2015): a state is a tempo and a position in the bar, and the tempo may change only at a beat. As
nothing is decided inside a beat, scores are kept where beats begin. Bars of three and of four run in separate
models, and the likelier wins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

POINTER_FPS = 100
N_TEMPI = 48
TEMPO_RIGIDITY = 80.0  # nats for a relative change of 1 in the beat's length
TEMPO_REACH = 4  # how many steps of the tempo grid it may move at one beat
BEAT_SHARE = 16  # the first sixteenth of a beat is where its onset is expected
METRE_PRIOR = {4: 0.0, 3: -2.0}  # nats for a whole clip


@dataclass(frozen=True)
class Bars:
    """`beats` (n,) frames at POINTER_FPS; `beats_per_bar` 3 or 4; `first` index of the first beat that opens a bar;
    `confidence` 0…1 of the metre against the other."""

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
    """One metre. A path is a chain of beats, each with a place in the bar and a length; scores are kept only where beats begin."""

    def __init__(self, lengths: np.ndarray, metre: int) -> None:
        self.lengths, self.metre = lengths, metre
        padded = np.pad(lengths.astype(float), TEMPO_REACH, constant_values=np.nan)
        source = np.lib.stride_tricks.sliding_window_view(
            padded, 2 * TEMPO_REACH + 1
        )  # of each tempo: which it may come from
        cost = -TEMPO_RIGIDITY * np.abs(source / lengths[:, None] - 1)
        self.move = np.where(np.isnan(cost), -np.inf, cost)

    def run(self, activation: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Viterbi: (log-likelihood, frames at which beats begin, place of each in its bar)."""
        beat, down = np.clip(activation, 1e-4, 1 - 1e-4).T
        plain = np.clip(beat - down, 1e-4, 1)
        nothing = np.log((1 - np.maximum(beat, down)) / (BEAT_SHARE - 1))
        total = [np.append(0, np.log(row).cumsum()) for row in (plain, down)]
        quiet = np.append(0, nothing.cumsum())
        head = np.maximum(1, np.ceil(self.lengths / BEAT_SHARE).astype(int))
        sums = np.stack([total[1]] + [total[0]] * (self.metre - 1))  # (metre, frames + 1)
        begun, came = self._forward(sums, quiet, head)
        return self._back(begun, came, sums, quiet, head)

    def _forward(self, sums: np.ndarray, quiet: np.ndarray, head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(begun, came), each (frames, metre, tempi): the best score of all before a beat that begins there, and
        the tempo of the beat before it (−1: none). No beat is shorter than lengths[0], so that many frames are
        computed at once."""
        frames, tempi, block = len(quiet) - 1, len(self.lengths), int(self.lengths[0])
        begun = np.full((frames, self.metre, tempi), -np.inf)
        came = np.zeros((frames, self.metre, tempi), np.int16)
        column, places = np.arange(tempi), np.arange(self.metre)[:, None]
        for low in range(0, frames, block):
            now = np.arange(low, min(low + block, frames))[:, None, None]
            start = now - self.lengths
            safe = np.maximum(start, 0)
            ended = begun[safe, places, column] + sums[places, safe + head] - sums[places, safe]
            ended = np.where(start >= 0, ended + quiet[now] - quiet[safe + head], -np.inf)
            reach = [(0, 0), (0, 0), (TEMPO_REACH, TEMPO_REACH)]
            padded = np.pad(np.roll(ended, 1, axis=1), reach, constant_values=-np.inf)
            options = np.lib.stride_tricks.sliding_window_view(padded, 2 * TEMPO_REACH + 1, axis=2) + self.move
            source, best = options.argmax(axis=3), options.max(axis=3)
            opening = (self.lengths > now) & (best < quiet[now])
            begun[now[:, 0, 0]] = np.where(opening, quiet[now], best)
            came[now[:, 0, 0]] = np.where(opening, -1, source + column - TEMPO_REACH)
        return begun, came

    def _back(
        self, begun: np.ndarray, came: np.ndarray, sums: np.ndarray, quiet: np.ndarray, head: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Choose the last beat, which may run over the end, and follow the chain to the first."""
        frames = len(begun)
        start = np.arange(frames)[:, None, None]
        top = np.minimum(start + head, frames)
        tail = sums[np.arange(self.metre)[:, None], top] - sums[:, :frames].T[..., None] + quiet[frames] - quiet[top]
        final = np.where(start + self.lengths >= frames, begun + tail, -np.inf)
        frame, place, tempo = (int(index) for index in np.unravel_index(int(final.argmax()), final.shape))
        chain = [(frame, place)]
        while (before := int(came[frame, place, tempo])) >= 0:
            frame, place, tempo = frame - int(self.lengths[before]), (place - 1) % self.metre, before
            chain.append((frame, place))
        at, places = np.array(chain[::-1]).T
        return float(final.max()), at, places
