"""Unsure chords are shown as such, by more than a shade, and a sentence says what the mark means."""

from __future__ import annotations

from pathlib import Path

import pytest

from musetune import LeadSheet, analyze
from musetune.analysis.record import Analysis
from musetune.display.analysis_html import analysis_html
from musetune.display.analysis_plot import draw_analysis
from musetune.display.unsure import LEGEND, is_unsure, legend_for
from musetune.formats.chart_text import chart_text


@pytest.fixture
def found(tmp_path: Path) -> Analysis:
    from dataclasses import replace

    sheet = LeadSheet.parse("| C | F | G7 . C . | Am |", bpm=100)
    return replace(analyze(sheet.save(tmp_path / "song.mid")), chord_confidence=(0.9, 0.3, 0.8, 0.499, 0.5))


def test_below_a_half_is_unsure_and_nothing_known_is_not() -> None:
    assert [is_unsure(value) for value in (0.0, 0.499, 0.5, 1.0, None)] == [True, True, False, False, False]


def test_a_notebook_marks_them_and_says_why(found: Analysis) -> None:
    html = analysis_html(found)
    assert html.count("dotted") == 2
    assert ">F?</b>" in html
    assert ">C?</b>" in html
    assert ">Am</b>" in html
    assert "2 of 5 chords" in html
    assert LEGEND in html.replace("&#x27;", "'")


def test_a_sure_analysis_has_no_legend(tmp_path: Path) -> None:
    html = analysis_html(analyze(LeadSheet.parse("| C | F |", bpm=100).save(tmp_path / "song.mid")))
    assert "?" not in html
    assert legend_for([False, False]) == ""


def test_a_chart_as_text_marks_them_and_is_read_back(found: Analysis) -> None:
    sheet = found.lead_sheet
    text = chart_text(sheet, marks=["?" if value < 0.5 else "" for value in found.chord_confidence])
    assert text == "| C | F? | G7 C? | Am |"
    assert LeadSheet.parse(text).chord_labels == sheet.chord_labels


def test_equal_bars_of_other_certainty_are_written_out() -> None:
    sheet = LeadSheet.parse("| C | C | C |")
    assert chart_text(sheet, marks=["", "?", "?"]) == "| C | C? | % |"


def test_the_picture_has_a_hatch_and_its_legend(found: Analysis, tmp_path: Path) -> None:
    unsure = draw_analysis(found, tmp_path / "unsure.svg").read_text()
    sure = draw_analysis(analyze(found.lead_sheet.save(tmp_path / "sure.mid")), tmp_path / "sure.svg").read_text()
    assert "<!-- F? -->" in unsure
    assert "unsure, below 50" in unsure
    assert "unsure" not in sure
