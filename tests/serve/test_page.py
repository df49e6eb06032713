"""The page's functions, called as gradio calls them, without a browser; and the command that opens it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from musetune import LeadSheet
from musetune.cli.app import app

gr = pytest.importorskip("gradio", reason="the page is of the extra ui")
FIELDS = ("| C | F G |", "C major", 100, "4/4", 3.0, "seconds", "stops")
ORDER = (None, None, None, *FIELDS, "any", "x", 1, 1)  # who asks, ticket and history first
AT = {"chords": 3, "length": 7, "genre": 10, "prompt": 11, "seed": 12, "steps": 13}


def in_a_loop(make: Callable[[], Any]) -> Any:
    """What ``make`` gives, called inside an event loop: gradio opens loops that it never closes where there is none."""

    async def made() -> Any:
        return make()

    return asyncio.run(made())


def last(answers: Iterator[Any]) -> Any:
    """What a generator of the page gives at last."""
    *_, answer = answers
    return answer


@pytest.fixture(scope="module")
def page(full_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from musetune.serve.page import Page
    from musetune.serve.work import load

    pipe = load(str(full_base), None, "cpu")
    return in_a_loop(lambda: Page(pipe, tmp_path_factory.mktemp("takes")))


def read(page: Any, *fields: Any) -> str:
    """What stands under the chords: fields as they are, then 10.24 seconds."""
    reading, button, problem = page.generate.check(*fields, *(10.24, "seconds", "stops")[len(fields) - 4 :])
    assert button["interactive"] == ("mt-wrong" not in reading) == (not problem)
    return str(reading)


def test_live_check(page: Any) -> None:
    assert "is not a chord" in read(page, "I Hm", "C major", 120, "4/4")
    assert "mt-wrong" not in read(page, "| ii7 . V7 . | A:min7 F/A |", "Bb major", 120, "4/4")
    assert ">Cm7<" in read(page, "ii7", "Bb major", 120, "3/4")
    assert "plays 4 bars, 8 s, then rings out" in read(page, "I", "C major", 120, "4/4", 4, "bars", "rings out")
    assert "whole number of bars" in read(page, "I", "C major", 120, "4/4", 8, "seconds", "loops")
    assert "1 to 30 bars" in read(page, "I", "C major", 120, "4/4", 99, "bars", "loops")


def test_the_live_check_is_bounded(page: Any) -> None:
    """40 kB of chords took 40 seconds, and what multiplies by repeats even longer."""
    started = time.process_time()
    for chords in ("C " * 20_000, "|: " * 13_000, "V/" * 20_000, "V" + "/V" * 900, "| C G " * 330, "((((" * 500):
        read(page, chords, "C major", 300, "4/4", 60)
        read(page, chords, "C major", 300, "4/4", 75, "bars", "loops")
    assert "40,000 characters" in read(page, "C " * 20_000, "C major", 120, "4/4")
    for length in (1e9, float("nan"), float("inf"), -1, "x", None):
        assert "Length in seconds" in read(page, "C", "C major", 120, "4/4", length)
        assert "Length in bars" in read(page, "C", "C major", 120, "4/4", length, "bars", "stops")
    assert "mt-wrong" in read(page, "C", "C" * 10**6, 120, "4/4")
    assert "mt-wrong" in read(page, "C", "C major", 120, "4/" + "4" * 10**6)
    assert time.process_time() - started < 12


PYTHON = re.compile(
    r"None|\b(argument|NoneType|object|tuple|dict|str|int|float|zip\(\)|index out of|invalid literal|unpack|iterable"
    r"|attribute|Traceback|could not convert|division by zero|Error)\b"
)
TYPED = st.text(max_size=30) | st.sampled_from(["N.C.", "| C | N.C. |", "V/V", "C/Q", "4/4 C", "|: C", "{}", "${x}"])
NUMBERS = st.none() | st.booleans() | st.floats() | st.integers(-(10**20), 10**20) | st.text(max_size=5)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TYPED, TYPED, NUMBERS, TYPED, NUMBERS, st.sampled_from(["bars", "seconds"]), TYPED, NUMBERS, NUMBERS, TYPED)
def test_nothing_that_is_typed_shows_a_python_message(
    page: Any,
    chords: str,
    key: str,
    bpm: Any,
    meter: str,
    length: Any,
    unit: str,
    ending: str,
    seed: Any,
    steps: Any,
    prompt: str,
) -> None:
    usual = ["I V", "C major", 120, "4/4", 4, "bars", "stops", "any", "x", 0, 10**9]  # never played: too many steps
    for at, value in enumerate([chords, key, bpm, meter, length, unit, ending, "any", prompt, seed, steps]):
        fields = [*usual[:at], value, *usual[at + 1 :]]
        reading, _, problem = page.generate.check(*fields[:7])
        told, *_ = last(page.generate.generate(None, None, None, *fields))
        for html in (reading, problem, told):
            said = "".join(re.findall(r'class="mt-wrong"[^>]*>([^<]*)<', html))
            typed = unescape(said).replace(str(value), "").replace(repr(value), "").replace(str(value).strip(), "")
            assert not PYTHON.search(typed), said


def test_a_fault_of_ones_own_is_told_without_python(page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from musetune.serve import generate_tab

    def fail(*_: Any) -> None:
        raise TypeError("zip() argument 2 is shorter than argument 1")

    monkeypatch.setattr(generate_tab, "play", fail)
    told, start, stop, *_ = last(page.generate.generate(*ORDER))
    assert "fault of its own" in told
    assert "zip" not in told
    assert (start["interactive"], stop["interactive"]) == (True, False)


@pytest.mark.parametrize(
    ("at", "value", "field"),
    [
        ("seed", 1.5e300, "Seed:"),
        ("seed", None, "Seed is empty"),
        ("steps", 10**9, "Steps:"),
        ("steps", float("nan"), "Steps:"),
        ("steps", 2.5, "Steps: 2.5 is not a whole number"),
        ("length", 1e9, "Length"),
        ("prompt", "x" * 10**6, "Prompt:"),
        ("prompt", None, "Prompt is empty"),
        ("genre", "j" * 10**6, "Genre:"),
    ],
)
def test_orders_that_no_field_can_hold_are_refused_unplayed(page: Any, at: str, value: Any, field: str) -> None:
    order = list(ORDER)
    order[AT[at]] = value
    told, start, *_ = last(page.generate.generate(*order))
    assert field in told
    assert start["interactive"]
    assert not list(page.studio.folder.glob("take-*")) or "ready" not in told


@pytest.mark.slow
def test_generation_and_its_refusal(page: Any) -> None:
    told, start, stop, take, takes, history = last(page.generate.generate(*ORDER))
    assert "Take 1 is ready" in told
    assert (start["interactive"], stop["interactive"]) == (True, False)
    assert "musetune-1.wav" in take
    assert takes.count("<li") == len(history.takes) == 1
    told, start, *_ = last(page.generate.generate(*ORDER[: AT["chords"]], "Hm", *ORDER[AT["chords"] + 1 :]))
    assert "mt-wrong" in told
    assert start["interactive"]


def test_what_was_cancelled_before_its_turn_never_starts(page: Any) -> None:
    told, start, stop, ticket = page.generate.begin()
    assert "waiting" in told
    assert (start["interactive"], stop["interactive"]) == (False, True)
    told, start, _ = page.generate.cancel(ticket)
    assert "Cancelled" in told
    assert start["interactive"]
    assert all(answer == gr.skip() for answer in last(page.generate.generate(None, ticket, *ORDER[2:])))
    assert page.generate.cancel(None)[1]["interactive"]


@pytest.mark.slow
def test_the_list_of_takes_does_what_is_clicked(page: Any) -> None:
    def click(history: Any, action: str, number: int, name: str = "") -> Any:
        return page.generate.act(history, SimpleNamespace(_data={"action": action, "number": number, "name": name}))

    history = last(page.generate.generate(*ORDER))[-1]
    history = last(page.generate.generate(None, None, history, *ORDER[3:]))[-1]
    assert (history.shown, [one.number for one in history.takes]) == (2, [1, 2])
    history, shown, takes, _ = click(history, "compare", 1)
    assert shown.count("<audio") == 2
    assert 'aria-pressed="true"' in takes
    history, _, takes, _ = click(history, "rename", 1, "  my <first>  one ")
    assert "my &lt;first&gt; one" in takes
    history, _, _, saved = click(history, "zip", 0)
    with ZipFile(next(page.studio.folder.glob("take-all-*/*.zip"))) as archive:
        assert len(archive.namelist()) == 16  # two takes, four kinds of audio and of notes
    assert "musetune-takes.zip" in saved
    files = history.get(1).take.files
    history, shown, takes, _ = click(history, "delete", 1)
    assert not files["WAV"].exists()
    assert (history.shown, history.other, takes.count("<li")) == (2, None, 1)
    history, shown, takes, _ = click(history, "delete", 2)
    assert "<audio" not in shown
    assert takes == ""
    for data in (
        None,
        {},
        {"action": "__class__"},
        {"action": "show", "number": "x"},
        {"action": "delete", "number": 99},
    ):
        assert page.generate.act(history, SimpleNamespace(_data=data))[0] == history


def test_analysis_and_hand_over(page: Any, tmp_path: Path) -> None:
    path = LeadSheet.parse("| D | A7 |", key="D major", bpm=90).save(tmp_path / "a.mid")
    tab = page.listen
    shown = last(tab.analyse(str(path)))
    assert "mt-cell" in shown[tab.findings]
    assert shown[tab.choice]["visible"] is True
    sheet = shown[tab.song_sheet]
    chords, key, bpm, meter, genre, *_, tabs = tab.take_over(sheet, 1, 2, "jazz")
    assert (chords, key["value"], bpm, meter["value"], tabs["selected"]) == (
        "| D | A7 |",
        "D major",
        90.0,
        "4/4",
        "generate",
    )
    assert genre["value"] == "jazz"
    assert tab.take_over(sheet, 2, 2, "any")[0] == "| A7 |"
    assert "To bar: 3 is not a number from 1 to 2" in tab.explain(sheet, 1, 3)[0]
    for sheet_or_none, first in ((None, 1), (sheet, 7)):
        with pytest.raises(gr.Error, match=r"upload one first|From bar"):
            tab.take_over(sheet_or_none, first, 2, "any")
    (tmp_path / "b.mid").write_bytes(b"no music")
    shown = last(tab.analyse(str(tmp_path / "b.mid")))
    assert "mt-wrong" in shown[tab.findings]
    assert shown[tab.song_sheet] is None
    assert shown[tab.choice]["visible"] == "hidden"


def test_one_piece_of_work_at_a_time(page: Any) -> None:
    heavy = [fn for fn in page.blocks.fns.values() if fn.concurrency_id == "work"]
    assert {fn.name for fn in heavy} == {
        "generate",
        "analyse",
        "correct",
        "plan",
        "apply",
        "notes",
        "anew",
        "resound",
        "sound",
        "mix",
        "make",
    }
    assert all(fn.concurrency_limit == 1 for fn in heavy)


def test_there_is_a_slider_for_each_genre_adapter_and_none_without(page: Any, tmp_path: Path) -> None:
    from musetune.serve.page import Page

    def group(shown: Any) -> Any:
        return next(block for block in shown.blocks.blocks.values() if block.elem_id == "mix")

    assert not group(page).visible
    infos = {name: SimpleNamespace(name=name, kind="lora") for name in ("blues", "jazz")}
    other = in_a_loop(lambda: Page(SimpleNamespace(adapters=infos), tmp_path))
    assert [slider.label for slider in other.generate.mix] == ["blues", "jazz"]
    assert group(other).visible


@pytest.mark.slow
def test_the_command_serves_loopback_by_default(full_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from musetune.serve import page as module

    asked: dict[str, Any] = {}
    monkeypatch.setattr(
        module, "launch", lambda page, host, port, **options: asked.update(host=host, port=port, **options)
    )
    arguments = ["ui", "--base", str(full_base), "--no-open"]
    done = in_a_loop(lambda: CliRunner().invoke(app, arguments, catch_exceptions=False))
    assert done.exit_code == 0
    assert asked == {"host": "127.0.0.1", "port": 7860, "open_browser": False, "allow_hosts": []}
    assert "http://127.0.0.1:7860" in done.output
