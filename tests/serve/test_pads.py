"""Chord pads without a browser: words of a chart with their places, transposition, what the page's HTML says."""

from __future__ import annotations

import asyncio
import json
import re
from html import unescape
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sheets import sheets

from musetune import LeadSheet
from musetune.formats.chart_text import chart_text
from musetune.serve.chart_words import CHORD, chart_words, transpose_chart
from musetune.serve.pads_markup import notes_of, pads_html, words_html
from musetune.symbols import Chord, Key
from musetune.theory.harmony.palette import palette

C = Key("C")


@given(sheet=sheets())
def test_words_of_any_chart_are_its_chords_in_order(sheet: LeadSheet) -> None:
    text = chart_text(sheet)
    words = chart_words(text, sheet.key)
    assert [text[word.start : word.end] for word in words] == [word.text for word in words]
    names = [Chord.parse(name) for name in re.split(r"[|\s]+", text) if name not in ("", ".", "%")]
    assert [word.chord for word in words if word.kind == CHORD] == names
    assert not any(word.relative for word in words if word.chord is not None)


@given(text=st.text(alphabet="CAmVIiv7/#b|:[]%.,()x34 \n", max_size=60))
def test_any_text_is_split_without_losing_a_letter(text: str) -> None:
    words = chart_words(text, C)
    assert not re.sub(r"[\s,;]", "", "".join(text[a:b] for a, b in _gaps(words, len(text))))
    assert words_html(text, C)


def _gaps(words: list[Any], end: int) -> list[tuple[int, int]]:
    return list(zip([0, *(word.end for word in words)], [*(word.start for word in words), end]))


@settings(max_examples=60)
@given(sheet=sheets(), semitones=st.integers(-6, 6))
def test_a_transposed_chart_is_the_transposed_sheet(sheet: LeadSheet, semitones: int) -> None:
    text = chart_text(sheet)
    moved, key = transpose_chart(text, sheet.key, semitones)
    arguments = {"time_signature": str(sheet.meter)}
    before, after = (LeadSheet.parse(t, key=str(k), **arguments) for t, k in ((text, sheet.key), (moved, key)))
    assert key == sheet.key.transpose(semitones)
    pairs = zip(before.chords, after.chords, strict=True)
    assert all(b.chord.pitch_classes == a.chord.transpose(semitones).pitch_classes for a, b in pairs)


def test_transposition_leaves_degrees_bars_and_spaces_as_they_are() -> None:
    text = "[A]\n|: ii7  V7/V |  A:min7, F/A? . :| x3 N.C."
    assert transpose_chart(text, C, 3) == ("[A]\n|: ii7  V7/V |  C:min7, Ab/C? . :| x3 N.C.", Key("Eb"))


def test_words_are_buttons_with_notes_and_what_is_wrong_is_marked() -> None:
    html = words_html("| ii7 . | <b> |", C)
    assert re.findall(r'data-notes="([\d ]+)"', html) == [" ".join(map(str, notes_of(Chord.parse("Dm7"))))]
    assert 'data-numerals="true"' in html
    assert 'mt-word-wrong" data-from="10" data-to="13" data-kind="wrong">&lt;b&gt;<' in html
    assert 'data-schedule="[]"' in html
    schedule = json.loads(unescape(re.search(r'data-schedule="([^"]*)"', words_html("| C F | N.C. |", C))[1]))  # type: ignore[index]
    assert schedule == [
        [0.0, 2.0, notes_of(Chord.parse("C"))],
        [2.0, 2.0, notes_of(Chord.parse("F"))],
        [4.0, 4.0, []],
    ]


def test_pads_are_the_palette_of_the_key() -> None:
    html = pads_html(Key("Eb"))
    groups = palette(Key("Eb"))
    numerals = [
        one.numeral for group in ("triads", "sevenths", "dominants", "borrowed") for one in getattr(groups, group)
    ]
    assert re.findall(r'data-numeral="([^"]*)"', html) == [*numerals, "N.C."]
    sounding = [[int(note) for note in notes.split()] for notes in re.findall(r'data-notes="([^"]*)"', html)]
    assert all(min(notes) >= 24 and max(notes) < 96 for notes in sounding[:-1])
    assert sounding[-1] == []


@pytest.fixture(scope="module")
def board() -> Any:
    gr = pytest.importorskip("gradio", reason="the page is of the extra ui")
    from musetune.serve.pads import ChartHeader, PadBoard

    async def made() -> Any:  # in a loop: gradio opens loops that it never closes where there is none
        with gr.Blocks():
            header = [gr.Textbox("C major"), gr.Textbox("4/4"), gr.Number(120)]
            text = gr.Textbox("I V", elem_id="x")
            return PadBoard(text, header, ChartHeader, lambda *values: tuple(values[-1]), most=200)

    return asyncio.run(made())


def test_tools_move_text_and_header(board: Any) -> None:
    def act(data: Any, text: str = "C F", key: Any = "C major", meter: Any = "4/4", bpm: Any = 100) -> Any:
        return board.act(SimpleNamespace(_data=data), text, key, meter, bpm)

    assert act({"semitones": 2}) == ("D G", "D major", "4/4", 100)
    assert act({"bpm": 90})[1:] == ("C major", "4/4", 90.0)
    assert act({"key": "A minor"})[1:] == ("A minor", "4/4", 100)
    for data in (None, {}, {"semitones": 13}, {"semitones": "x"}, {"bpm": 1e9}, {"key": "H"}, {"key": 7}):
        assert all(isinstance(update, dict) and "value" not in update for update in act(data)), data
    assert act({"semitones": 1}, "C", None, "x" * 10**6, None) == ("Db", "Db major", "4/4", 120.0)


def test_what_is_too_long_is_not_read(board: Any) -> None:
    assert "mt-chip" not in board.show("C " * 200, "C major", "4/4", 120)
    assert board.show(None, None, None, None).count("mt-chip") == 0
    assert 'data-bpm="120"' in board.show("C", "C major", "4/4", -3)


def test_where_key_and_tempo_are_the_pieces_own_the_chords_alone_move() -> None:
    gr = pytest.importorskip("gradio", reason="the page is of the extra ui")
    from musetune.serve.pads import ChartHeader, PadBoard

    async def made() -> Any:
        with gr.Blocks():
            header = gr.State(("C major", "4/4", 100.0))
            return PadBoard(gr.Textbox("", elem_id="there"), [header], lambda one: ChartHeader(*one), None, most=50)

    board, header = asyncio.run(made()), ("C major", "4/4", 100.0)
    assert 'data-tool="raise"' in board.tools.value
    assert 'data-tool="tap"' not in board.tools.value
    for text, moved in (("| C  A:min7 |", "| Db  Bb:min7 |"), ("I . V7/V", "Db . Eb7"), ("N.C. x9", "N.C. x9")):
        assert board.act(SimpleNamespace(_data={"semitones": 1}), text, header) == (moved, gr.skip())
    for data in ({"bpm": 90}, {"key": "A minor"}, {"semitones": 99}):
        assert board.act(SimpleNamespace(_data=data), "C F", header) == (gr.skip(), gr.skip())
