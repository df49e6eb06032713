"""The Song tab's functions, called as gradio calls them, without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from musetune import LeadSheet
from musetune.planning.rules.orchestrate import orchestrate

pytest.importorskip("gradio", reason="the page is of the extra ui")
FREE = ("any", "", "any", "any", "", "", 0)  # key, tempo, meter, genre, form, bars left to the planner; the seed


@pytest.fixture(scope="module")
def tab(full_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from musetune.serve.page import Page
    from musetune.serve.work import load

    pipe = load(str(full_base), None, "cpu")
    pipe.set_progress_bar_config(disable=True)

    async def made() -> Any:  # gradio opens loops that it never closes where there is none
        return Page(pipe, tmp_path_factory.mktemp("takes")).song

    return asyncio.run(made())


def last(answers: Iterator[Any]) -> Any:
    """What a generator of the page gives at last."""
    *_, answer = answers
    return answer


def test_the_plan_follows_its_chart_and_errors_are_plain(tab: Any) -> None:
    from musetune.serve.song_work import PlanHeader, Song

    reading, notes, apply = tab.check("[A] | C | F |", PlanHeader("C major", 90, "3/4", "jazz"), None)
    assert "90 bpm · 3/4 · jazz" in reading
    assert notes["interactive"]
    assert apply["interactive"]
    reading, notes, _ = tab.check("| C | Hm7 |", None, None)
    assert "&#x27;Hm7&#x27; is not a chord" in reading
    assert not notes["interactive"]
    assert not tab.check("  ", None, None)[1]["interactive"]
    sheet = LeadSheet.parse("| C | F |")
    song = Song(sheet, orchestrate(sheet, seed=0).arrangement, "x", {})
    assert "press 2 to write them anew" in tab.check("| C | G |", None, song)[0]
    assert "press 2" not in tab.check("| C | F |", None, song)[0]


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [(1, "fast", "Tempo: &#x27;fast&#x27; is no number"), (5, "4.5", "no whole number"), (4, "verse:x", "verse:8"),
     (3, "polka", "polka"), (6, -1, "Seed")],
)  # fmt: skip
def test_wrong_pins_are_told_and_nothing_is_planned(tab: Any, at: int, value: Any, said: str) -> None:
    pins = list(FREE)
    pins[at] = value
    shown = last(tab.plan(None, "waltz", *pins))
    assert said in shown[tab.status]
    assert tab.chart not in shown


def test_steps_before_their_time_say_which_comes_first(tab: Any) -> None:
    from musetune.serve.song_work import Song

    for work in (tab.sound(None, 1, 1, 0), tab.anew("bass", None), tab.resound("bass", None, "")):
        assert "press 2 first" in last(work)[tab.status]
    sheet = LeadSheet.parse("| C | F |")
    song = Song(sheet, orchestrate(sheet, seed=0).arrangement, "x", {})
    assert "press 3 first" in last(tab.resound("bass", song, ""))[tab.status]
    assert "type chords" in last(tab.notes("", None, "x", 0))[tab.status]


@pytest.mark.slow
def test_from_a_sentence_to_audio(tab: Any) -> None:
    shown = last(tab.plan(None, "slow waltz", "G major", "100", "3/4", "jazz", "AB", "4", 1))
    chart, header = shown[tab.chart], shown[tab.header]
    assert chart.startswith("[A] |")
    assert (header.key, header.meter, header.genre) == ("G major", "3/4", "jazz")
    moved = last(tab.apply(None, chart, header, "slow waltz", "A major", "", "any", "any", "", "", 1))
    assert moved[tab.header].key == "A major"
    shown = last(tab.notes(moved[tab.chart], moved[tab.header], "slow waltz", 1))
    song = shown[tab.song]
    assert not shown[tab.first_bar]["visible"]
    assert 'data-player="bass"' in shown[tab.cast]
    song = last(tab.anew("bass", song))[tab.song]
    answers = list(tab.sound(song, 1, 1, 1))
    assert "mt-mix" in answers[-1][tab.audio]
    assert not answers[-1][tab.cancel]["visible"]
    assert "From bar" in last(tab.sound(song, 99, 1, 1))[tab.status]
    played = answers[-1][tab.song]
    other = last(tab.resound("bass", played, "solo tuba"))[tab.song]
    changed = {
        name
        for name, (_, file) in other.audio.raw.items()
        if file.read_bytes() != played.audio.raw[name][1].read_bytes()
    }
    assert changed == {"bass"}
