"""The page's functions, called as gradio calls them, without a browser; and the command that opens it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from musetune import LeadSheet
from musetune.cli.app import app

gr = pytest.importorskip("gradio", reason="the page is of the extra ui")
ORDER = ("| C | F G |", "C major", 100, "4/4", 3.0, "any", "x", 1, 1)


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


def test_live_check(page: Any) -> None:
    assert "is not a chord" in page.generate.check("I Hm", "C major", 120, "4/4", 10.24)
    assert "mt-wrong" not in page.generate.check("| ii7 . V7 . | A:min7 F/A |", "Bb major", 120, "4/4", 10.24)
    assert ">Cm7<" in page.generate.check("ii7", "Bb major", 120, "3/4", 10.24)


def test_the_live_check_is_bounded(page: Any) -> None:
    """40 kB of chords took 40 seconds, and what multiplies by repeats even longer."""
    started = time.process_time()
    for chords in ("C " * 20_000, "|: " * 13_000, "V/" * 20_000, "V" + "/V" * 900, "| C G " * 330, "((((" * 500):
        page.generate.check(chords, "C major", 300, "4/4", 60)
    assert "40,000 characters" in page.generate.check("C " * 20_000, "C major", 120, "4/4", 10.24)
    for seconds in (1e9, float("nan"), float("inf"), -1, "x", None):
        assert "Length: " in page.generate.check("C", "C major", 120, "4/4", seconds)
    assert "mt-wrong" in page.generate.check("C", "C" * 10**6, 120, "4/4", 10.24)
    assert "mt-wrong" in page.generate.check("C", "C major", 120, "4/" + "4" * 10**6, 10.24)
    assert time.process_time() - started < 6


@pytest.mark.parametrize(
    ("at", "value", "field"),
    [
        (7, 1.5e300, "Seed"),
        (7, None, "Seed"),
        (8, 10**9, "Steps"),
        (8, float("nan"), "Steps"),
        (4, 1e9, "Length"),
        (6, "x" * 10**6, "Prompt"),
        (6, None, "Prompt"),
        (5, "j" * 10**6, "Genre"),
    ],
)
def test_orders_that_no_field_can_hold_are_refused_unplayed(page: Any, at: int, value: Any, field: str) -> None:
    order = list(ORDER)
    order[at] = value
    take, reading = last(page.generate.generate(*order))
    assert "<audio" not in take
    assert f"{field}: " in reading


def test_generation_and_its_refusal(page: Any) -> None:
    take, reading = last(page.generate.generate(*ORDER))
    assert "musetune-1.wav" in take
    assert "mt-right" in reading
    take, reading = last(page.generate.generate("Hm", *ORDER[1:]))
    assert "<audio" not in take
    assert "mt-wrong" in reading


def test_analysis_and_hand_over(page: Any, tmp_path: Path) -> None:
    path = LeadSheet.parse("| D | A7 |", key="D major", bpm=90).save(tmp_path / "a.mid")
    found, sheet, button = last(page.listen.analyse(str(path)))
    assert "mt-cell" in found
    assert button["interactive"]
    chords, key, bpm, meter, _, _, tabs = page.listen.take_over(sheet)
    assert (chords, key["value"], bpm, meter["value"], tabs["selected"]) == (
        "| D | A7 |",
        "D major",
        90.0,
        "4/4",
        "play",
    )
    (tmp_path / "b.mid").write_bytes(b"no music")
    found, sheet, button = last(page.listen.analyse(str(tmp_path / "b.mid")))
    assert "mt-wrong" in found
    assert sheet is None
    assert not button["interactive"]


def test_one_piece_of_work_at_a_time(page: Any) -> None:
    heavy = [fn for fn in page.blocks.fns.values() if fn.concurrency_id == "work"]
    assert {fn.name for fn in heavy} == {"generate", "analyse"}
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
