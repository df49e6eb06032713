"""Rewards for obedience: chords, beats, bar lines and key by our analyser, players' notes by our transcribers."""

from __future__ import annotations

import numpy as np

from musetune.analysis.listening.features import FPS, mel_levels
from musetune.analysis.listening.melody import hear_melody
from musetune.analysis.listening.onsets import CLEAR, onset_strengths
from musetune.audio import resample
from musetune.audio.source import RATE
from musetune.evaluation.adherence import chords_as_asked
from musetune.evaluation.likeness import melody_likeness
from musetune.evaluation.notes import notes_of, onset_f, strokes_of
from musetune.evaluation.rewards.players import bass_share, drum_contrasts
from musetune.evaluation.rewards.take import RequestedTake


def chords(take: RequestedTake) -> float | None:
    """Share of the time with a chord in the sheet in which all that its symbol asks for is heard, 0…1."""
    return chords_as_asked(take.sheet, take.report.estimate)


def beats(take: RequestedTake) -> float | None:
    """F-measure of the beats at ±70 ms, 0…1."""
    return take.report.scores["beat_f"]


def bars(take: RequestedTake) -> float | None:
    """F-measure of the bar lines at ±70 ms, 0…1."""
    return take.report.scores["downbeat_f"]


def key(take: RequestedTake) -> float | None:
    """MIREX weighted score of the key, 0…1."""
    return take.report.scores["key"]


def notes(take: RequestedTake) -> float | None:
    """Mean of what is heard of the players, 0…1.

    Strokes of any drum (F-measure at ±50 ms), the bass's and the lead's pitch classes (share of their time). Each only
    where the arrangement has the player; None where it has none. By our own onset detector, the analyser's spectra and
    `hear_melody`.
    """
    if take.arrangement is None:
        return None
    seconds = len(take.wave) / take.rate
    strokes = onset_f(strokes_of(take.arrangement, seconds)["all"], stroke_times(take.wave, take.rate))
    bass, lead = (notes_of(take.arrangement, player, seconds) for player in ("bass", "lead"))
    parts = [
        strokes,
        bass_share(bass, take.wave, take.rate) if len(bass) else None,
        melody_likeness(lead, hear_melody(take.wave, take.rate)) if len(lead) else None,
    ]
    told = [part for part in parts if part is not None]
    return float(np.mean(told)) if told else None


def drums(take: RequestedTake) -> float | None:
    """Mean of how surely kick and snare are told from the other strokes, 0…1; None where neither was asked for."""
    if take.arrangement is None:
        return None
    asked = strokes_of(take.arrangement, len(take.wave) / take.rate)
    told = drum_contrasts(asked, take.wave, take.rate) if len(asked["all"]) else {}
    return float(np.mean(list(told.values()))) if told else None


def stroke_times(wave: np.ndarray, rate: int) -> np.ndarray:
    """Seconds (n,) at which the low or the high register rises clearly: a kick, a snare, a hat.

    Example:
        >>> clicks = np.zeros(32000)
        >>> clicks[[8000, 24000]] = 1.0
        >>> stroke_times(clicks, 16000).round(1).tolist()
        [0.5, 1.5]
    """
    _, registers = onset_strengths(mel_levels(np.asarray(wave if rate == RATE else resample(wave, rate, RATE))))
    found: list[float] = []
    for strength in (registers[:, 0], registers[:, 2]):
        padded = np.pad(strength, 3, constant_values=0)
        highest = np.lib.stride_tricks.sliding_window_view(padded, 7).max(axis=1)
        found += list(np.flatnonzero((strength == highest) & (strength > min(CLEAR, 0.5 * strength.max()))) / FPS)
    times = np.unique(found)
    return times[np.diff(times, prepend=-1.0) > 0.03]
