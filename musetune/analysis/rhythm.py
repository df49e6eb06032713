"""How the rhythm behaves against the metre, from onset strength at sixteenths of the beats.

`polyrhythm` is null: onsets of a mixture do not tell which voice plays against which.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from .beats import Beats
from .onsets import FPS

STEPS = 4  # grid steps a beat
# Longuet-Higgins and Lee (1984): the weight of a position is minus the number of times the bar was divided to reach it
BEAT_WEIGHTS = {4: (0, -2, -1, -2), 3: (0, -1, -1)}
HIERARCHY = {
    4: {"strong_beats": [1, 3], "weights": [1.0, 0.25, 0.5, 0.25]},
    3: {"strong_beats": [1], "weights": [1.0, 0.25, 0.25]},
}


def rhythmic_analysis(found: Beats) -> dict[str, Any]:
    """The record's `rhythmic_analysis`."""
    played = onset_grid(found)
    syncopation = syncopation_index(played, found.beats_per_bar)
    variety = position_entropy(played)
    known = syncopation is not None and variety is not None
    return {
        "syncopation_index": syncopation,
        "complexity_score": round((syncopation + variety) / 2, 3) if known else None,  # type: ignore[operator]
        "time_signature": f"{found.beats_per_bar}/4",
        "metric_hierarchy": HIERARCHY[found.beats_per_bar],
        "polyrhythm": None,
        "swing_ratio": swing_ratio(found),
        "tempo_stability": tempo_stability(found.times_s),
    }


def onset_grid(found: Beats) -> np.ndarray:
    """(bars, steps) bool: is there an onset on each sixteenth of each whole bar? An onset is a local maximum above
    half the mean strength of beats, within a quarter step."""
    first, per_bar = found.first, found.beats_per_bar
    whole = (len(found.times_s) - 1 - first) // per_bar
    if whole < 1:
        return np.zeros((0, per_bar * STEPS), bool)
    steps = np.arange(whole * per_bar * STEPS) / STEPS + first
    times = np.interp(steps, np.arange(len(found.times_s)), found.times_s)
    reach = max(1, int(FPS * 60 / found.bpm / STEPS / 3))
    strength = np.pad(found.strength, reach)
    at = np.clip((times * FPS).round().astype(int), 0, len(found.strength) - 1)
    near = np.lib.stride_tricks.sliding_window_view(strength, 2 * reach + 1)[at].max(axis=1)
    return (near > 0.5 * near[::STEPS].mean()).reshape(whole, per_bar * STEPS)


def syncopation_index(played: np.ndarray, beats_per_bar: int) -> float | None:
    """Share of onsets that are syncopated after Longuet-Higgins and Lee (1984): followed by silence on a position
    that is stronger than their own, before the next onset. None under eight onsets."""
    weights = np.tile(_step_weights(beats_per_bar), len(played))
    onsets = np.flatnonzero(played.ravel())
    if len(onsets) < 8:
        return None
    syncopated = 0
    for here, after in pairwise(onsets):
        between = weights[here + 1 : after]
        syncopated += bool(len(between) and between.max() > weights[here])
    return round(syncopated / (len(onsets) - 1), 3)


def _step_weights(beats_per_bar: int) -> np.ndarray:
    """(beats · STEPS,) metrical weights of the sixteenths of a bar."""
    deepest = min(BEAT_WEIGHTS[beats_per_bar])
    rows = [(beat, deepest - 2, deepest - 1, deepest - 2) for beat in BEAT_WEIGHTS[beats_per_bar]]
    return np.array(rows).ravel()


def position_entropy(played: np.ndarray) -> float | None:
    """0…1, our own measure: entropy of where in the bar onsets fall, over that of the uniform distribution; None without onsets."""
    counts = played.sum(axis=0) if len(played) else np.zeros(1)
    if counts.sum() < 8:
        return None
    share = counts[counts > 0] / counts.sum()
    return round(float(-(share * np.log2(share)).sum() / np.log2(len(counts))), 3)


def swing_ratio(found: Beats) -> float | None:
    """Long over short half of the beat: the median over beats that have a clear onset between 40 % and 80 % of
    their way; 1 is even, 2 a triplet shuffle. None under eight such beats."""
    threshold = 0.4 * np.mean([found.strength[min(int(time * FPS), len(found.strength) - 1)] for time in found.times_s])
    ratios = []
    for start, end in pairwise(found.times_s):
        low, high = int((start + 0.4 * (end - start)) * FPS), int((start + 0.8 * (end - start)) * FPS)
        part = found.strength[low:high]
        if len(part) and part.max() > threshold:
            place = ((low + int(part.argmax())) / FPS - start) / (end - start)
            ratios.append(place / (1 - place))
    return round(float(np.median(ratios)), 3) if len(ratios) >= 8 else None


def tempo_stability(times_s: np.ndarray) -> float | None:
    """1 − the coefficient of variation of beat intervals, at least 0; the middle 90 % of intervals, so that a few
    slips do not count. None under six beats."""
    intervals = np.sort(np.diff(times_s))
    if len(intervals) < 5:
        return None
    cut = len(intervals) // 20
    kept = intervals[cut : len(intervals) - cut]
    return round(float(max(0.0, 1 - kept.std() / kept.mean())), 3)
