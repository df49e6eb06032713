"""How surely each bar of an analysis is right."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from musetune import LeadSheet, analyze
from musetune.analysis.bar_confidence import BEATS, CHORDS, bar_confidence, bar_edges, chord_evidence, probability
from musetune.analysis.certainty import uncalibrated

SHEET = LeadSheet.parse("| C | F . G . | Am |", bpm=120)  # bars of two seconds


def test_what_was_read_is_certain() -> None:
    assert [bar.confidence for bar in bar_confidence(SHEET, (1, 1, 1, 1), 1.0)] == [1, 1, 1]
    assert [bar.confidence for bar in bar_confidence(SHEET, None, None)] == [1, 1, 1]


def test_a_bar_is_as_long_as_its_bar_lines_say_and_an_upbeat_is_one() -> None:
    assert [(bar.start_s, bar.end_s) for bar in bar_confidence(SHEET, None, None)] == [(0, 2), (2, 4), (4, 6)]
    upbeat = replace(SHEET, first_downbeat=Fraction(1))
    assert np.array(bar_edges(upbeat)).T.tolist() == [[0, 0.5], [0.5, 2.5], [2.5, 4.5], [4.5, 6]]


def test_evidence_is_the_mean_over_time_and_the_least() -> None:
    with uncalibrated():
        mean, least = chord_evidence(SHEET, (0.9, 0.8, 0.2, 0.7))
        silent = chord_evidence(replace(SHEET, chords=SHEET.chords[:1]), (0.9,))
    assert mean == pytest.approx([0.9, 0.5, 0.7])
    assert least == pytest.approx([0.9, 0.2, 0.7])
    assert silent[0].tolist() == pytest.approx([0.9, 0, 0])


def test_surer_chords_and_tempo_make_a_bar_surer() -> None:
    levels = np.linspace(0.02, 0.98, 25)
    for part, evidence in ((CHORDS, (levels, levels)), (BEATS, (levels,))):
        likely = probability(part, *evidence)
        assert (np.diff(likely) > 0).all()
        assert likely[-1] > likely[0] + 0.3
        assert likely.min() >= 0
        assert likely.max() < 1
    assert probability(CHORDS, levels, levels)[-1] > 0.8
    assert probability(CHORDS, levels, levels)[0] < 0.3
    given = bar_confidence(SHEET, None, 0.6)
    heard = bar_confidence(SHEET, (0.6,) * 4, 0.6)
    assert all(known.confidence > unknown.confidence for known, unknown in zip(given, heard))
    surer = bar_confidence(SHEET, None, 0.9)
    assert all(sure.beats > unsure.beats for sure, unsure in zip(surer, given))


def test_the_record_has_a_confidence_for_each_bar(tmp_path) -> None:  # type: ignore[no-untyped-def]
    found = analyze(SHEET.save(tmp_path / "sheet.mid"))
    assert found.to_json()["bars"] == [
        {"start_s": float(low), "end_s": float(low + 2), "confidence": 1.0} for low in (0, 2, 4)
    ]
    unsure = replace(found, chord_confidence=(0.9, 0.2, 0.2, 0.9), bpm_confidence=0.9)
    first, second, third = (row["confidence"] for row in unsure.to_json()["bars"])
    assert second < min(first, third)
