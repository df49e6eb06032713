"""Scores where the answer is known beforehand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from clips import perfect

from musetune.evaluation import MEASURES, adherence
from musetune.evaluation.adherence import bar_changes, key_score, tempo_accuracy
from musetune.evaluation.judges import tempo_of
from musetune.symbols import BeatGrid, LeadSheet

SHEET = LeadSheet.from_progression(["C", "G", "Am7", "F"], key="C major", bpm=120, duration_seconds=8.0)


def test_perfect_listener_scores_one() -> None:
    assert adherence(SHEET, perfect(SHEET)) == dict.fromkeys(MEASURES, 1.0)


@pytest.mark.parametrize("semitones", [1, 6, 11])
def test_transposed_chords_score_zero(semitones: int) -> None:
    scores = adherence(SHEET, perfect(SHEET.transpose(semitones)))
    assert scores["root"] < 0.3
    assert scores["beat_f"] == 1.0
    assert (
        adherence(SHEET, perfect(LeadSheet.from_progression(["Db"], key="Db major", duration_seconds=8.0)))["root"]
        == 0.0
    )


def test_wrong_quality_keeps_the_root() -> None:
    minor = LeadSheet.from_progression(["Cm", "Gm", "Am7", "Fm"], key="C minor", bpm=120, duration_seconds=8.0)
    scores = adherence(SHEET, perfect(minor))
    assert scores["root"] == 1.0
    assert scores["majmin"] == pytest.approx(0.25)


def test_tetrads_see_the_seventh_that_triads_do_not() -> None:
    plain = LeadSheet.from_progression(["C", "G", "Am", "F"], key="C major", bpm=120, duration_seconds=8.0)
    scores = adherence(SHEET, perfect(plain))
    assert scores["triads"] == 1.0
    assert scores["tetrads"] == pytest.approx(0.75)


def test_only_time_with_a_chord_counts() -> None:
    gap = LeadSheet.from_progression(["C", "N.C.", "C", "N.C."], key="C major", bpm=120, duration_seconds=8.0)
    always_c = LeadSheet.from_progression(["C"], key="C major", bpm=120, duration_seconds=8.0)
    assert adherence(gap, perfect(always_c))["majmin"] == 1.0
    assert adherence(always_c, perfect(gap))["majmin"] == pytest.approx(0.5)


def test_a_hole_in_the_sheet_does_not_count() -> None:
    hole = replace(SHEET, chords=(SHEET.chords[0], SHEET.chords[3]))
    assert adherence(hole, perfect(SHEET))["majmin"] == 1.0


def test_beats_late_by_more_than_the_window_miss() -> None:
    heard = perfect(SHEET)
    assert adherence(SHEET, replace(heard, beats_s=heard.beats_s + 0.06))["beat_f"] == 1.0
    assert adherence(SHEET, replace(heard, beats_s=heard.beats_s + 0.1))["beat_f"] == 0.0


def test_beats_of_the_first_seconds_count() -> None:
    heard = perfect(SHEET)
    late = heard.beats_s[heard.beats_s >= 4.0]
    assert adherence(SHEET, replace(heard, beats_s=late))["beat_f"] == pytest.approx(2 / 3)


def test_silence_scores_zero_and_raises_nothing() -> None:
    nothing = replace(
        perfect(SHEET),
        intervals_s=np.array([[0.0, 8.0]]),
        labels=["N"],
        confidence=np.ones(1),
        beats_s=np.zeros(0),
        downbeats_s=np.zeros(0),
        key=None,
        bpm=None,
    )
    assert adherence(SHEET, nothing) == dict.fromkeys(MEASURES, 0.0)


def test_what_was_not_asked_is_undefined() -> None:
    silent = LeadSheet.from_progression(["N.C."], key="C major", bpm=120, duration_seconds=8.0)
    scores = adherence(silent, perfect(SHEET))
    assert scores["majmin"] is None
    assert scores["bar_changes"] is None
    assert scores["beat_f"] == 1.0


def test_bar_changes_need_the_change_near_the_bar_line() -> None:
    heard = perfect(SHEET)
    assert bar_changes(SHEET, replace(heard, intervals_s=heard.intervals_s + 0.05)) == 1.0
    assert bar_changes(SHEET, replace(heard, intervals_s=heard.intervals_s + 0.2)) == 0.0


def test_tempo_octaves_count_only_in_accuracy_two() -> None:
    assert tempo_accuracy(120, 124, octaves=(1.0,)) == 1.0
    assert tempo_accuracy(120, 126, octaves=(1.0,)) == 0.0
    assert tempo_accuracy(120, 60, octaves=(1.0,)) == 0.0
    assert adherence(SHEET, replace(perfect(SHEET), bpm=60.0))["tempo_acc2"] == 1.0


def test_tempo_of_rubato_is_the_line_through_the_beats() -> None:
    times = np.cumsum(
        np.r_[0.0, np.full(10, 0.6), np.full(9, 0.45)]
    )  # the median interval is 0.6 s, the line's slope 0.53
    sheet = replace(SHEET, grid=BeatGrid(tuple(times.tolist())))
    assert adherence(sheet, replace(perfect(sheet), bpm=tempo_of(sheet.beats_s)))["tempo_acc1"] == 1.0
    assert adherence(sheet, replace(perfect(sheet), bpm=sheet.bpm))["tempo_acc1"] == 0.0


@pytest.mark.parametrize(
    ("heard", "score"), [("C major", 1.0), ("G major", 0.5), ("A minor", 0.3), ("C minor", 0.2), ("F# major", 0.0)]
)
def test_key_scores_are_mirex(heard: str, score: float) -> None:
    assert key_score("C major", heard) == score


def test_enharmonic_spellings_are_one_key() -> None:
    assert key_score("Gb major", "F# major") == 1.0
    assert key_score("Eb minor", "D# minor") == 1.0
