"""From a sound to what is played: `analyze` gives the whole record, `hear` only what a report needs."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

import numpy as np

from .beats import Beats, beats_at, track_beats
from .chords import ChordTrack, change_costs, decode, half_beats, pool, score, spans_of
from .keys import find_key
from .record import Analysis, assemble
from .source import Sound, listen
from .spectrum import Salience, salience

SHORTEST_S = 1.5


@dataclass(frozen=True)
class Heard:
    """What a listener reports of a clip. `intervals_s` (n, 2) covering it, `labels` Harte, `confidence` (n,) 0…1;
    `beats_s`, `downbeats_s`; `key` and `bpm` are None where nothing tells."""

    intervals_s: np.ndarray
    labels: list[str]
    confidence: np.ndarray
    beats_s: np.ndarray
    downbeats_s: np.ndarray
    key: str | None
    bpm: float | None


def analyze(
    audio: str | PathLike | np.ndarray,
    sr: int | None = None,
    *,
    beats: np.ndarray | None = None,
    tempo_hint: float | None = None,
) -> Analysis:
    """Beats, bars, key and chords of `audio`: a path, or floats (samples,) or (channels, samples) at `sr` Hz.

    `beats` (n ≥ 4,) seconds, rising, replaces beat tracking; `tempo_hint` in bpm settles the octave of the tempo.
    Raises ValueError for what cannot be read, is silent, is under 1.5 s or has no pulse.
    """
    sound = listen(audio, sr)
    name = sound.source.file or "the array"
    if sound.silent:
        raise ValueError(f"{name} is silent ({sound.level_dbfs:.0f} dBFS): nothing to analyse")
    if sound.duration_s < SHORTEST_S:
        raise ValueError(f"{name} lasts {sound.duration_s:.2f} s; at least {SHORTEST_S} s are needed to find a beat")
    notes = salience(sound.wave)
    if beats is not None:
        found: Beats | None = beats_at(_checked_beats(beats, sound), sound.wave, notes)
    else:
        found = track_beats(sound.wave, notes, tempo_hint=tempo_hint)
    if found is None:
        raise ValueError(
            f"{name} has no pulse (fewer than four onsets); give beats=[…] in seconds to analyse it anyway"
        )
    track = _chords(notes, found.times_s, sound.duration_s, found)
    key, key_confidence = find_key(track, _mean_treble(notes))
    return assemble(sound, found, track, key, key_confidence)


def hear(wave: np.ndarray, sr: int, *, tempo_hint: float | None = None) -> Heard:
    """Listen to `wave`, floats (samples,) or (channels, samples) at `sr` Hz, without insisting that it is music:
    silence is one N, a sound without pulse has no beats. Raises ValueError only for what is no sound at all (NaN,
    wrong shape)."""
    sound = listen(wave, sr)
    empty = np.zeros(0)
    if sound.silent:
        return Heard(np.array([[0.0, sound.duration_s]]), ["N"], np.ones(1), empty, empty, None, None)
    notes = salience(sound.wave)
    found = track_beats(sound.wave, notes, tempo_hint=tempo_hint)
    grid = found.times_s if found else np.arange(0, max(sound.duration_s, 0.5) + 0.5, 0.5)
    track = _chords(notes, grid, sound.duration_s, found)
    key, key_confidence = find_key(track, _mean_treble(notes))
    beats_s, downbeats_s, bpm = (found.times_s, found.downbeats_s, found.bpm) if found else (empty, empty, None)
    return Heard(
        track.intervals_s,
        track.labels,
        track.confidence,
        beats_s,
        downbeats_s,
        key if key_confidence > 0 else None,
        bpm,
    )


def _checked_beats(beats: np.ndarray, sound: Sound) -> np.ndarray:
    times = np.asarray(beats, float)
    if times.ndim != 1 or len(times) < 4 or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ValueError(f"beats={beats!r}: give at least four rising times in seconds")
    if times[0] < 0 or times[-1] > sound.duration_s:
        raise ValueError(
            f"beats from {times[0]:.2f} to {times[-1]:.2f} s lie outside the sound (0–{sound.duration_s:.2f} s)"
        )
    return times


def _chords(notes: Salience, beats_s: np.ndarray, duration_s: float, found: Beats | None) -> ChordTrack:
    edges_s, edges_beat = half_beats(beats_s, duration_s)
    scores = score(notes, edges_s)
    downbeats = None
    if found is not None:
        reach = np.arange(-len(edges_beat), len(edges_beat) + 1)
        downbeats = found.first + found.beats_per_bar * reach
    path = decode(scores, change_costs(edges_beat, downbeats))
    return spans_of(path, scores, edges_s, edges_beat)


def _mean_treble(notes: Salience) -> np.ndarray:
    return pool(notes.chroma(), notes.times_s, np.array([0, notes.times_s[-1] + 1]))[0, 12:]
