"""Beats and bar lines together: the likeliest way for a bar pointer to run through the beat network's activations.

The bar-pointer hidden Markov model of Whiteley, Cemgil and Godsill (2006) in the state space of Krebs, Böck and
Widmer (ISMIR 2015): a state is a tempo and a position in the bar, and the tempo may change only at a beat. As
nothing is decided inside a beat, scores are kept where beats begin. Each number of beats a bar runs in a model of
its own, and the likeliest wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from musetune.analysis.listening.divisions import TRIPLE_BIAS, accent_ratio, triple_ratio
from musetune.analysis.listening.vocabulary import BEATS, METERS

POINTER_FPS = 100
N_TEMPI = 48
STRETCH = 600 * POINTER_FPS  # frames looked at in one go
TEMPO_RIGIDITY = 80.0  # nats for a relative change of 1 in the beat's length
TEMPO_REACH = 4  # how many steps of the tempo grid it may move at one beat
BEAT_SHARE = 16  # the first sixteenth of a beat is where its onset is expected
METER_MARGIN = 5.0  # meters that the network holds this many nats less likely than the best are not tried
METER_WEIGHT = 2.0  # nats a second that a nat of the network's mean opinion is worth against the pointer's likelihood
THIRDS_WEIGHT = 6.0  # nats a second for 6/8 that an e-fold of onsets on thirds over halves of its beats is worth
THIRDS_AGAINST_QUARTERS = 4.0  # the same against 4/4, where thirds of its own beats sound
ACCENT_GATE = 2.0  # with which power of `accent_ratio` thirds count less where the bar is struck as 3/4 is
METER_ODDS = (0.0, 0.36)  # log-odds that the meter is right: a constant, and a factor on its lead in nats a second
ALTERNATION = 1.5  # where every second beat's activation is this many times the others', only those are beats
ALTERNATION_OF_FEW = 2.5  # the same of fewer beats than MANY, which alternate by chance
MANY = 40
FLOOR = 1e-4  # of an activation
TRIED = ("3/4", "4/4", "6/8")  # even where the network holds them unlikely
NONE = 127  # no beat before
FASTER = {"7/8": 1.6, "6/8": 0.7}  # the beats of these are eighths and dotted quarters


@dataclass(frozen=True)
class BarTrack:
    """`beats` (n,) frames at POINTER_FPS; `meter` such as "6/8"; `first` index of the first beat that opens a bar;
    `confidence` 0…1, how often the meter is right where it leads so far (METER_ODDS)."""

    beats: np.ndarray
    meter: str
    first: int
    confidence: float


def point(
    activation: np.ndarray,
    meters: np.ndarray,
    bpm_range: tuple[float, float],
    hinted: bool = False,
    onsets: tuple[np.ndarray, np.ndarray] | None = None,
) -> BarTrack:
    """The likeliest beats, bars and meter.

    A meter's score is the pointer's log-likelihood, what the network thinks of the meter, and whether onsets divide
    beats and bars as it does (`division_score`); all count by the second.

    Args:
        activation: (frames, 2) probabilities of beat and bar line at POINTER_FPS.
        meters: (METERS,) log-probabilities of the network.
        bpm_range: Tempi that are looked for, in quarters (see FASTER) unless `hinted`.
        hinted: Whether the range is of beats, whatever they are.
        onsets: Onset strength at POINTER_FPS in standard deviations, (frames,) of the whole and (frames, 3) of low,
            middle and high register; None: how beats and bars are divided is not looked at.
    """
    opinion = dict(zip(METERS, np.maximum(meters - meters.max(), -METER_MARGIN).tolist(), strict=True))
    likely = [name for name in METERS if opinion[name] > -METER_MARGIN or (onsets is not None and name in TRIED)]
    seconds = len(activation) / POINTER_FPS
    runs, scores = {}, {}
    for name in likely:
        factor = 1.0 if hinted else FASTER.get(name, 1.0)
        longest, shortest = (60 * POINTER_FPS / bpm / factor for bpm in bpm_range)
        lengths = np.unique(np.geomspace(shortest, longest, N_TEMPI).round().astype(int))
        likelihood, *runs[name] = _along(_BarPointer(lengths, BEATS[name]), activation)
        scores[name] = likelihood / seconds + METER_WEIGHT * opinion[name]
        if onsets is not None and len(runs[name][0]):
            frames, position = runs[name]
            scores[name] += division_score(name, *onsets, frames, int((-position[0]) % BEATS[name]))
    best = max(scores, key=lambda name: scores[name])
    frames, position = runs[best]
    slowest = 60 * POINTER_FPS / bpm_range[0] / FASTER.get(best, 1.0)
    least = ALTERNATION if len(frames) >= MANY else ALTERNATION_OF_FEW
    uneven = not hinted and BEATS[best] > 2 and alternation(activation, frames) > least  # of two one is a bar line
    if uneven and 2 * np.median(np.diff(frames)) <= slowest:
        lengths = np.median(np.diff(frames)) * np.geomspace(1.6, 2.5, N_TEMPI // 2)
        twice = _BarPointer(np.unique(np.minimum(lengths, slowest).round().astype(int)), BEATS[best])
        _, frames, position = _along(twice, activation)
    first = int((-position[0]) % BEATS[best]) if len(position) else 0
    rivals = [score for name, score in scores.items() if name != best] + [-METER_WEIGHT * METER_MARGIN + scores[best]]
    lead = float(scores[best] - max(rivals))
    return BarTrack(frames, best, first, float(1 / (1 + np.exp(-METER_ODDS[0] - METER_ODDS[1] * lead))))


def alternation(activation: np.ndarray, beats: np.ndarray) -> float:
    """How many times stronger every second beat is than those between, at least 1; 1 for fewer than eight beats.

    Args:
        activation: (frames, 2) probabilities of beat and bar line.
        beats: (n,) frames at which beats begin.

    Example:
        >>> activation = np.tile([0.9, 0.1, 0.3, 0.1], 8)[:, None] * np.ones(2)
        >>> round(alternation(activation, np.arange(0, 32, 2)), 6)
        3.0
    """
    if len(beats) < 8:
        return 1.0
    strength = np.maximum(activation[np.minimum(beats, len(activation) - 1), 0], FLOOR)
    ratio = float(strength[::2].mean() / strength[1::2].mean())
    return max(ratio, 1 / ratio)


def division_score(name: str, strength: np.ndarray, bands: np.ndarray, beats: np.ndarray, first: int) -> float:
    """Nats a second by which onsets speak for a meter: how its beats are divided, and its bars accented.

    Thirds of its beats speak for 6/8, unless the accents are those of 3/4, and against 4/4; of other meters nothing.

    Args:
        name: The meter.
        strength: (frames,) onset strength at POINTER_FPS in standard deviations.
        bands: (frames, 3) of low, middle and high register.
        beats: (n,) frames at which the beats of the meter begin.
        first: Index of the first that opens a bar.
    """
    if name not in ("4/4", "6/8"):
        return 0.0
    thirds = triple_ratio(strength, beats) + TRIPLE_BIAS
    if name == "4/4":
        return -THIRDS_AGAINST_QUARTERS * max(thirds, 0.0)
    accents = min(1.0, float(np.exp(ACCENT_GATE * accent_ratio(bands, beats, first)))) if thirds > 0 else 1.0
    return THIRDS_WEIGHT * thirds * accents


def _along(pointer: _BarPointer, activation: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """`_BarPointer.run` of any length, in stretches of ten minutes so that memory is bounded; a beat that two
    stretches both claim counts once."""
    total, frames, positions = 0.0, np.zeros(0, int), np.zeros(0, int)
    cuts = [*range(0, max(len(activation) - STRETCH // 2, 1), STRETCH), len(activation)]  # no short stretch at the end
    for start, end in pairwise(cuts):
        score, beats, position = pointer.run(activation[start:end])
        new = beats + start > (frames[-1] + pointer.lengths[0] / 2 if len(frames) else -1)
        total, frames = total + score, np.concatenate([frames, beats[new] + start])
        positions = np.concatenate([positions, position[new]])
    return total, frames, positions


class _BarPointer:
    """One number of beats.

    A path is a chain of beats, each with a place in the bar and a length; scores are kept only where beats begin, and
    only as far back as the longest beat; where each came from is kept for good (a byte a state).
    """

    def __init__(self, lengths: np.ndarray, meter: int) -> None:
        self.lengths, self.meter = lengths, meter
        padded = np.pad(lengths.astype(float), TEMPO_REACH, constant_values=np.nan)
        source = np.lib.stride_tricks.sliding_window_view(
            padded, 2 * TEMPO_REACH + 1
        )  # of each tempo: which it may come from
        cost = -TEMPO_RIGIDITY * np.abs(source / lengths[:, None] - 1)
        self.move = np.where(np.isnan(cost), -np.inf, cost).astype(np.float32)

    def run(self, activation: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Viterbi: (log-likelihood, frames at which beats begin, place of each in its bar)."""
        beat, down = np.clip(activation, FLOOR, 1 - FLOOR).T
        plain = np.clip(beat - down, FLOOR, 1)
        nothing = np.log((1 - np.maximum(beat, down)) / (BEAT_SHARE - 1))
        total = [np.append(0, np.log(row).cumsum()) for row in (plain, down)]
        quiet = np.append(0, nothing.cumsum())
        head = np.maximum(1, np.ceil(self.lengths / BEAT_SHARE).astype(int))
        sums = np.stack([total[1]] + [total[0]] * (self.meter - 1))  # (meter, frames + 1)
        came, tail = self._forward(sums, quiet, head)
        return self._back(came, tail, sums, quiet, head)

    def _forward(self, sums: np.ndarray, quiet: np.ndarray, head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`came` (frames, meter, tempi): steps to the tempo of the beat before (NONE: there is none); and the last
        max(lengths) rows of the best score of all before a beat that begins there. No beat is shorter than lengths[0],
        so that many frames are computed at once.
        """
        frames, tempi, block = len(quiet) - 1, len(self.lengths), int(self.lengths[0])
        reach = int(self.lengths[-1])
        begun = np.full((reach + block, self.meter, tempi), -np.inf)  # rows: frames low − reach … low + block
        came = np.full((frames, self.meter, tempi), NONE, np.int8)
        column, positions = np.arange(tempi), np.arange(self.meter)[:, None]
        edge = [(0, 0), (0, 0), (TEMPO_REACH, TEMPO_REACH)]
        for low in range(0, frames, block):
            now = np.arange(low, min(low + block, frames))[:, None, None]
            start = now - self.lengths
            safe = np.maximum(start, 0)
            ended = begun[start - low + reach, positions, column] + sums[positions, safe + head] - sums[positions, safe]
            ended = np.where(start >= 0, ended + quiet[now] - quiet[safe + head], -np.inf)
            padded = np.pad(np.roll(ended, 1, axis=1), edge, constant_values=-np.inf)
            options = np.lib.stride_tricks.sliding_window_view(padded, 2 * TEMPO_REACH + 1, axis=2) + self.move
            source, best = options.argmax(axis=3), options.max(axis=3)
            opening = (self.lengths > now) & (best < quiet[now])
            begun[reach : reach + len(now)] = np.where(opening, quiet[now], best)
            came[now[:, 0, 0]] = np.where(opening, NONE, source - TEMPO_REACH)
            begun = np.roll(begun, -len(now), axis=0)
        return came, begun[:reach][-min(reach, frames) :]

    def _back(
        self, came: np.ndarray, begun: np.ndarray, sums: np.ndarray, quiet: np.ndarray, head: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Choose the last beat, which may run over the end, and follow the chain to the first."""
        frames = len(came)
        low = frames - len(begun)
        start = np.arange(low, frames)[:, None, None]
        top = np.minimum(start + head, frames)
        tail = sums[np.arange(self.meter)[:, None], top] - sums[:, low:frames].T[..., None] + quiet[frames] - quiet[top]
        final = np.where(start + self.lengths >= frames, begun + tail, -np.inf)
        frame, position, tempo = (int(index) for index in np.unravel_index(int(final.argmax()), final.shape))
        frame += low
        chain = [(frame, position)]
        while (step := int(came[frame, position, tempo])) != NONE:
            before = tempo + step
            frame, position, tempo = frame - int(self.lengths[before]), (position - 1) % self.meter, before
            chain.append((frame, position))
        at, positions = np.array(chain[::-1]).T
        return float(final.max()), at, positions
