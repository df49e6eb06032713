"""What the page does, without a browser: orders, takes and their files, songs; messages and marks as HTML."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import soundfile
from html_check import classes

from musetune import LeadSheet
from musetune.audio import save_audio, synthesize
from musetune.planning.rules.orchestrate import orchestrate
from musetune.serve import markup
from musetune.serve.work import KEPT, Order, genres_of, hand_over, listen, load, play, stack


@pytest.fixture(scope="module")
def pipe(full_base: Path) -> Any:
    pipe = load(str(full_base), None, "cpu")
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sheet = LeadSheet.parse("| Am | Dm G | C | E7 |", key="A minor", bpm=110)
    wave = synthesize(orchestrate(sheet, seed=3).arrangement.to_pretty_midi(), 16000, duration_s=sheet.duration_s)
    return save_audio(tmp_path_factory.mktemp("song") / "a song.wav", wave, 16000)


def test_a_take_has_what_was_asked_and_four_files(pipe: Any, tmp_path: Path) -> None:
    order = Order("| C | G/B Am7 |", bpm=100, genre="jazz", prompt="warm trio", seconds=4.0, seed=3, steps=2)
    take = play(pipe, order, tmp_path)
    asked = LeadSheet.parse(order.chords, bpm=100, genre="jazz", duration_seconds=4.0)
    assert take.sheet == asked
    assert soundfile.info(take.files["WAV"]).duration == pytest.approx(4.0, abs=0.01)
    for name in ("MIDI", "MusicXML", "JAMS"):
        assert LeadSheet.load(take.files[name]) == asked
    assert json.loads((take.files["WAV"].parent / "report.json").read_text())["settings"]["seed"] == 3
    again = play(pipe, order, tmp_path)
    assert again.files["WAV"].read_bytes() == take.files["WAV"].read_bytes()
    found = classes(markup.take_html(take))
    assert found.count("mt-cell") == 2 * len(asked.chords)
    assert found.count("mt-download") == 4
    assert found.count("mt-bar") == len(asked.downbeats_s)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"chords": "I V Hm7"}, "'Hm7'"),
        ({"chords": " "}, "at least one chord"),
        ({"chords": "| % |"}, "repeats the bar"),
        ({"bpm": 900}, "30–300"),
    ],
)
def test_a_wrong_order_is_refused_before_anything_is_made(
    pipe: Any, tmp_path: Path, wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        play(pipe, Order(**({"chords": "I", "steps": 1, "seconds": 2.0} | wrong)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_old_takes_go(pipe: Any, tmp_path: Path) -> None:
    for index in range(KEPT + 3):
        (tmp_path / f"old-{index}").mkdir()
    play(pipe, Order("I", seconds=2.0, steps=1), tmp_path)
    assert len(list(tmp_path.iterdir())) == KEPT


def test_messages_do_not_let_html_in() -> None:
    assert "<script>" not in markup.wrong("<script>")
    assert classes(markup.right(Order("I V").loop(), 10.24)).count("musetune-chart") == 1
    assert "repeated to 10.24 s" in markup.right(Order("I V").loop(), 10.24)


@pytest.mark.slow
def test_a_song_is_heard_and_handed_over(song: Path) -> None:
    record, sheet = listen(song)
    order = hand_over(sheet)
    assert order.key == record["key"]
    assert order.genre == record["genre_analysis"]["primary_genre"]
    assert abs(order.bpm - 110) <= 2
    assert [span.chord.harte for span in order.loop().chords] == [span.chord.harte for span in sheet.chords]
    html = markup.song_html(song, record, sheet)
    assert classes(html).count("mt-cell") == len(sheet.chords)
    assert "a%20song.wav" in html
    assert "<audio" not in markup.song_html(Path("a.mid"), record, sheet)


def test_what_is_no_song_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="silent"):
        listen(save_audio(tmp_path / "silence.wav", [0.0] * 48000, 16000))


class Stackable:
    """As much of a pipeline as genre adapters need: names that are loaded, and what was set."""

    def __init__(self) -> None:
        self.adapters: dict[str, Any] = {"theory": SimpleNamespace(name="theory", kind="theory")}
        self.mixes: list[Any] = []

    def load_adapter(self, folder: Path) -> None:
        if folder.name == "foreign":
            raise ValueError("made for another base")
        self.adapters[folder.name] = SimpleNamespace(name=folder.name, kind="lora")

    def set_adapter(self, mix: Any) -> None:
        self.mixes.append(mix)


def test_genre_adapters_are_stacked_silent_and_mixed_by_the_order(pipe: Any, tmp_path: Path) -> None:
    stacked = Stackable()
    assert stack(stacked, [Path("blues"), Path("foreign"), Path("jazz")]) == ["blues", "jazz"]
    assert stacked.mixes == [None]

    def call(*args: Any, **options: Any) -> Any:
        return pipe(*args, **options)

    stand_in = SimpleNamespace(adapters=stacked.adapters, set_adapter=stacked.set_adapter)
    mixing = type("Mixing", (), {"__call__": staticmethod(call), **vars(stand_in)})()
    play(mixing, Order("I", seconds=2.0, steps=1, mix={"blues": 0.0, "jazz": 0.4}), tmp_path)
    play(mixing, Order("I", seconds=2.0, steps=1), tmp_path)
    assert stacked.mixes[1:] == [{"jazz": 0.4}, None]
    assert genres_of(mixing) == ["blues", "jazz"]
