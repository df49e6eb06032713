"""When the beats are: the network's activations, the bar pointer's path through them, and the exact moment from the
onsets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from musetune.analysis.listening.bars import POINTER_FPS, point
from musetune.analysis.listening.divisions import TRIPLE_BIAS, triple_ratio
from musetune.analysis.listening.features import FPS
from musetune.analysis.listening.network_inputs import FEATURE_FPS, beat_features
from musetune.analysis.listening.onsets import n_onsets, onset_strengths
from musetune.analysis.listening.spectrum import NoteSalience
from musetune.analysis.listening.vocabulary import BEATS, METERS
from musetune.symbols import Meter

BPM_RANGE = (48.0, 215.0)
CHANGE_WEIGHT = 6.0  # nats that a complete change of chord speaks for a bar line, tuned on songs outside the benchmark
TEMPO_ODDS = (2.2, -0.8)  # log-odds that the tempo is right: 2.2 · mean activation on the beats + 0.8, on those songs
KNOWN_THIRDS_WEIGHT = (
    4.0  # log-odds of 6/8 that an e-fold of onsets on thirds of known beats over their halves is worth
)
KNOWN_ODDS = (0.93, 0.28)  # log-odds that the meter of known beats is right: a constant, and a factor on its lead
STAY = 2.0  # nats for what the pointer found
HINT_WIDTH = 1.4  # a hint settles the octave alone; below 1.5, at which 6/8 in dotted quarters would be heard as 3/4
SHORTEST_S = 1.5


@dataclass(frozen=True)
class BeatTrack:
    """`times_s` (n,) beats; `bpm` from their spacing; `confidence` 0…1, how often the tempo is right where the
    network hears the beats so clearly (TEMPO_ODDS); `meter`, whose
    beats these are (dotted quarters in 6/8, eighths in 7/8); `first` index of the first bar line; `meter_confidence`
    0…1; `odds` (n,) log-odds of a bar line at each beat, as the network hears it; onset strength at FPS: `strength`
    (frames,) of the whole, `bands` (frames, 3) of low, middle and high register."""

    times_s: np.ndarray
    bpm: float
    confidence: float
    meter: Meter
    first: int
    meter_confidence: float
    odds: np.ndarray
    strength: np.ndarray
    bands: np.ndarray

    @property
    def beats_per_bar(self) -> int:
        """Beats in a bar."""
        return self.meter.beats_per_bar

    @property
    def downbeats_s(self) -> np.ndarray:
        """Every bar's first beat, seconds."""
        return self.times_s[self.first :: self.beats_per_bar]


def track_beats(levels: np.ndarray, notes: NoteSalience, *, tempo_hint: float | None = None) -> BeatTrack | None:
    """Beats of a sound with mel `levels` (frames at FPS, N_MELS) and `notes`.

    None where there is no pulse (fewer than four onsets, under 1.5 s).

    `tempo_hint` in bpm settles the octave: the tempo is then looked for from 1 / 1.4 to 1.4 times it.
    """
    strength, bands = onset_strengths(levels)
    if len(strength) < SHORTEST_S * FPS or n_onsets(strength) < 4:
        return None
    activation, meters = _network_output(levels, notes)
    span = BPM_RANGE if tempo_hint is None else (tempo_hint / HINT_WIDTH, tempo_hint * HINT_WIDTH)
    bars = point(activation, meters, span, hinted=tempo_hint is not None, onsets=(strength, bands))
    if len(bars.beats) < 3:
        return None
    times, added = cover(_refine(strength, bars.beats) / FPS, *sounding_range(levels))
    if len(times) < 3:
        return None
    meter = Meter.parse(bars.meter)
    first = (bars.first + added) % meter.beats_per_bar
    mean_activation = float(activation[np.minimum(bars.beats, len(activation) - 1), 0].mean())
    sure = float(1 / (1 + np.exp(TEMPO_ODDS[1] - TEMPO_ODDS[0] * mean_activation)))
    odds = bar_odds(activation, times)
    return BeatTrack(times, tempo(times), sure, meter, first, bars.confidence, odds, strength, bands)


def beats_at(times_s: np.ndarray, levels: np.ndarray, notes: NoteSalience) -> BeatTrack:
    """Beats that are known: only meter and bar lines are looked for, by the mean log-odds of the network at each phase,
    what it thinks of each meter, and for 6/8 whether onsets divide the beats in three.
    """
    activation, meters = _network_output(levels, notes)
    odds = bar_odds(activation, times_s)
    strength, bands = onset_strengths(levels)
    frames = np.minimum((times_s * FPS).round().astype(int), len(strength) - 1)
    thirds = {"6/8": KNOWN_THIRDS_WEIGHT * (triple_ratio(strength, frames) + TRIPLE_BIAS)}
    scores = {
        (name, first): odds[first :: BEATS[name]].mean()
        - odds.mean()
        + meters[METERS.index(name)]
        + thirds.get(name, 0)
        for name in METERS
        for first in range(min(BEATS[name], len(odds)))
    }
    name, first = max(scores, key=lambda option: scores[option])
    other = max(score for option, score in scores.items() if option[0] != name)
    sure = float(1 / (1 + np.exp(-KNOWN_ODDS[0] - KNOWN_ODDS[1] * (scores[name, first] - other))))
    meter = Meter.parse(name)
    return BeatTrack(times_s, tempo(times_s), 1.0, meter, first, sure, odds, strength, bands)


def bar_odds(activation: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """(n,) log-odds of a bar line within 30 ms of each beat, by `activation` (frames at FPS, 2)."""
    near = np.lib.stride_tricks.sliding_window_view(np.pad(activation[:, 1], 3), 7).max(axis=1)
    down = np.clip(near[np.minimum((times_s * FPS).round().astype(int), len(near) - 1)], 1e-3, 1 - 1e-3)
    return np.log(down / (1 - down))


def bars_by_harmony(beats: BeatTrack, changes: np.ndarray) -> BeatTrack:
    """Move the bar lines to where the network hears them and harmony changes; the beats stay.

    Of all places in the bar the one with the highest mean of log-odds + CHANGE_WEIGHT · `changes` (n,) 0…1, how much
    the chord changes at each beat.
    """
    size = min(beats.beats_per_bar, len(changes))
    odds = beats.odds + CHANGE_WEIGHT * changes
    worth = [odds[phase::size].mean() + (STAY if phase == beats.first else 0.0) for phase in range(size)]
    return replace(beats, first=int(np.argmax(worth)))


def bar_lines(beats: BeatTrack, edges_beat: np.ndarray) -> np.ndarray:
    """Bar lines in beats of the grid, from before its first to past its last."""
    bar = beats.beats_per_bar
    low = beats.first - bar * int(np.ceil((beats.first - edges_beat[0]) / bar))
    return np.arange(low, edges_beat[-1] + bar, bar)


def tempo(times_s: np.ndarray) -> float:
    """Beats a minute: 60 over the median interval, each interval averaged with its neighbours to even out the frame
    grid.
    """
    reach = min(4, len(times_s) - 1)
    return 60 * reach / float(np.median(times_s[reach:] - times_s[:-reach]))


def _network_output(levels: np.ndarray, notes: NoteSalience) -> tuple[np.ndarray, np.ndarray]:
    """(frames at POINTER_FPS, 2) activations, (METERS,) log-probabilities."""
    from musetune.analysis.listening.networks import hear_beats

    coarse, meters = hear_beats(beat_features(levels, notes))
    at = np.arange(len(levels)) * FEATURE_FPS / POINTER_FPS
    return np.stack([np.interp(at, np.arange(len(coarse)), column) for column in coarse.T], axis=1), meters


def sounding_range(levels: np.ndarray) -> tuple[float, float]:
    """(start, end) in seconds of what is louder than a fiftieth of the loud parts (95th percentile of mean level)."""
    loudness = levels.mean(axis=1, dtype=np.float32)
    loud = np.flatnonzero(loudness > 0.02 * np.percentile(loudness, 95))
    if len(loud) == 0:
        return 0.0, len(levels) / FPS
    return float(loud[0]) / FPS, float(loud[-1] + 1) / FPS


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
