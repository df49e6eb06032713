"""From a sound to what is played: `analyze` gives the whole record, `hear` only what a report needs."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np

from musetune.analysis.assemble import assemble
from musetune.analysis.from_symbols import analyze_symbols
from musetune.analysis.listening.beats import SHORTEST_S, Beats, bar_lines, bars_by_harmony, beats_at, track_beats
from musetune.analysis.listening.chords import (
    ChordFrames,
    ChordScores,
    ChordTrack,
    change_costs,
    changes,
    decode,
    half_beats,
    hear_frames,
    score,
    spans_of,
)
from musetune.analysis.listening.features import Features, extract
from musetune.analysis.listening.keys import KeyTrack, find_keys
from musetune.analysis.listening.network_inputs import chord_inputs
from musetune.analysis.listening.spectrum import Salience, salience
from musetune.analysis.record import Analysis
from musetune.audio.source import SILENCE_DBFS, SYMBOLS, SoundStream, Source, open_sound
from musetune.symbols.estimate import Estimate


def analyze(
    audio: str | PathLike | np.ndarray,
    sr: int | None = None,
    *,
    beats: np.ndarray | None = None,
    tempo_hint: float | None = None,
    conventions: str | PathLike | None = None,
) -> Analysis:
    """The record of `audio`: a path, or floats (samples,) or (channels, samples) at `sr` Hz.

    A path to MIDI, MusicXML or a lead sheet (.json, .jams) is read, not heard.

    `beats` (n ≥ 4,) seconds, rising, replaces beat tracking; `tempo_hint` in bpm settles the octave of the tempo;
    `conventions` is a YAML file of further genres. Memory is bounded: three hours take about 1 GB. Raises ValueError
    for what cannot be read, is silent, is under 1.5 s or has no pulse.
    """
    if isinstance(audio, (str, PathLike)) and Path(audio).suffix.lower() in SYMBOLS:
        return analyze_symbols(Path(audio), conventions=conventions)
    stream = open_sound(audio, sr)
    held = [extract(stream.blocks())]
    source = _checked_source(stream)
    levels, frames, notes = _heard(held)
    found: Beats | None
    if beats is not None:
        found = beats_at(_checked_beats(beats, source), levels, notes)
    else:
        found = track_beats(levels, notes, tempo_hint=tempo_hint)
    if found is None:
        name = source.file or "the array"
        raise ValueError(
            f"{name} has no pulse (fewer than four onsets); give beats=[…] in seconds to analyse it anyway"
        )
    edges_s, edges = half_beats(found.times_s, source.duration_s)
    scores = score(frames, edges_s)
    found = bars_by_harmony(found, changes(scores, edges, np.arange(len(found.times_s))))
    track = _chords(scores, edges_s, edges, found)
    keys = find_keys(track, scores, edges, bar_lines(found, edges))
    return assemble(source, levels, found, track, scores, keys, edges, conventions)


def hear(wave: np.ndarray, sr: int, *, tempo_hint: float | None = None) -> Estimate:
    """Listen to `wave`, floats (samples,) or (channels, samples) at `sr` Hz, without insisting that it is music:
    silence is one N, a sound without pulse has no beats. Raises ValueError only for what is no sound at all (NaN,
    wrong shape)."""
    stream = open_sound(wave, sr)
    features: Features = extract(stream.blocks())
    duration_s, empty = stream.source.duration_s, np.zeros(0)
    if stream.level_dbfs < SILENCE_DBFS:
        return Estimate(np.array([[0.0, duration_s]]), ["N"], np.ones(1), empty, empty, None, None)
    levels, frames, notes = _heard([features])
    found = track_beats(levels, notes, tempo_hint=tempo_hint)
    grid = found.times_s if found else np.arange(0, max(duration_s, 0.5) + 0.5, 0.5)
    edges_s, edges = half_beats(grid, duration_s)
    scores = score(frames, edges_s)
    if found:
        found = bars_by_harmony(found, changes(scores, edges, np.arange(len(grid))))
    track = _chords(scores, edges_s, edges, found)
    lines = bar_lines(found, edges) if found else edges[::4]
    keys: KeyTrack = find_keys(track, scores, edges, lines)
    beats_s, downbeats_s, bpm = (found.times_s, found.downbeats_s, found.bpm) if found else (empty, empty, None)
    return Estimate(
        track.intervals_s,
        track.labels,
        track.confidence,
        beats_s,
        downbeats_s,
        keys.main if keys.confidence > 0 else None,
        bpm,
    )


def _checked_source(stream: SoundStream) -> Source:
    source = stream.source
    name = source.file or "the array"
    if stream.level_dbfs < SILENCE_DBFS:
        raise ValueError(f"{name} is silent ({stream.level_dbfs:.0f} dBFS): nothing to analyse")
    if source.duration_s < SHORTEST_S:
        raise ValueError(f"{name} lasts {source.duration_s:.2f} s; at least {SHORTEST_S} s are needed to find a beat")
    return source


def _checked_beats(beats: np.ndarray, source: Source) -> np.ndarray:
    times = np.asarray(beats, float)
    if times.ndim != 1 or len(times) < 4 or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ValueError(f"beats={beats!r}: give at least four rising times in seconds")
    if times[0] < 0 or times[-1] > source.duration_s:
        raise ValueError(
            f"beats from {times[0]:.2f} to {times[-1]:.2f} s lie outside the sound (0–{source.duration_s:.2f} s)"
        )
    return times


def _heard(held: list[Features]) -> tuple[np.ndarray, ChordFrames, Salience]:
    """Mel levels, what the chord network hears, and the notes without their spectrum.

    The features are taken out of `held` and each thing is let go of once it is not needed: of three hours, each is over
    100 MB.
    """
    features = held.pop()
    notes = salience(features.spectrum, features.loudness)
    features = replace(features, spectrum=features.spectrum[:0].copy())
    levels = features.levels()
    del features
    inputs = chord_inputs(notes)
    notes = replace(notes, white=notes.white[:0].copy())
    return levels, hear_frames(inputs, notes), notes


def _chords(scores: ChordScores, edges_s: np.ndarray, edges_beat: np.ndarray, found: Beats | None) -> ChordTrack:
    """The likeliest chords of the half beats, which change most readily on the bar lines of `found`."""
    downbeats = bar_lines(found, edges_beat) if found else None
    path = decode(scores.chord, change_costs(edges_beat, downbeats))
    return spans_of(path, scores, edges_s, edges_beat)
