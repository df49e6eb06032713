"""From a sound to what is played: `analyze` gives the whole record, `hear` only what a report needs."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np

from musetune.analysis.build import assemble
from musetune.analysis.certainty import certainty
from musetune.analysis.from_symbols import analyze_symbols
from musetune.analysis.listening.beats import SHORTEST_S, BeatTrack, bar_lines, bars_by_harmony, beats_at, track_beats
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
from musetune.analysis.listening.features import SpectralFeatures, extract
from musetune.analysis.listening.keys import KeyTrack, find_keys
from musetune.analysis.listening.network_inputs import chord_inputs
from musetune.analysis.listening.spectrum import NoteSalience, salience
from musetune.analysis.numerals.reader import Reader, check_reader
from musetune.analysis.record import Analysis
from musetune.audio.source import SILENCE_DBFS, SYMBOLS, MusicSource, SoundStream, open_sound
from musetune.symbols.estimate import Estimate


def analyze(
    audio: str | PathLike | np.ndarray,
    sr: int | None = None,
    *,
    beats: np.ndarray | None = None,
    tempo_hint: float | None = None,
    conventions: str | PathLike | None = None,
    numerals: Reader = "auto",
) -> Analysis:
    """Analyse music: chords, keys, beats, form, harmony, rhythm and genre.

    Memory is bounded: three hours take about 1 GB.

    Args:
        audio: A path, or floats (samples,) or (channels, samples) in −1…1. A path to MIDI, MusicXML or a lead sheet
            (.json, .jams) is read, not heard.
        sr: Sampling rate of an array in Hz, 4000–384000; None beside a path.
        beats: Rising times (n ≥ 4,) in seconds that replace beat tracking.
        tempo_hint: About how many beats a minute; settles half or double.
        conventions: YAML file of further genres, see `musetune.analysis.genre.conventions`.
        numerals: What reads chords, keys and Roman numerals in a score without chord symbols: "network", "rules", or
            "auto", the network for MusicXML and the rules for MIDI.

    Returns:
        The analysis record, see `docs/reference/analysis-record.md` for its JSON.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The sound cannot be read, is silent, is under 1.5 s or has no pulse, or an argument is out of range.

    Example:
        >>> from musetune import LeadSheet, analyze
        >>> path = LeadSheet.parse("| C | F | G7 | C |", key="C major", bpm=100).save("song.mid")
        >>> analysis = analyze(path)
        >>> str(analysis.key), [str(span.chord) for span in analysis.lead_sheet.chords]
        ('C major', ['C:maj', 'F:maj', 'G:7', 'C:maj'])
    """
    check_reader(numerals)
    if isinstance(audio, (str, PathLike)) and Path(audio).suffix.lower() in SYMBOLS:
        return analyze_symbols(Path(audio), conventions=conventions, numerals=numerals)
    stream = open_sound(audio, sr)
    owned_features = [extract(stream.blocks())]
    source = _checked_source(stream)
    levels, frames, notes = _listen(owned_features)
    beat_track: BeatTrack | None
    if beats is not None:
        beat_track = beats_at(_checked_beats(beats, source), levels, notes)
    else:
        beat_track = track_beats(levels, notes, tempo_hint=tempo_hint)
        if beat_track is not None:
            beat_track = replace(
                beat_track,
                confidence=float(certainty().tempo.probability(beat_track.confidence)),
                meter_confidence=float(certainty().meter.probability(beat_track.meter_confidence)),
            )
    if beat_track is None:
        name = source.file or "the array"
        raise ValueError(
            f"{name} has no pulse (fewer than four onsets); give beats=[…] in seconds to analyse it anyway"
        )
    edges_s, edges = half_beats(beat_track.times_s, source.duration_s)
    scores = score(frames, edges_s)
    beat_track = bars_by_harmony(beat_track, changes(scores, edges, np.arange(len(beat_track.times_s))))
    track = _chords(scores, edges_s, edges, beat_track)
    keys = find_keys(track, scores, edges, bar_lines(beat_track, edges))
    keys = replace(keys, confidence=float(certainty().key.probability(keys.confidence)))
    return assemble(source, levels, beat_track, track, scores, keys, edges, conventions)


def hear(wave: np.ndarray, sr: int, *, tempo_hint: float | None = None) -> Estimate:
    """Listen to audio without insisting that it is music, as reports and rankings do.

    Args:
        wave: Floats (samples,) or (channels, samples) in −1…1.
        sr: Sampling rate in Hz, 4000–384000.
        tempo_hint: About how many beats a minute; settles half or double.

    Returns:
        Chords, beats, key and tempo. Silence is one chord N; a sound without pulse has no beats and no tempo.

    Raises:
        ValueError: The array is no sound at all: NaN, whole numbers, another shape or rate.

    Example:
        >>> import numpy as np
        >>> hear(np.zeros(32000), 16000).labels
        ['N']
    """
    stream = open_sound(wave, sr)
    features: SpectralFeatures = extract(stream.blocks())
    duration_s, empty = stream.source.duration_s, np.zeros(0)
    if stream.level_dbfs < SILENCE_DBFS:
        return Estimate(np.array([[0.0, duration_s]]), ["N"], np.ones(1), empty, empty, None, None)
    levels, frames, notes = _listen([features])
    beat_track = track_beats(levels, notes, tempo_hint=tempo_hint)
    grid = beat_track.times_s if beat_track else np.arange(0, max(duration_s, 0.5) + 0.5, 0.5)
    edges_s, edges = half_beats(grid, duration_s)
    scores = score(frames, edges_s)
    if beat_track:
        beat_track = bars_by_harmony(beat_track, changes(scores, edges, np.arange(len(grid))))
    track = _chords(scores, edges_s, edges, beat_track)
    lines = bar_lines(beat_track, edges) if beat_track else edges[::4]
    keys: KeyTrack = find_keys(track, scores, edges, lines)
    beats_s, downbeats_s, bpm = (
        (beat_track.times_s, beat_track.downbeats_s, beat_track.bpm) if beat_track else (empty, empty, None)
    )
    return Estimate(
        track.intervals_s,
        track.labels,
        track.confidence,
        beats_s,
        downbeats_s,
        keys.main if keys.confidence > 0 else None,
        bpm,
    )


def _checked_source(stream: SoundStream) -> MusicSource:
    source = stream.source
    name = source.file or "the array"
    if stream.level_dbfs < SILENCE_DBFS:
        raise ValueError(f"{name} is silent ({stream.level_dbfs:.0f} dBFS): nothing to analyse")
    if source.duration_s < SHORTEST_S:
        raise ValueError(f"{name} lasts {source.duration_s:.2f} s; at least {SHORTEST_S} s are needed to find a beat")
    return source


def _checked_beats(beats: np.ndarray, source: MusicSource) -> np.ndarray:
    times = np.asarray(beats, float)
    if times.ndim != 1 or len(times) < 4 or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise ValueError(f"beats={beats!r}: give at least four rising times in seconds")
    if times[0] < 0 or times[-1] > source.duration_s:
        raise ValueError(
            f"beats from {times[0]:.2f} to {times[-1]:.2f} s lie outside the sound (0–{source.duration_s:.2f} s)"
        )
    return times


def _listen(owned_features: list[SpectralFeatures]) -> tuple[np.ndarray, ChordFrames, NoteSalience]:
    """Mel levels, what the chord network hears, and the notes without their spectrum.

    The features are taken out of the list, and each thing is let go of once it is not needed: of three hours, each
    is over 100 MB.
    """
    features = owned_features.pop()
    notes = salience(features.spectrum, features.loudness)
    features = replace(features, spectrum=features.spectrum[:0].copy())
    levels = features.levels()
    del features
    inputs = chord_inputs(notes)
    notes = replace(notes, white=notes.white[:0].copy())
    return levels, hear_frames(inputs, notes), notes


def _chords(
    scores: ChordScores, edges_s: np.ndarray, edges_beat: np.ndarray, beat_track: BeatTrack | None
) -> ChordTrack:
    """The likeliest chords of the half beats, which change most readily on the bar lines of `beat_track`; how likely
    each is right.
    """
    downbeats = bar_lines(beat_track, edges_beat) if beat_track else None
    path = decode(scores.chord, change_costs(edges_beat, downbeats))
    track = spans_of(path, scores, edges_s, edges_beat)
    return replace(track, confidence=certainty().chord.probability(track.confidence))
