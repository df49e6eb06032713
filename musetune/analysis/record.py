"""The analysis record: a lead sheet with what can be said about it, and its JSON (ANALYSIS_SCHEMA, version 1)."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from musetune.analysis.bar_confidence import BarConfidence, bar_confidence
from musetune.analysis.certainty import certainty
from musetune.analysis.genre.classifier import UNSURE
from musetune.audio.source import MusicSource
from musetune.symbols import Chord, Key, LeadSheet, Meter
from musetune.symbols.json_values import JsonObject


@dataclass(frozen=True)
class Analysis:
    """The analysis of a piece: a lead sheet heard in a sound or read from symbols, and what can be said about it.

    Times are seconds from the start of the sound, positions beats from the first beat heard.

    Attributes:
        source: File, duration in seconds, sampling rate, channels and hash of what was analysed.
        lead_sheet: Chords, keys, meter, beat times and sections.
        bpm_confidence: 0…1, the probability that the tempo is right; 1 for what was read from symbols, here and below.
        key_confidence: 0…1, the probability that the key is right; 0 where nothing tells it.
        meter_confidence: 0…1, the probability that the meter is right.
        chord_confidence: 0…1 for each chord span of the lead sheet, the probability that it is right.
        harmonic_analysis: Numerals, functions, patterns, cadences, voice leading, modulations, complexity.
        rhythmic_analysis: Syncopation, complexity, hierarchy, polyrhythm, swing, stability of the tempo.
        genre_analysis: Genre, its confidence, scores of all genres, and reasons.

    Example:
        >>> from musetune import LeadSheet, analyze
        >>> analysis = analyze(LeadSheet.parse("| Am | F | C | G |", bpm=90).save("loop.mid"))
        >>> analysis.to_json()["harmonic_analysis"]["roman_numerals"]
        ['vi', 'IV', 'I', 'V']
    """

    source: MusicSource
    lead_sheet: LeadSheet
    bpm_confidence: float
    key_confidence: float
    meter_confidence: float
    chord_confidence: tuple[float, ...]
    harmonic_analysis: JsonObject
    rhythmic_analysis: JsonObject
    genre_analysis: JsonObject
    remarks: tuple[str, ...] = ()  # what the reader of a score or lead sheet mended or left out

    @property
    def meter(self) -> Meter | None:
        """The meter; None where it is not sure enough to be stated (`certainty.py`).

        The lead sheet and its bars have the likeliest meter all the same.
        """
        return self.lead_sheet.meter if self.meter_confidence >= certainty().meter_stated_from else None

    @property
    def genre(self) -> str | None:
        """The genre; None where it is unsure or nothing tells."""
        genre = self.genre_analysis["primary_genre"]
        return None if genre == UNSURE else genre

    @property
    def key(self) -> Key | None:
        """The key that lasts longest; None where nothing tells."""
        return main_key(self.lead_sheet) if self.key_confidence > 0 else None

    @property
    def bars(self) -> tuple[BarConfidence, ...]:
        """How surely each bar is right: its chords and its beats, as a calibrated probability."""
        return bar_confidence(self.lead_sheet, self.chord_confidence, self.bpm_confidence)

    def to_json(self) -> JsonObject:
        """The record as plain dicts, lists, numbers and strings; null where nothing honest can be said."""
        sheet = self.lead_sheet
        return _plain(
            {
                "schema": 1,
                "source": {key: _round(value) for key, value in asdict(self.source).items()},
                "bpm": round(sheet.bpm, 2),
                "bpm_confidence": _round(self.bpm_confidence),
                "key": str(self.key) if self.key else None,
                "key_confidence": _round(self.key_confidence),
                "keys": [
                    {"start_beat": span.start, "start_s": _round(sheet.grid.time_at(span.start)), "key": str(span.key)}
                    for span in sheet.keys
                ],
                "time_signature": str(self.meter) if self.meter else None,
                "likeliest_time_signature": str(sheet.meter),
                "time_signature_confidence": _round(self.meter_confidence),
                "beats_s": _seconds(sheet.beats_s),
                "downbeats_s": _seconds(sheet.downbeats_s),
                "chords": self._chords(),
                "bars": [
                    {"start_s": _round(bar.start_s), "end_s": _round(bar.end_s), "confidence": _round(bar.confidence)}
                    for bar in self.bars
                ],
                "sections": [
                    {
                        "start_s": _round(sheet.grid.time_at(section.start)),
                        "end_s": _round(sheet.grid.time_at(section.start + section.beats)),
                        "label": section.label,
                    }
                    for section in sheet.sections
                ],
                "harmonic_analysis": self.harmonic_analysis,
                "rhythmic_analysis": self.rhythmic_analysis | ({} if self.meter else {"time_signature": None}),
                "genre_analysis": self.genre_analysis,
            }
            | ({"remarks": list(self.remarks)} if self.remarks else {})
        )

    def dumps(self, indent: int | None = 2) -> str:
        """`to_json` as text."""
        return json.dumps(self.to_json(), indent=indent, ensure_ascii=False, allow_nan=False)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from musetune.display.analysis_html import analysis_html

        return analysis_html(self)

    def _chords(self) -> list[JsonObject]:
        sheet, rows = self.lead_sheet, []
        harmony = self.harmonic_analysis
        numerals = iter(zip(harmony["roman_numerals"], harmony["functional_harmony"], strict=True))
        for span, (start, end), confidence in zip(
            sheet.chords, sheet.chord_intervals_s, self.chord_confidence, strict=True
        ):
            roman, function = (None, None) if span.chord.root is None else next(numerals)
            rows.append(
                {
                    "start_s": _round(start),
                    "end_s": _round(end),
                    "start_beat": float(span.start),
                    "beats": float(span.beats),
                    "chord": span.chord.harte,
                    "roman": roman,
                    "function": function,
                    "confidence": _round(confidence),
                }
            )
        return rows


def main_key(sheet: LeadSheet) -> Key:
    """The key in force for most beats."""
    ends = [*(span.start for span in sheet.keys[1:]), sheet.length]
    total: dict[Key, Fraction] = {}
    for span, end in zip(sheet.keys, ends, strict=True):
        total[span.key] = total.get(span.key, Fraction(0)) + max(end - span.start, Fraction(0))
    return max(total, key=lambda key: total[key])


def spell_label(label: str, key: Key) -> Chord:
    """The chord with its root named as `key` names it: Eb:maj, not D#:maj, in Bb major."""
    chord = Chord.parse(label)
    return chord if chord.root_pc is None else replace(chord, root=key.name_of(chord.root_pc))


def _round(value: Any) -> Any:
    return round(float(value), 4) if isinstance(value, (float, np.floating)) else value


def _seconds(times: np.ndarray) -> list[float]:
    return [round(float(time), 4) for time in times]


def _plain(value: object) -> Any:
    """Fractions and numpy numbers as JSON numbers."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (Fraction, np.floating)):
        return float(value)
    return value.item() if isinstance(value, np.generic) else value
