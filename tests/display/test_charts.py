"""Charts as text read back as the same music; charts and piano rolls as HTML show every chord and note."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sheets import sheets as any_sheets

from musetune.display.charts import MAX_BARS, Under, chart_html, roll_svg
from musetune.formats.chart_text import chart_text, pop_name
from musetune.symbols import Chord, ChordSpan, LeadSheet, Note
from musetune.symbols.lead_sheet import Section

CHORDS = st.sampled_from(["C", "Am7", "F#m7b5/C", "Bb:maj7/3", "Dsus4", "E:aug", "G7/F", "N", "Cm(maj7)"])


@st.composite
def sheets(draw: st.DrawFn) -> LeadSheet:
    """Some bars whose chords change on quarters of a beat, from the first bar line on, whole bars."""
    meter = draw(st.sampled_from(["4/4", "3/4", "6/8", "5/4"]))
    empty = LeadSheet.parse("C", time_signature=meter)
    length = empty.meter.beats_per_bar * draw(st.integers(1, 4))
    inside = draw(st.sets(st.integers(1, 4 * length - 1), max_size=6))
    starts = [Fraction(0), *(Fraction(at, 4) for at in sorted(inside))]
    spans = tuple(
        ChordSpan(a, b - a, Chord.parse(draw(CHORDS)))
        for a, b in zip(starts, [*starts[1:], Fraction(length)], strict=True)
    )
    return replace(empty, chords=spans, length=Fraction(length))


@given(sheets())
def test_a_chart_as_text_is_read_back_as_the_same_music(sheet: LeadSheet) -> None:
    again = LeadSheet.parse(chart_text(sheet), time_signature=str(sheet.meter))
    assert again.length == sheet.length
    for quarter in range(int(4 * sheet.length)):
        asked, read = sheet.chord_at(Fraction(quarter, 4)), again.chord_at(Fraction(quarter, 4))
        assert (read.pitch_classes, read.bass_pc) == (asked.pitch_classes, asked.bass_pc)
    assert chart_text(again) == chart_text(sheet)


@pytest.mark.parametrize("text", ["| C | G/B Am7 | % |", "| C . . G | F |", "| C G Am |", "| N.C. | Dm7b5 |"])
def test_a_chart_is_written_as_one_would(text: str) -> None:
    assert chart_text(LeadSheet.parse(text)) == text


def test_an_upbeat_is_left_out_and_a_broken_last_bar_filled() -> None:
    sheet = LeadSheet.parse("| G | C | F G |", duration_seconds=5.5, bpm=120)
    assert chart_text(sheet) == "| G | C | F G |"
    assert chart_text(replace(sheet, first_downbeat=Fraction(1))) == "| G . . C | C . . F | F G . . |"
    assert chart_text(replace(LeadSheet.parse("| C G |"), first_downbeat=Fraction(4))) == "| C G |"


def test_a_chart_in_lines_has_sections_and_the_upbeat() -> None:
    sheet = LeadSheet.parse("[A] | C | C | F | F | G | [B] | Am |")
    assert chart_text(sheet, bars_per_line=4).splitlines() == ["[A]", "| C | % | F | % |", "| G |", "[B]", "| Am |"]
    assert LeadSheet.parse(chart_text(sheet, bars_per_line=4)) == sheet
    late = replace(LeadSheet.parse("| C G | F |"), first_downbeat=Fraction(2))
    assert chart_text(late, bars_per_line=4) == "| C | G F | F |"


def test_a_chart_shows_bars_names_numerals_and_sections() -> None:
    sheet = LeadSheet.parse("| Dm7 G7 | Cmaj7 | % |", bpm=96)
    sheet = replace(sheet, sections=(Section(Fraction(4), Fraction(8), "<chorus>"),))
    html = chart_html(sheet)
    assert re.findall(r"<b [^>]*>([^<]+)</b>", html) == ["Dm7", "G7", "Cmaj7", "Cmaj7"]
    assert re.findall(r"<small style[^>]*>(ii7|V7|Imaj7)<", html) == ["ii7", "V7", "Imaj7", "Imaj7"]
    assert "C major · 96 bpm · 4/4 · 0:07.5" in html
    assert "&lt;chorus&gt;" in html
    assert "<chorus>" not in html
    marked = chart_html(sheet, [Under("✗ F", "#c8553d")] + [Under("✓", opacity=0.5)] * 3, heading="a & b")
    assert "a &amp; b" in marked
    assert marked.count("✓") == 3
    assert "opacity:0.50" in marked


def test_long_sheets_are_cut_and_say_so() -> None:
    long = LeadSheet.from_progression("C", duration_seconds=2 * (MAX_BARS + 7), bpm=120)
    assert "… and 7 more bars" in chart_html(long)


def test_a_piano_roll_has_every_note_at_its_place() -> None:
    sheet = LeadSheet.parse("| C | F |", bpm=120)
    sheet = replace(sheet, melody=(Note(Fraction(2), Fraction(1), 72),))
    drawn = ElementTree.fromstring(roll_svg(sheet))
    boxes = [box.attrib for box in drawn if box.tag == "rect"]
    assert len(boxes) == 2 * 4 + 1  # a bass note and three tones a chord, the melody
    width = float(drawn.attrib["width"])
    assert [float(box["x"]) / width for box in boxes[:5:4]] == pytest.approx([0, 0.5], abs=0.01)
    assert float(boxes[-1]["x"]) / width == pytest.approx(0.25, abs=0.01)
    assert float(boxes[-1]["y"]) < min(float(box["y"]) for box in boxes[:-1])
    assert roll_svg(LeadSheet.parse("N.C.")) == ""


def test_a_notebook_shows_chart_and_roll() -> None:
    html = LeadSheet.parse("I V vi IV")._repr_html_()
    assert html.index("musetune-chart") < html.index("musetune-roll")
    assert "<script" not in html


@given(any_sheets())
def test_every_sheet_has_a_chart_with_all_its_chords(sheet: LeadSheet) -> None:
    html = sheet._repr_html_()
    shown = re.findall(r"<b [^>]*>([^<]+)</b>", html)
    assert [name for name in shown if name != "%"] == [pop_name(span.chord) for span in sheet.chords]
    assert html.count('N.C.</b><br><small style="color:inherit"></small>') == shown.count("N.C.")


def test_names_read_back() -> None:
    assert pop_name(Chord.parse("Bb:min7/b7")) == "Bbm7/Ab"
