"""The analysis record: a lead sheet with what can be said about it, and its JSON (ANALYSIS_SCHEMA, version 1)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from musetune import theory

from .beats import Beats
from .chords import ChordTrack
from .source import Sound, Source


@dataclass(frozen=True)
class Analysis:
    """A lead sheet heard in a sound, with confidences 0…1. Times are seconds from the start of the sound, positions
    beats from `lead_sheet`'s beat 0, which is the first beat heard.

    Null so far, because nothing here finds them: `sections`, `modulations`, `polyrhythm`, parallel fifths and
    octaves. Chords have no inversions (see chords.py)."""

    source: Source
    lead_sheet: theory.LeadSheet
    bpm_confidence: float
    key_confidence: float
    meter_confidence: float
    chord_confidence: tuple[float, ...]
    harmonic_analysis: dict[str, Any]
    rhythmic_analysis: dict[str, Any]
    genre_analysis: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The record as plain dicts, lists, numbers and strings; null where nothing honest can be said."""
        sheet = self.lead_sheet
        return _plain(
            {
                "schema": 1,
                "source": {key: _round(value) for key, value in asdict(self.source).items()},
                "bpm": round(sheet.bpm, 2),
                "bpm_confidence": _round(self.bpm_confidence),
                "key": str(sheet.key) if self.key_confidence > 0 else None,
                "key_confidence": _round(self.key_confidence),
                "time_signature": str(sheet.meter),
                "time_signature_confidence": _round(self.meter_confidence),
                "beats_s": _seconds(sheet.beats_s),
                "downbeats_s": _seconds(sheet.downbeats_s),
                "chords": self._chords(),
                "sections": [
                    {
                        "start_s": _round(sheet.grid.time_at(section.start)),
                        "end_s": _round(sheet.grid.time_at(section.start + section.beats)),
                        "label": section.label,
                    }
                    for section in sheet.sections
                ]
                or None,
                "harmonic_analysis": self.harmonic_analysis,
                "rhythmic_analysis": self.rhythmic_analysis,
                "genre_analysis": self.genre_analysis,
            }
        )

    def dumps(self, indent: int | None = 2) -> str:
        """`to_json` as text."""
        return json.dumps(self.to_json(), indent=indent, ensure_ascii=False, allow_nan=False)

    def _chords(self) -> list[dict[str, Any]]:
        sheet, rows = self.lead_sheet, []
        for span, (start, end), confidence in zip(
            sheet.chords, sheet.chord_intervals_s, self.chord_confidence, strict=True
        ):
            silent = span.chord.root is None
            rows.append(
                {
                    "start_s": _round(start),
                    "end_s": _round(end),
                    "start_beat": float(span.start),
                    "beats": float(span.beats),
                    "chord": span.chord.harte,
                    "roman": None if silent else theory.roman_of(span.chord, sheet.key),
                    "function": None if silent else theory.function_of(span.chord, sheet.key),
                    "confidence": _round(confidence),
                }
            )
        return rows


def assemble(sound: Sound, found: Beats, track: ChordTrack, key: str, key_confidence: float) -> Analysis:
    """Put what was heard into a lead sheet, and look at that."""
    from .genre import genre_analysis
    from .harmony import harmonic_analysis
    from .rhythm import rhythmic_analysis

    sheet, confidence = lead_sheet(found, track, key, sound.duration_s)
    rhythm = rhythmic_analysis(found)
    return Analysis(
        sound.source,
        sheet,
        found.confidence,
        key_confidence,
        found.metre_confidence,
        confidence,
        harmonic_analysis(sheet),
        rhythm,
        genre_analysis(sheet, rhythm),
    )


def lead_sheet(
    found: Beats, track: ChordTrack, key: str, duration_s: float
) -> tuple[theory.LeadSheet, tuple[float, ...]]:
    """The lead sheet, and the confidence of each of its chord spans. Beat 0 is the first beat; chords before it are cut."""
    tonality = theory.Key.parse(key)
    grid = theory.BeatGrid(tuple(float(time) for time in found.times_s))
    length = Fraction(int(2 * float(grid.beat_at(duration_s)) + 1e-6), 2)
    spans, confidence = [], []
    for (start, end), label, sure in zip(track.beats, track.labels, track.confidence, strict=True):
        low, high = max(Fraction(start), Fraction(0)), min(Fraction(end), length)
        if low < high:
            spans.append(theory.ChordSpan(low, high - low, _spelled(label, tonality)))
            confidence.append(float(sure))
    meter = theory.Meter(found.beats_per_bar, 4)
    sheet = theory.LeadSheet(
        chords=tuple(spans),
        keys=(theory.KeySpan(Fraction(0), tonality),),
        meters=(theory.MeterSpan(Fraction(found.first), meter),),
        grid=grid,
        length=length,
        first_downbeat=Fraction(found.first),
    )
    return sheet, tuple(confidence)


def _spelled(label: str, key: theory.Key) -> theory.Chord:
    """The chord with its root named as `key` names it: Eb:maj, not D#:maj, in Bb major."""
    chord = theory.Chord.parse(label)
    return chord if chord.root_pc is None else replace(chord, root=key.name_of(chord.root_pc))


def _round(value: Any) -> Any:
    return round(float(value), 4) if isinstance(value, (float, np.floating)) else value


def _seconds(times: np.ndarray) -> list[float]:
    return [round(float(time), 4) for time in times]


def _plain(value: Any) -> Any:
    """Fractions and numpy numbers as JSON numbers."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (Fraction, np.floating)):
        return float(value)
    return value.item() if isinstance(value, np.generic) else value
