"""The record: its fields, its JSON, and what it says about chords whose analysis is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_sounds import SR, song

from musetune.analysis import Analysis, analyze
from musetune.analysis.genre import genre_analysis
from musetune.analysis.harmony import (
    common_patterns,
    harmonic_analysis,
    progression_complexity,
    smallest_motion,
    voice_leading,
)
from musetune.analysis.rhythm import position_entropy, swing_ratio, syncopation_index, tempo_stability
from musetune.theory import Chord, LeadSheet

STRAIGHT = {"swing_ratio": 1.0}


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyze(song(["Bb:maj", "F:maj", "G:min", "Eb:maj"] * 2, 112), SR)


def sheet_of(chords: list[str], key: str = "C major", bpm: float = 120) -> LeadSheet:
    return LeadSheet.from_progression(chords, key=key, bpm=bpm)


def test_every_field_of_the_schema(analysis: Analysis) -> None:
    record = analysis.to_json()
    assert set(record) >= {
        "schema", "source", "bpm", "bpm_confidence", "key", "key_confidence", "time_signature", "beats_s",
        "downbeats_s", "chords", "sections", "harmonic_analysis", "rhythmic_analysis", "genre_analysis",
    }  # fmt: skip
    assert set(record["chords"][0]) >= {
        "start_s",
        "end_s",
        "start_beat",
        "beats",
        "chord",
        "roman",
        "function",
        "confidence",
    }
    assert set(record["harmonic_analysis"]) >= {
        "roman_numerals", "functional_harmony", "common_patterns", "cadences", "voice_leading", "modulations",
        "progression_complexity",
    }  # fmt: skip
    assert set(record["rhythmic_analysis"]) >= {
        "syncopation_index", "complexity_score", "time_signature", "metric_hierarchy", "polyrhythm",
        "swing_ratio", "tempo_stability",
    }  # fmt: skip
    assert set(record["genre_analysis"]) == {"primary_genre", "confidence", "scores", "reasons"}


def test_it_says_what_was_played(analysis: Analysis) -> None:
    record = analysis.to_json()
    assert record["key"] == "Bb major"
    assert record["bpm"] == pytest.approx(112, rel=0.01)
    assert record["time_signature"] == "4/4"
    assert [row["roman"] for row in record["chords"][:4]] == ["I", "V", "vi", "IV"]
    assert [row["beats"] for row in record["chords"][:7]] == [4.0] * 7
    assert record["chords"][0]["function"] == "tonic"
    assert record["harmonic_analysis"]["common_patterns"][0] == {
        "name": "I-V-vi-IV",
        "start_beat": 0.0,
        "occurrences": 2,
    }
    np.testing.assert_allclose(record["downbeats_s"], np.arange(8) * 4 * 60 / 112, atol=0.05)


def test_json_is_json_and_the_sheet_survives(analysis: Analysis) -> None:
    assert json.loads(analysis.dumps()) == analysis.to_json()
    assert LeadSheet.from_json(json.loads(json.dumps(analysis.lead_sheet.to_json()))) == analysis.lead_sheet


def test_analysis_is_deterministic() -> None:
    wave = song(["C:maj", "F:maj"], 100)
    assert analyze(wave, SR).to_json() == analyze(wave, SR).to_json()


def test_harmony_of_a_known_progression() -> None:
    said = harmonic_analysis(sheet_of(["Dm7", "G7", "Cmaj7", "Cmaj7"]))
    assert said["functional_harmony"][1] == "dominant"
    assert said["common_patterns"][0]["name"] == "ii-V-I"
    assert any(row["type"] == "authentic" and row["at_beat"] == 8 for row in said["cadences"])
    assert said["cadences"][0]["at_s"] == pytest.approx(said["cadences"][0]["at_beat"] / 2)


@pytest.mark.parametrize("key", ["C major", "Eb major", "F# major"])
def test_patterns_do_not_depend_on_the_key(key: str) -> None:
    names = [row["name"] for row in common_patterns(sheet_of(["I", "vi", "IV", "V", "I", "vi", "IV", "V"], key))]
    assert names == ["I-vi-IV-V"]


def test_twelve_bar_blues() -> None:
    blues = ["C7"] * 4 + ["F7"] * 2 + ["C7"] * 2 + ["G7", "F7", "C7", "G7"]
    assert {"name": "12-bar blues", "start_beat": 0.0, "occurrences": 1} in common_patterns(sheet_of(blues))
    said = genre_analysis(sheet_of(blues, bpm=100), {"swing_ratio": 1.8})
    assert said["primary_genre"] == "blues"
    assert "uses 12-bar blues" in said["reasons"]
    assert sum(said["scores"].values()) == pytest.approx(1, abs=0.01)


def test_an_undecided_genre_is_null() -> None:
    said = genre_analysis(sheet_of(["C", "Am"], bpm=125), STRAIGHT)
    assert said["primary_genre"] is None or said["confidence"] > sorted(said["scores"].values())[-2]


@pytest.mark.parametrize(
    ("first", "second", "semitones"),
    [
        ((0, 4, 7), (0, 4, 9), 2),
        ((0, 4, 7), (0, 3, 7), 1),
        ((0, 4, 7), (2, 7, 11), 3),
        ((0, 4, 7), (0, 4, 7, 11), 1),
        ((0, 4, 7), (0, 4, 7), 0),
    ],
)
def test_smallest_voice_leading(first: tuple[int, ...], second: tuple[int, ...], semitones: int) -> None:
    assert smallest_motion(first, second) == smallest_motion(second, first) == semitones


def test_voice_leading_of_a_progression() -> None:
    said = voice_leading([Chord.parse(name) for name in ("C", "Am", "F")])
    assert said == {
        "mean_motion_semitones": 1.5,
        "parallel_fifths": None,
        "parallel_octaves": None,
        "common_tones": 2.0,
        "smoothness": 0.75,
    }
    assert voice_leading([Chord.parse("C")]) is None


def test_complexity_grows_with_the_progression() -> None:
    sheets = [sheet_of(chords) for chords in (["C"], ["C", "F", "G", "C"], ["Cmaj7", "Ebmaj7", "Abmaj7", "Db7"])]
    values = [progression_complexity(sheet, harmonic_analysis(sheet)["roman_numerals"]) for sheet in sheets]
    assert values[0] == 0
    assert values == sorted(values)
    assert values[-1] > 0.7


def grid(*steps: int, bars: int = 4) -> np.ndarray:
    played = np.zeros((bars, 16), bool)
    played[:, list(steps)] = True
    return played


def test_syncopation() -> None:
    assert syncopation_index(grid(0, 4, 8, 12), 4) == 0
    assert syncopation_index(grid(2, 6, 10, 14), 4) > 0.9
    assert 0 < syncopation_index(grid(0, 3, 6, 10, 12), 4) < 0.9
    assert syncopation_index(grid(0, bars=3), 4) is None


def test_position_entropy() -> None:
    assert position_entropy(grid(0, bars=8)) == 0
    assert position_entropy(np.ones((4, 16), bool)) == pytest.approx(1)


def test_tempo_stability() -> None:
    assert tempo_stability(np.arange(20) * 0.5) == pytest.approx(1)
    assert tempo_stability(np.cumsum(np.linspace(0.4, 0.8, 20))) < 0.9
    assert tempo_stability(np.arange(3.0)) is None


@pytest.mark.parametrize("place", [0.5, 2 / 3])
def test_swing(place: float) -> None:
    from musetune.analysis.beats import Beats

    times, strength = np.arange(0, 12) * 0.6, np.zeros(800)
    for time in times:
        strength[round(time * 100)] = 1
        strength[round((time + place * 0.6) * 100)] = 0.8
    ratio = swing_ratio(Beats(times, 100, 1, 4, 0, 1, strength))
    assert ratio == pytest.approx(place / (1 - place), abs=0.1)
