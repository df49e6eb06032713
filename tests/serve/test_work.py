"""What the page does, without a browser: orders, takes and their files, songs; messages and marks as HTML."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from html_check import classes
from hypothesis import HealthCheck, given, settings
from sheets import sheets

from musetune import LeadSheet
from musetune.audio import save_audio, synthesize
from musetune.evaluation.adherence import adherence
from musetune.evaluation.reports import Report
from musetune.planning.rules.orchestrate import orchestrate
from musetune.serve import markup
from musetune.serve.work import (
    FILES,
    KEPT,
    SOUNDS,
    Order,
    Take,
    finish,
    generate,
    genres_of,
    hand_over,
    listen,
    load,
    play,
    reads_expression,
    stack,
)
from musetune.symbols.estimate import Estimate
from musetune.symbols.expression import Expression


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


def test_a_take_has_what_was_asked_and_its_files(pipe: Any, tmp_path: Path) -> None:
    order = Order("| C | G/B Am7 |", bpm=100, genre="jazz", prompt="warm trio", seconds=4.0, seed=3, steps=2)
    take = play(pipe, order, tmp_path)
    asked = LeadSheet.parse(order.chords, bpm=100, genre="jazz", duration_seconds=4.0)
    assert take.sheet == asked
    for name in SOUNDS:
        info = soundfile.info(take.files[name])
        assert info.duration == pytest.approx(4.0, abs=0.05)
        assert (info.samplerate, info.channels) == (48000, 2)
    for name in ("MIDI", "MusicXML", "JAMS"):
        assert LeadSheet.load(take.files[name]) == asked
    assert json.loads((take.files["WAV"].parent / "report.json").read_text())["settings"]["seed"] == 3
    again = play(pipe, order, tmp_path)
    assert again.files["WAV"].read_bytes() == take.files["WAV"].read_bytes()
    found = classes(markup.take_html(take))
    assert found.count("mt-cell") == 2 * len(asked.chords)
    assert found.count("mt-chord") == len(asked.chords)
    assert found.count("mt-download") == 7
    assert found.count("mt-bar") == len(asked.downbeats_s)


@pytest.mark.slow
@pytest.mark.parametrize(("bpm", "ending"), [(97, "loops"), (97, "rings out"), (133.7, "loops")])
def test_bars_end_as_asked_to_the_sample(pipe: Any, tmp_path: Path, bpm: float, ending: str) -> None:
    take = play(pipe, Order("| C | 3/4 F | N.C. |", bpm=bpm, bars=4, ending=ending, steps=1), tmp_path)
    beats = 4 + 3 + 3 + 4  # after three bars the chart begins again
    frames = soundfile.info(take.files["WAV"]).frames
    bars = round(beats * 60 / bpm * 48000)
    assert take.sheet.length == beats
    assert frames == bars if ending == "loops" else frames >= bars + 2 * 48000
    assert LeadSheet.load(take.files["MIDI"]) == take.sheet
    assert all(row["end_s"] <= take.sheet.duration_s + 1e-3 for row in take.report["chords"])


def test_a_loop_leads_into_its_beginning_and_a_ring_fades() -> None:
    rate, seconds = 16000, 2.0
    tone = np.sin(2 * np.pi * 220.5 * np.arange(3 * rate) / rate).astype(np.float32)  # no whole number of waves
    loop = finish(tone, rate, seconds, "loops")
    assert len(loop) == 2 * rate
    step = np.abs(np.diff(tone)).max()
    assert abs(loop[0] - loop[-1]) <= step
    assert np.abs(np.diff(loop)).max() < 2 * step
    np.testing.assert_array_equal(loop[rate:], tone[rate : 2 * rate])
    ring = finish(tone, rate, seconds, "rings out")
    assert len(ring) == len(tone)
    np.testing.assert_array_equal(ring[: 2 * rate], tone[: 2 * rate])
    assert np.abs(ring[-rate // 100 :]).max() < 0.01
    np.testing.assert_array_equal(finish(tone, rate, seconds, "stops"), tone[: 2 * rate])


@pytest.mark.parametrize("bpm", [47, 97, 240])
def test_a_last_chord_is_held_and_a_first_one_comes_again(bpm: float) -> None:
    order = Order("| C | G Am |", bpm=bpm, bars=6, ending="rings out")
    assert order.played().chord_labels == order.sheet().chord_labels
    assert order.played().duration_s - order.sheet().duration_s >= 2
    assert replace(order, ending="loops").played() == order.sheet()  # played in a circle
    changing = replace(order, chords="| C | 3/4 G Am |", ending="loops")
    assert changing.played().chord_labels == [*changing.sheet().chord_labels, "C:maj"]
    assert changing.played().length == changing.sheet().length + 1


def test_a_loop_of_one_meter_is_played_in_a_circle(pipe: Any, tmp_path: Path) -> None:
    bpm = 133.7
    calls: list[dict[str, Any]] = []

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(pipe, name)

        def __call__(self, *words: Any, **options: Any) -> Any:
            calls.append(options)
            return pipe(*words, **options)

    watched: Any = Watched()
    take = play(watched, Order("| C | F G |", bpm=bpm, bars=2, ending="loops", steps=1), tmp_path)
    assert calls[0]["loop"] is True
    wave, rate = soundfile.read(take.files["WAV"])
    assert (rate, wave.shape) == (48000, (round(8 * 60 / bpm * 48000), 2))
    seam = np.abs(wave[0] - wave[-1]).max()
    assert seam <= np.percentile(np.abs(np.diff(wave, axis=0)), 99.5)
    assert take.latents is None


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sheet=sheets())
def test_any_sheet_goes_through_page_and_files(tmp_path: Path, sheet: LeadSheet) -> None:
    """N.C., suspended and slash chords, six meters, pickups: "zip() argument 2 is shorter than argument 1" was said."""
    order = hand_over(sheet)
    if order.bars is not None:
        assert classes(markup.right(order)).count("musetune-chart") == 1
        assert order.sheet().meter == sheet.meter
    sure = np.ones(len(sheet.chords))
    heard = Estimate(sheet.chord_intervals_s, sheet.chord_labels, sure, sheet.beats_s, sheet.downbeats_s, None, None)
    record = Report(sheet, heard, "musetune", adherence(sheet, heard)).to_json()
    files = {name: tmp_path / f"x.{suffix}" for name, suffix in FILES.items()}
    found = classes(markup.take_html(Take(order, sheet, sheet.duration_s, record, files)))
    assert found.count("mt-chord") == len(sheet.chords)
    assert found.count("mt-cell") == len(sheet.chords) + len(record["chords"])
    for file in (path for name, path in files.items() if name not in SOUNDS):
        assert LeadSheet.load(sheet.save(file)) == sheet


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"chords": "I V Hm7"}, "'Hm7'"),
        ({"chords": " "}, "at least one chord"),
        ({"chords": "| % |"}, "repeats the bar"),
        ({"bpm": 900}, "from 30 to 300"),
        ({"bars": 40}, "40 bars last 80 s at this tempo, and the page makes 2 to 60 s: 1 to 30 bars"),
        ({"ending": "loops"}, "a loop is a whole number of bars"),
        ({"ending": "explodes"}, "none of rings out, loops, stops"),
        ({"swing": 2}, "swing=2 is outside of 0.4 to 0.8"),
        ({"loudness": (-20, 5)}, "loudness_db=5.0 is outside of -70 to 0"),
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
    assert classes(markup.right(Order("I V"))).count("musetune-chart") == 1
    assert "plays 10.24 s" in markup.right(Order("I V"))


@pytest.mark.slow
def test_a_song_is_heard_and_handed_over(song: Path) -> None:
    record, sheet = listen(song)
    order = hand_over(sheet)
    assert order.key == record["key"]
    genre = record["genre_analysis"]["primary_genre"]
    assert order.genre == (None if genre == "unsure" else genre)
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


def test_an_adapter_for_few_steps_is_no_genre(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from musetune.adapter.metadata import AdapterMetadata
    from musetune.adapter.sampling import Sampling
    from musetune.serve.work import genre_folders

    for name, sampling in (("jazz", None), ("fast", Sampling({"_class_name": "DDIMScheduler"}, 4, 4, 8))):
        (tmp_path / name).mkdir()
        AdapterMetadata("lora", name, "nano", "abc", (), sampling=sampling).write(tmp_path / name)
        (tmp_path / name / "adapter_config.json").write_text("{}")
    monkeypatch.setattr("musetune.hub.locate.BUNDLED_ADAPTERS", (tmp_path,))
    assert [folder.name for folder in genre_folders()] == ["jazz"]
    infos = {name: SimpleNamespace(name=name, kind="lora", steps=n) for name, n in (("jazz", None), ("fast", 4))}
    assert genres_of(SimpleNamespace(adapters=infos)) == ["jazz"]  # type: ignore[arg-type]


def test_genre_adapters_are_stacked_silent_and_mixed_by_the_order(pipe: Any, tmp_path: Path) -> None:
    stacked = Stackable()
    assert stack(stacked, [Path("blues"), Path("foreign"), Path("jazz")]) == ["blues", "jazz"]
    assert stacked.mixes == [None]

    def call(*args: Any, **options: Any) -> Any:
        return pipe(*args, **options)

    stand_in = SimpleNamespace(adapters=stacked.adapters, set_adapter=stacked.set_adapter, upsampler=None)
    mixing = type("Mixing", (), {"__call__": staticmethod(call), **vars(stand_in)})()
    play(mixing, Order("I", seconds=2.0, steps=1, mix={"blues": 0.0, "jazz": 0.4}), tmp_path)
    play(mixing, Order("I", seconds=2.0, steps=1), tmp_path)
    assert stacked.mixes[1:] == [{"jazz": 0.4}, None]
    assert genres_of(mixing) == ["blues", "jazz"]


def test_how_it_is_played_reaches_the_pipeline() -> None:
    heard: list[dict[str, Any]] = []
    expressive = SimpleNamespace(expression=object())
    recorder = type(
        "Recorder",
        (),
        {"__call__": lambda _, *args, **options: heard.append(options), "adapters": {}, "adapter": expressive},
    )()
    plain = Order("I V", bpm=120, bars=2, ending="stops")
    rising = replace(plain, loudness=(-30.0, -16.0), swing=0.62)
    for order in (plain, rising, replace(plain, loudness=(None, -16.0), swing=0.6)):
        generate(recorder, order)
    assert "expression" not in heard[0]
    assert heard[1]["expression"] == Expression(((0, -30), (4, -16)), swing=0.62)
    assert heard[2]["expression"] == Expression(((0, -16),), swing=0.6)
    assert reads_expression(recorder)
    assert not reads_expression(SimpleNamespace(adapter=SimpleNamespace(expression=None)))  # type: ignore[arg-type]
