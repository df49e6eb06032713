"""Put what was heard into a lead sheet, and look at that."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from os import PathLike

import numpy as np

from musetune.analysis.genre.classifier import genre_analysis
from musetune.analysis.harmonic_analysis import harmonic_analysis
from musetune.analysis.listening.beats import BeatTrack
from musetune.analysis.listening.chords import ChordScores, ChordTrack, pool
from musetune.analysis.listening.features import FPS
from musetune.analysis.listening.keys import KeyTrack
from musetune.analysis.listening.sections import find_parts
from musetune.analysis.listening.timbre import timbre_features
from musetune.analysis.listening.vocabulary import LABELS, PITCHES, SHAPES
from musetune.analysis.record import Analysis, spell_label
from musetune.analysis.rhythmic_analysis import rhythmic_analysis
from musetune.audio.source import MusicSource
from musetune.symbols import BeatGrid, ChordSpan, Key, KeySpan, LeadSheet, MeterSpan, Section


def assemble(
    source: MusicSource,
    levels: np.ndarray,
    beats: BeatTrack,
    track: ChordTrack,
    scores: ChordScores,
    keys: KeyTrack,
    edges_beat: np.ndarray,
    conventions: str | PathLike | None = None,
) -> Analysis:
    """The record of a sound with mel `levels`, `beats`, chords `track`, whose half beats between `edges_beat`
    have `scores`.
    """
    sheet, confidence = lead_sheet(beats, track, keys, source.duration_s)
    sheet = replace(sheet, sections=sections(sheet, levels, scores, edges_beat))
    rhythm = rhythmic_analysis(beats)
    return Analysis(
        source,
        sheet,
        beats.confidence,
        keys.confidence,
        beats.meter_confidence,
        confidence,
        harmonic_analysis(sheet),
        rhythm,
        genre_analysis(sheet, rhythm, timbre_features(levels), conventions),
    )


def lead_sheet(
    beats: BeatTrack, track: ChordTrack, keys: KeyTrack, duration_s: float
) -> tuple[LeadSheet, tuple[float, ...]]:
    """The lead sheet, and the confidence of each of its chord spans.

    Beat 0 is the first beat; chords before it are cut.
    """
    grid = BeatGrid(tuple(float(time) for time in beats.times_s))
    length = Fraction(int(2 * float(grid.beat_at(duration_s)) + 1e-6), 2)
    areas = key_spans(keys, length)
    spans, confidence = [], []
    for (start, end), label, sure in zip(track.beats, track.labels, track.confidence, strict=True):
        low, high = max(Fraction(start), Fraction(0)), min(Fraction(end), length)
        if low < high:
            key = [area.key for area in areas if area.start <= low][-1]
            spans.append(ChordSpan(low, high - low, spell_label(label, key)))
            confidence.append(float(sure))
    sheet = LeadSheet(
        chords=tuple(spans),
        keys=areas,
        meters=(MeterSpan(Fraction(beats.first), beats.meter),),
        grid=grid,
        length=length,
        first_downbeat=Fraction(beats.first),
    )
    return sheet, tuple(confidence)


def key_spans(keys: KeyTrack, length: Fraction) -> tuple[KeySpan, ...]:
    """Key areas from beat 0 on."""
    spans: list[KeySpan] = []
    for start, name in zip(keys.starts, keys.names, strict=True):
        at = max(Fraction(start).limit_denominator(2), Fraction(0))
        if spans and spans[-1].start == at:
            spans.pop()
        if at < length:
            spans.append(KeySpan(at, Key.parse(name)))
    return tuple(spans)


def sections(sheet: LeadSheet, levels: np.ndarray, scores: ChordScores, edges_beat: np.ndarray) -> tuple[Section, ...]:
    """The form in whole bars; what stands before the first and after the last bar line joins its neighbour."""
    bar, first = sheet.meter.beats_per_bar, float(sheet.first_downbeat)
    count = int((float(sheet.length) - first) // bar)
    if count < 1:
        return (Section(Fraction(0), sheet.length, "A"),)
    lines = first + bar * np.arange(count + 1)
    centres = (edges_beat[:-1] + edges_beat[1:]) / 2
    tones = np.array([[pitch in pitch_classes(label) for pitch in range(12)] for label in LABELS], np.float32)
    harmony = pool(np.concatenate([np.exp(scores.chord) @ tones, np.exp(scores.bass[:, :12])], axis=1), centres, lines)
    colour = pool(levels, np.arange(len(levels)) / FPS, np.asarray(sheet.grid.time_at(lines)))
    parts = find_parts(harmony, (colour - colour.mean(axis=0)) / (colour.std(axis=0) + 1e-6))
    cuts = [Fraction(0), *(Fraction(int(first + bar * part.start)) for part in parts[1:]), sheet.length]
    return tuple(Section(low, high - low, part.label) for low, high, part in zip(cuts, cuts[1:], parts, strict=False))


def pitch_classes(label: str) -> set[int]:
    """Those of a label of the vocabulary; none of N."""
    if label == "N":
        return set()
    root, quality = label.split(":")
    return {(PITCHES.index(root) + step) % 12 for step in SHAPES[quality]}
