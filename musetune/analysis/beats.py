"""When the beats are: the network's activations, the bar pointer's path through them, and the exact moment from the onsets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .bars import POINTER_FPS, point
from .nets import beat_net
from .onsets import FEATURE_FPS, FPS, beat_features, mel_levels, n_onsets, onset_strength
from .source import RATE
from .spectrum import Salience

BPM_RANGE = (50.0, 215.0)
HINT_WIDTH = 1.08  # a hinted tempo is looked for within 8 %


@dataclass(frozen=True)
class Beats:
    """`times_s` (n,) beats; `bpm` from their spacing; `confidence` 0…1, mean activation on the beats;
    `beats_per_bar` 3 or 4; `first` index of the first bar line; `metre_confidence` 0…1; `strength` (frames,) onset
    strength at FPS."""

    times_s: np.ndarray
    bpm: float
    confidence: float
    beats_per_bar: int
    first: int
    metre_confidence: float
    strength: np.ndarray

    @property
    def downbeats_s(self) -> np.ndarray:
        """Every bar's first beat, seconds."""
        return self.times_s[self.first :: self.beats_per_bar]


def track_beats(wave: np.ndarray, notes: Salience, *, tempo_hint: float | None = None) -> Beats | None:
    """Beats of `wave` (samples,) at RATE whose notes are `notes`; None where there is no pulse (fewer than four
    onsets, under 1.5 s).

    `tempo_hint` in bpm settles the octave: the tempo is then looked for within 8 % of it.
    """
    levels = mel_levels(wave)
    strength = onset_strength(levels)
    if len(strength) < 1.5 * FPS or n_onsets(strength) < 4:
        return None
    activation = _activation(levels, notes)
    span = BPM_RANGE if tempo_hint is None else (tempo_hint / HINT_WIDTH, tempo_hint * HINT_WIDTH)
    bars = point(activation, span)
    if len(bars.beats) < 3:
        return None
    times, added = cover(_refine(strength, bars.beats) / FPS, *sounding_range(wave))
    if len(times) < 3:
        return None
    first = (bars.first + added) % bars.beats_per_bar
    return Beats(
        times,
        tempo(times),
        float(activation[bars.beats, 0].mean()),
        bars.beats_per_bar,
        first,
        bars.confidence,
        strength,
    )


def beats_at(times_s: np.ndarray, wave: np.ndarray, notes: Salience) -> Beats:
    """Beats that are known: only metre and bar lines are looked for, by the mean log-odds of the network at each phase."""
    levels = mel_levels(wave)
    activation = _activation(levels, notes)
    near = np.lib.stride_tricks.sliding_window_view(np.pad(activation[:, 1], 3), 7).max(axis=1)
    down = np.clip(near[np.minimum((times_s * FPS).round().astype(int), len(near) - 1)], 1e-3, 1 - 1e-3)
    odds = np.log(down / (1 - down))
    scores = {(metre, first): odds[first::metre].mean() - odds.mean() for metre in (4, 3) for first in range(metre)}
    metre, first = max(scores, key=lambda option: scores[option])
    other = max(score for option, score in scores.items() if option[0] != metre)
    sure = float(1 / (1 + np.exp(other - scores[metre, first])))
    return Beats(times_s, tempo(times_s), 1.0, metre, first, sure, onset_strength(levels))


def tempo(times_s: np.ndarray) -> float:
    """Beats a minute: 60 over the median interval, each interval averaged with its neighbours to even out the frame grid."""
    reach = min(4, len(times_s) - 1)
    return 60 * reach / float(np.median(times_s[reach:] - times_s[:-reach]))


def _activation(levels: np.ndarray, notes: Salience) -> np.ndarray:
    """(frames at POINTER_FPS, 2)."""
    coarse = beat_net(beat_features(levels, notes))
    at = np.arange(len(levels)) * FEATURE_FPS / POINTER_FPS
    return np.stack([np.interp(at, np.arange(len(coarse)), column) for column in coarse.T], axis=1)


def sounding_range(wave: np.ndarray) -> tuple[float, float]:
    """(start, end) in seconds of what is within 45 dB of the loud parts (95th percentile of 50 ms blocks)."""
    block = RATE // 20
    padded = np.pad(wave, (0, -len(wave) % block)).reshape(-1, block)
    loudness = np.sqrt(np.square(padded).mean(axis=1))
    loud = np.flatnonzero(loudness > np.percentile(loudness, 95) * 10 ** (-45 / 20))
    if len(loud) == 0:
        return 0.0, len(wave) / RATE
    return float(loud[0] * block / RATE), float(min((loud[-1] + 1) * block, len(wave)) / RATE)


def cover(times_s: np.ndarray, start_s: float, end_s: float) -> tuple[np.ndarray, int]:
    """Beats from start to end of the sound: those outside dropped, missing ones at either end continued at the pace
    found there.

    Returns the times, and by how many beats the front grew (negative where it shrank).
    """
    slack = 0.07
    times = times_s[(times_s >= start_s - slack) & (times_s <= end_s)]
    dropped = int((times_s < start_s - slack).sum())
    if len(times) < 2:
        return times, -dropped
    first, last = np.median(np.diff(times[:5])), np.median(np.diff(times[-5:]))
    before = times[0] - first * np.arange(int((times[0] - start_s + slack) / first), 0, -1)
    after = times[-1] + last * np.arange(1, int((end_s - times[-1]) / last) + 1)
    return np.maximum(np.concatenate([before, times, after]), 0), len(before) - dropped


def _refine(strength: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Beat frames moved to the centre of gravity of the onset within 30 ms."""
    offsets = np.arange(-3, 4)
    frames = np.minimum(frames, len(strength) - 1)
    weight = np.pad(strength, 3)[frames[:, None] + 3 + offsets] + 0.05
    return frames + (weight * offsets).sum(axis=1) / weight.sum(axis=1)
