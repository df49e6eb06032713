"""How the rhythm behaves against the meter: from the onsets heard in three registers, or from notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from musetune.analysis.listening.beats import BeatTrack
from musetune.analysis.listening.onsets import FPS
from musetune.symbols import Meter
from musetune.symbols.json_values import JsonObject
from musetune.theory.rhythm import syncopation as sync
from musetune.theory.rhythm.polyrhythm import polyrhythm, swing_ratio

if TYPE_CHECKING:
    from musetune.symbols.score import Score

BANDS = ("low", "middle", "high")  # columns of Beats.bands
APART_S = 0.06  # an onset is the strongest within this reach
CLEAR = 0.35  # of a strong onset (90th percentile of its register): a third keeps a drum's click out of the cymbals
DRUMS = {
    "kick": (35, 36),
    "snare": (37, 38, 39, 40),
    "toms": (41, 43, 45, 47, 48, 50),
}  # General MIDI; others are cymbals


def rhythmic_analysis(track: BeatTrack) -> JsonObject:
    """The record's `rhythmic_analysis` of a recording, its layers the onsets in low, middle and high register."""
    layers = beat_layers(track)
    return rhythmic_analysis_of_layers(layers, track.meter, first_downbeat=float(track.first), beats_s=track.times_s)


def rhythmic_analysis_of_notes(score: Score) -> JsonObject:
    """The record's `rhythmic_analysis` of a score in the meter that holds for longest.

    Layers are its parts and drums.
    """
    ends = [*(span.start for span in score.meters[1:]), score.length]
    at = max(range(len(score.meters)), key=lambda i: ends[i] - score.meters[i].start)
    start, end = score.meters[at].start, ends[at]
    layers = {name: onsets[(onsets >= start) & (onsets < end)] for name, onsets in score_layers(score).items()}
    first = score.first_downbeat if at == 0 else start
    beats_s = np.asarray(score.grid.time_at(np.arange(np.ceil(float(start)), float(end) + 1e-6)))
    return rhythmic_analysis_of_layers(layers, score.meters[at].meter, first_downbeat=float(first), beats_s=beats_s)


def rhythmic_analysis_of_layers(
    layers: Mapping[str, np.ndarray],
    meter: Meter,
    *,
    first_downbeat: float = 0.0,
    beats_s: np.ndarray | None = None,
) -> JsonObject:
    """The record's `rhythmic_analysis` of onsets in beats (floats) per layer.

    `complexity_score` is the mean of the syncopation index, the entropy of places in the bar and that of intervals
    between onsets (those that can be told, see `musetune.theory.rhythm.syncopation`); `polyrhythm` as defined in
    `musetune.theory.rhythm.polyrhythm`; `swing_ratio` null in compound meters, whose beats have three parts, and where
    too few beats are divided in two; `tempo_stability` of `beats_s` (n,) seconds, null without.
    """
    groups = sync.groups_of(meter, layers, first_downbeat)
    index = sync.syncopation_index(layers, meter, first_downbeat=first_downbeat)
    variety = sync.position_entropy(layers, meter, first_downbeat=first_downbeat)
    parts = [part for part in (index, variety, sync.interval_entropy(layers)) if part is not None]
    ratios = polyrhythm(layers, meter, first_downbeat=first_downbeat)
    return {
        "syncopation_index": index,
        "syncopation_lhl_per_bar": sync.lhl_per_bar(layers, meter, first_downbeat=first_downbeat),
        "complexity_score": round(sum(parts) / len(parts), 3) if parts else None,
        "time_signature": str(meter),
        "metric_hierarchy": sync.metric_hierarchy(meter, groups),
        "polyrhythm": {
            "present": ratios is not None,
            "ratio": None if ratios is None else f"{ratios.ratio[0]}:{ratios.ratio[1]}",
            "strength": 0.0 if ratios is None else ratios.strength,
        },
        "swing_ratio": None if meter.compound else swing_ratio(layers),
        "tempo_stability": None if beats_s is None else tempo_stability(beats_s),
        "onsets_per_second": None if beats_s is None else onset_density(layers, beats_s),
    }


def onset_density(layers: Mapping[str, np.ndarray], beats_s: np.ndarray) -> float | None:
    """Onsets of all layers together over the seconds from the first beat to the last; None under two beats."""
    return round(sum(map(len, layers.values())) / float(beats_s[-1] - beats_s[0]), 3) if len(beats_s) > 1 else None


def beat_layers(track: BeatTrack) -> dict[str, np.ndarray]:
    """Onsets in beats of each register in BANDS: maxima within APART_S that are CLEAR."""
    return register_layers(track.times_s, track.bands)


def register_layers(times_s: np.ndarray, bands: np.ndarray) -> dict[str, np.ndarray]:
    """Onsets in beats of each register: onset strengths (frames at FPS, 3) against beats (n,) in seconds."""
    index = np.arange(len(times_s), dtype=float)
    frames = {name: onset_frames(column) for name, column in zip(BANDS, bands.T, strict=True)}
    inside = {name: at[(at >= times_s[0] - APART_S) & (at <= times_s[-1])] for name, at in frames.items()}
    return {name: np.interp(at, times_s, index) for name, at in inside.items()}


def onset_frames(strength: np.ndarray) -> np.ndarray:
    """(n,) seconds of the onsets in `strength` (frames at FPS,), to a part of a frame by a parabola through the
    peak.
    """
    reach = round(APART_S * FPS)
    window = np.lib.stride_tricks.sliding_window_view(np.pad(strength, reach), 2 * reach + 1).max(axis=1)
    peaks = np.flatnonzero((strength == window) & (strength > 0))
    if not len(peaks):
        return np.zeros(0)
    peaks = peaks[np.diff(peaks, prepend=-reach - 1) > reach]  # of a plateau, where it begins
    peaks = peaks[strength[peaks] >= CLEAR * np.percentile(strength[peaks], 90)]
    padded = np.pad(strength, 1, mode="edge")
    before, here, after = padded[peaks], padded[peaks + 1], padded[peaks + 2]
    bend = before - 2 * here + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.minimum(bend, -1e-12), 0.0)
    return (peaks + np.clip(shift, -0.5, 0.5)) / FPS


def score_layers(score: Score) -> dict[str, np.ndarray]:
    """Onsets in beats of each part (its voices together) and of kick, snare, toms and cymbals."""
    rows: dict[str, list[float]] = {}
    for name, voice in zip(score.names, score.voices, strict=True):
        rows.setdefault(name, []).extend(float(note.start) for note in voice)
    for note in score.percussion:
        drum = next((name for name, pitches in DRUMS.items() if note.pitch in pitches), "cymbals")
        rows.setdefault(f"drums: {drum}", []).append(float(note.start))
    return {name: np.unique(onsets) for name, onsets in rows.items()}


def tempo_stability(times_s: np.ndarray | Sequence[float]) -> float | None:
    """1 − the coefficient of variation of beat intervals, at least 0; the middle 90 % of intervals, so that a few
    slips do not count. None under six beats."""
    intervals = np.sort(np.diff(times_s))
    if len(intervals) < 5:
        return None
    cut = len(intervals) // 20
    middle = intervals[cut : len(intervals) - cut]
    return round(float(max(0.0, 1 - middle.std() / middle.mean())), 3)
