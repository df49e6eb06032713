"""The record: its fields, its JSON, and what it says about chords whose analysis is known."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_sounds import SR, song

from musetune.analysis import Analysis, analyze
from musetune.symbols import LeadSheet


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyze(song(["Bb:maj", "F:maj", "G:min", "Eb:maj"] * 2, 112), SR)


def test_every_field_of_the_schema(analysis: Analysis) -> None:
    record = analysis.to_json()
    assert set(record) >= {
        "schema",
        "source",
        "bpm",
        "bpm_confidence",
        "key",
        "key_confidence",
        "time_signature",
        "beats_s",
        "downbeats_s",
        "chords",
        "sections",
        "harmonic_analysis",
        "rhythmic_analysis",
        "genre_analysis",
    }
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
        "roman_numerals",
        "functional_harmony",
        "common_patterns",
        "cadences",
        "voice_leading",
        "modulations",
        "progression_complexity",
    }
    assert set(record["rhythmic_analysis"]) >= {
        "syncopation_index",
        "complexity_score",
        "time_signature",
        "metric_hierarchy",
        "polyrhythm",
        "swing_ratio",
        "tempo_stability",
        "onsets_per_second",
    }
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
