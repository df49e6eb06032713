"""The record's harmonic analysis: one field from each part of the theory."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction

import pytest

from musetune.analysis.harmonic_analysis import common_patterns, harmonic_analysis
from musetune.symbols import Key, KeySpan, LeadSheet, Note


def sheet_of(chords: list[str], key: str = "C major", bpm: float = 120) -> LeadSheet:
    return LeadSheet.from_progression(chords, key=key, bpm=bpm)


def test_harmony_of_a_known_progression() -> None:
    said = harmonic_analysis(sheet_of(["Dm7", "G7", "Cmaj7", "Cmaj7"]))
    assert said["roman_numerals"] == ["ii7", "V7", "Imaj7", "Imaj7"]
    assert said["functional_harmony"] == ["subdominant_substitute", "dominant", "tonic", "tonic"]
    assert said["common_patterns"] == [{"name": "ii-V-I", "start_beat": 0.0, "occurrences": 1}]
    assert said["cadences"] == [
        {"type": "authentic", "subtype": "perfect", "strength": 1.0, "at_beat": 8.0, "at_s": 4.0}
    ]
    assert said["modulations"] == []
    assert 0 < said["progression_complexity"] < 1


def test_nothing_is_null_where_chords_change() -> None:
    said = harmonic_analysis(sheet_of(["C", "A7", "Dm", "G7", "C", "Am", "F", "G", "C"]))
    assert all(value is not None for value in said.values())
    assert all(value is not None for value in said["voice_leading"].values())
    assert json.loads(json.dumps(said)) == said


@pytest.mark.parametrize("chords", [["C"], ["N.C."]])
def test_what_little_can_be_said_of_little(chords: list[str]) -> None:
    said = harmonic_analysis(sheet_of(chords))
    assert said["common_patterns"] == said["cadences"] == said["modulations"] == []
    assert said["voice_leading"] is None


@pytest.mark.parametrize("key", ["C major", "Eb major", "F# major"])
def test_patterns_do_not_depend_on_the_key(key: str) -> None:
    rows = common_patterns(sheet_of(["I", "vi", "IV", "V", "I", "vi", "IV", "V"], key))
    assert rows == [{"name": "I-vi-IV-V", "start_beat": 0.0, "occurrences": 2, "known_as": "doo-wop"}]


def test_a_loop_says_that_it_is_rotated() -> None:
    rows = common_patterns(sheet_of(["G", "Am", "F", "C"] * 2))
    assert rows == [{"name": "I-V-vi-IV", "start_beat": 0.0, "occurrences": 2, "rotation": 1}]


def test_modulations_change_the_numerals() -> None:
    sheet = sheet_of(["C", "F", "G7", "C", "Am", "D7", "G", "D7", "G"])
    moved = replace(sheet, keys=(*sheet.keys, KeySpan(Fraction(16), Key("G"))))
    said = harmonic_analysis(moved)
    assert said["roman_numerals"] == ["I", "IV", "V7", "I", "ii", "V7", "I", "V7", "I"]
    assert said["functional_harmony"][4:7] == ["subdominant_substitute", "dominant", "tonic"]
    (change,) = said["modulations"]
    assert (change["at_beat"], change["to_key"]) == (16.0, "G major")
    assert said["cadences"][-1]["type"] == "authentic"


def test_voices_are_used_where_they_are() -> None:
    sheet = sheet_of(["F", "G"])
    voices = tuple((Note(Fraction(0), Fraction(4), low), Note(Fraction(4), Fraction(4), low + 2)) for low in (60, 53))
    assert harmonic_analysis(sheet)["voice_leading"]["from"] == "symbols"
    said = harmonic_analysis(sheet, voices)["voice_leading"]
    assert (said["from"], said["parallel_fifths"], said["parallel_octaves"]) == ("voices", 1, 0)
