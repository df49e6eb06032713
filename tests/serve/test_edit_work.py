"""What the Edit tab does, without a browser: bars anew, longer, varied, looped; what it keeps and what it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from html_check import classes

from musetune import LeadSheet
from musetune.analysis.service.worker import AnalysisWorker
from musetune.audio import save_audio
from musetune.audio.loudness import true_peak
from musetune.formats.songs import save_song
from musetune.pipeline.loop_sets import level_loops
from musetune.pipeline.output import MuseTuneOutput
from musetune.serve import edit_markup, markup
from musetune.serve.edit_order import EditOrder, read_stretches
from musetune.serve.edit_work import EditSource, correct_source, edit
from musetune.serve.errand import Errand, StoppedError
from musetune.serve.history import TakeHistory
from musetune.serve.work import Order, Take, load, play
from musetune.symbols.arrangement import Arrangement, Stem, StemNote

CHORDS = "| C | Am | F | G |"


@pytest.fixture(scope="module")
def pipe(full_base: Path) -> Any:
    pipe = load(str(full_base), None, "cpu")
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def source(pipe: Any, tmp_path_factory: pytest.TempPathFactory) -> EditSource:
    """Four bars of 1.5 s, which ring out."""
    order = Order(CHORDS, bpm=160, prompt="pop", bars=4, ending="rings out", steps=1, seed=2)
    take = play(pipe, order, tmp_path_factory.mktemp("takes"))
    return EditSource.of_take("take", take)


def edit_takes(*arguments: Any) -> tuple[Take, ...]:
    return edit(*arguments).takes


def sound(path: Path) -> tuple[np.ndarray, int]:
    wave, rate = soundfile.read(path, dtype="int16")
    return wave.astype(int), rate


def test_bars_are_made_anew_and_every_other_sample_stays(pipe: Any, source: EditSource, tmp_path: Path) -> None:
    order = EditOrder("repaint", "2, 4", "Dm7 G7", "dark jazz", seed=5, steps=2)
    (take,) = edit_takes(pipe, source, order, tmp_path)
    assert take.sheet.chord_labels == ["C:maj", "D:min7", "G:7", "F:maj", "D:min7", "G:7"]
    assert (take.order.prompt, take.order.seed, take.order.steps) == ("dark jazz", 5, 2)
    before, rate = sound(source.sound)
    after, _ = sound(take.files["WAV"])
    fade = round(0.05 * rate) + 1
    changed = np.zeros(len(before), bool)
    for start, end in ((1.5, 3.0), (4.5, 6.0)):
        changed[round(start * rate) - fade : round(end * rate) + fade] = True
    assert before.shape == after.shape
    assert np.array_equal(before[~changed], after[~changed])
    assert not np.array_equal(before, after)
    again = edit_takes(pipe, source, order, tmp_path)[0]
    assert again.files["WAV"].read_bytes() == take.files["WAV"].read_bytes()


def test_seconds_say_a_stretch_too(pipe: Any, source: EditSource, tmp_path: Path) -> None:
    (take,) = edit_takes(pipe, source, EditOrder("repaint", "1.5-3 s", steps=1), tmp_path)
    assert take.sheet.chord_labels == source.sheet.chord_labels
    assert soundfile.info(take.files["WAV"]).frames == soundfile.info(source.sound).frames


def test_bars_are_put_before_and_after(pipe: Any, source: EditSource, tmp_path: Path) -> None:
    (take,) = edit_takes(pipe, source, EditOrder("extend", chords="ii7", before=1, after=2, steps=1), tmp_path)
    assert take.sheet.chord_labels == ["D:min7", "C:maj", "A:min", "F:maj", "G:maj", "D:min7", "D:min7"]
    before, rate = sound(source.sound)
    after, _ = sound(take.files["WAV"])
    assert len(after) == pytest.approx(7 * 1.5 * rate, abs=2)
    kept = slice(round(0.05 * rate), round(5.9 * rate))  # the ring is left, a fade at the joints
    assert np.array_equal(before[kept], after[round(1.5 * rate) :][kept])


def test_a_variation_and_loops_are_takes_too(pipe: Any, source: EditSource, tmp_path: Path) -> None:
    (take,) = edit_takes(pipe, source, EditOrder("vary", amount=0.5, steps=2), tmp_path)
    rate = soundfile.info(take.files["WAV"]).samplerate
    assert soundfile.info(take.files["WAV"]).frames == round(6.0 * rate)
    loops = edit_takes(pipe, source, EditOrder("loop", "2-3", loops=2, steps=1), tmp_path)
    assert [one.sheet.chord_labels for one in loops] == [["A:min", "F:maj"]] * 2
    assert {soundfile.info(one.files["WAV"]).frames for one in loops} == {
        round(3.0 * soundfile.info(loops[0].files["WAV"]).samplerate)
    }
    assert loops[0].files["WAV"].read_bytes() != loops[1].files["WAV"].read_bytes()
    assert "loop" in edit_markup.results_html(source, [loops[0]], "x")
    assert classes(edit_markup.results_html(source, loops, "x")).count("mt-player") == 2


def test_a_set_of_loops_stays_equally_loud_in_its_files(
    pipe: Any, source: EditSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    time = np.arange(48000) / 48000
    waves = np.array([np.sin(2 * np.pi * 997 * time), np.sin(2 * np.pi * 997 * time) ** 9], np.float32)
    level = np.repeat(level_loops(0.99 * waves[:, None], 48000), 2, axis=1)  # equally loud, one with higher peaks
    made = MuseTuneOutput(level, 48000, source.sheet.slice(0, 4))
    monkeypatch.setattr(pipe, "loop", lambda *arguments, **options: made)
    takes = edit_takes(pipe, source, EditOrder("loop", "1", loops=2, steps=1), tmp_path)
    files = [soundfile.read(one.files["WAV"])[0].T for one in takes]
    assert true_peak(files[1]) == pytest.approx(10 ** (-1 / 20), rel=1e-3)
    loudness = [np.sqrt(np.mean(wave**2) / np.mean(before**2)) for wave, before in zip(files, level, strict=True)]
    assert loudness[0] == pytest.approx(loudness[1], rel=1e-3)


def test_a_take_is_edited_from_its_latents(
    pipe: Any, source: EditSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipe.vae, "encode", None)  # nobody hears the sound again
    assert source.latents is not None
    (take,) = edit_takes(pipe, source, EditOrder("repaint", "2", steps=1), tmp_path)
    again = EditSource("again", take.files["WAV"], take.sheet, take.order, take.latents)
    (longer,) = edit_takes(pipe, again, EditOrder("extend", after=1, steps=1), tmp_path)
    assert soundfile.info(longer.files["WAV"]).duration == pytest.approx(7.5, abs=1e-3)
    edit_takes(pipe, again, EditOrder("vary", steps=2), tmp_path)
    with pytest.raises(TypeError):
        edit_takes(pipe, replace(again, latents=None), EditOrder("vary", steps=2), tmp_path)


def test_notes_of_a_file_reach_the_pipeline(
    pipe: Any, source: EditSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Arrangement(source.sheet.grid, {"lead": Stem(73, (StemNote(4.0, 4.0, 72),))})
    midi, asked = save_song(source.sheet, notes, tmp_path / "notes.mid"), []

    def stop(**options: Any) -> Any:  # whether they are heard is tested where a stretch is made
        asked.append(options["arrangement"])
        raise StoppedError

    for order in (EditOrder("repaint", "2", notes=str(midi)), EditOrder("extend", after=1, notes=str(midi))):
        monkeypatch.setattr(pipe, order.kind, stop)
        with pytest.raises(StoppedError):
            edit(pipe, source, order, tmp_path)
    assert asked == [notes, notes]
    with pytest.raises(ValueError, match="stems are read from"):
        edit(pipe, source, EditOrder("repaint", "2", notes=str(source.sound)), tmp_path)


def test_stereo_stays_stereo_and_24_bits_stay_24(pipe: Any, source: EditSource, tmp_path: Path) -> None:
    wave = np.random.default_rng(0).uniform(-0.3, 0.3, (2, 6 * 44100)).astype(np.float32)
    song = replace(source, sound=save_audio(tmp_path / "song.wav", wave, 44100, depth="PCM_24"))
    (take,) = edit_takes(pipe, song, EditOrder("repaint", "1", steps=1), tmp_path)
    before, after = (soundfile.read(path, dtype="int32")[0] for path in (song.sound, take.files["WAV"]))
    assert after.shape == (6 * 44100, 2)
    assert np.array_equal(before[2 * 44100 :], after[2 * 44100 :])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "melt"}, "none of repaint, extend, vary, cover, loop"),
        ({"kind": "repaint"}, "say which bars"),
        ({"kind": "repaint", "stretches": "x"}, "'x' is none: click bars"),
        ({"kind": "repaint", "stretches": "3-9"}, "within 1–4"),
        ({"kind": "repaint", "stretches": "2", "chords": "Hm"}, "'Hm'"),
        ({"kind": "repaint", "stretches": "2" * 300}, "300 characters"),
        ({"kind": "extend"}, "how much to play on"),
        ({"kind": "extend", "after": 99}, "Bars after"),
        ({"kind": "vary", "amount": 2}, "Amount"),
        ({"kind": "loop", "stretches": "1-2, 4"}, "bars in a row"),
        ({"kind": "loop", "stretches": "3-5"}, "Bars of the loop"),
        ({"kind": "loop", "loops": 99}, "Loops"),
        ({"kind": "vary", "steps": None}, "Steps"),
        ({"kind": "cover", "genre": "polka"}, "'polka'"),
        ({"kind": "cover", "keep": ("loudness",)}, "Keep"),
        ({"kind": "vary", "style": "x.wav", "style_share": 2}, "Share of the clip"),
    ],
)
def test_a_wrong_order_is_refused_and_nothing_is_written(
    pipe: Any, source: EditSource, tmp_path: Path, wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        edit(pipe, source, EditOrder(**({"steps": 1} | wrong)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_cover_keeps_what_is_asked_and_says_how_well(pipe: Any, source: EditSource, tmp_path: Path) -> None:
    order = EditOrder("cover", genre="jazz", keep=("chords", "loudness"), steps=1)
    result = edit(pipe, source, order, tmp_path)
    (take,) = result.takes
    assert (take.sheet.chord_labels, take.sheet.genre) == (source.sheet.chord_labels, "jazz")
    assert result.note.startswith("As MuseTune's own listener hears it, kept: ")
    assert order.title() == "cover, jazz"


def test_a_clip_changes_the_sound_in_edits_and_in_generate(pipe: Any, source: EditSource, tmp_path: Path) -> None:
    order = EditOrder("vary", amount=1.0, steps=1)
    plain, clip, none_of_it = (
        sound(edit_takes(pipe, source, replace(order, **more), tmp_path)[0].files["WAV"])[0]
        for more in ({}, {"style": str(source.sound)}, {"style": str(source.sound), "style_share": 0.0})
    )
    rounding = np.abs(none_of_it - plain).mean()
    assert rounding < 1
    assert np.abs(clip - plain).mean() > 3 * rounding
    asked = Order(CHORDS, bpm=160, bars=4, steps=1, style=str(source.sound))
    styled, words = play(pipe, asked, tmp_path), play(pipe, replace(asked, style=None), tmp_path)
    assert styled.files["WAV"].read_bytes() != words.files["WAV"].read_bytes()
    assert styled.report["settings"]["style"] == {"clip": source.sound.name, "share": 1.0}


@pytest.mark.parametrize("kind", ["repaint", "extend", "vary", "loop", "cover"])
def test_work_that_nobody_waits_for_stops_at_the_next_step(
    pipe: Any, source: EditSource, tmp_path: Path, kind: str
) -> None:
    class Gone(Errand[Any]):
        """Somebody who leaves after the first step."""

        checks = 0

        def __init__(self) -> None:
            self.progress, self.share = "", None

        def check(self) -> None:
            self.checks += 1
            raise StoppedError("gone")

    gone, stretch = Gone(), "1" if kind == "repaint" else ""
    with pytest.raises(StoppedError):
        edit(pipe, source, EditOrder(kind, stretch, after=1, steps=9, keep=("chords",)), tmp_path, gone)
    assert gone.checks == 1
    assert gone.progress == ("6/9 steps" if kind == "vary" else "1/9 steps")  # near: the last steps alone


def test_stretches_are_read() -> None:
    assert read_stretches(" 3–4 ,7") == ([(3, 4), (7, 7)], None)
    assert read_stretches("1.5-4s") == (None, [(1.5, 4.0)])
    for wrong in ("", "3-", "1.5", "a", "4 s", "1-2-3", "9" * 9, "3 4"):
        with pytest.raises(ValueError, match="Stretch"):
            read_stretches(wrong)


def test_bars_are_put_in_front_of_a_recording_that_begins_within_a_bar(
    pipe: Any, source: EditSource, tmp_path: Path
) -> None:
    heard = replace(source.sheet, grid=source.sheet.grid.shift(0.2), first_downbeat=Fraction(1))
    order = EditOrder("extend", chords="| Dm | G7 |", before=2, steps=1)
    (take,) = edit_takes(pipe, replace(source, sheet=heard), order, tmp_path)
    assert take.sheet.chord_labels[:4] == ["G:7", "D:min", "G:7", "C:maj"]  # from its first beat on, and two bars
    assert take.sheet.downbeats_s[:3] == pytest.approx([0.575, 2.075, 3.575])
    before, rate = sound(source.sound)
    after, _ = sound(take.files["WAV"])
    kept = slice(round(0.05 * rate), round(5.9 * rate))
    assert np.array_equal(before[kept], after[round(3.0 * rate) :][kept])


def test_a_lead_sheet_takes_the_place_of_what_was_heard(pipe: Any, source: EditSource, tmp_path: Path) -> None:
    sheet = LeadSheet.parse("| C | Dm | F | G |", key="C major", bpm=160)
    (tmp_path / "takes").mkdir()
    with closing(AnalysisWorker()) as worker:
        own = correct_source(source, sheet.save(tmp_path / "own.json"), worker)
        with pytest.raises(ValueError, match="give the sheet of the whole"):
            correct_source(source, sheet.slice(0, 8).save(tmp_path / "half.json"), worker)
    assert own.sheet.chord_labels == ["C:maj", "D:min", "F:maj", "G:maj"]
    assert (own.sound, own.latents, own.order.prompt) == (source.sound, source.latents, source.order.prompt)
    (take,) = edit_takes(pipe, own, EditOrder("repaint", "3", steps=1), tmp_path / "takes")
    assert take.sheet.chord_labels == own.sheet.chord_labels


def test_the_tab_takes_over_a_take_and_gives_takes(pipe: Any, source: EditSource, tmp_path: Path) -> None:
    gr = pytest.importorskip("gradio", reason="the page is of the extra ui")
    from musetune.serve.page import Page

    async def made() -> Page:  # in a loop: gradio opens loops that it never closes where there is none
        return Page(pipe, tmp_path / "takes")

    (tmp_path / "takes").mkdir()
    page = asyncio.run(made())
    tab, order = page.edit, Order(CHORDS, bpm=160, bars=4, ending="stops", steps=1)
    history = TakeHistory().add(play(pipe, order, page.studio.folder))
    assert 'data-action="edit" data-number="1"' in markup.takes_html(history)
    piece, _, html, start, *_, tabs = tab.take_over(history, SimpleNamespace(_data={"action": "edit", "number": 1}))
    assert html.count("mt-pick ") + html.count('mt-pick"') == 4
    assert (start["interactive"], tabs["selected"]) == (True, "edit")
    assert all(
        one == gr.skip() for one in tab.take_over(history, SimpleNamespace(_data={"action": "show", "number": 1}))
    )
    fields = ("repaint", "2", "Dm", "", 0, 4, 0.4, 1, 0, 1)
    *_, last = tab.make(piece, history, *fields)
    assert [one.name.split(" · ")[-1] for one in last[page.generate.history].takes][1:] == ["anew: bar 2"]
    assert "mt-compare" in last[tab.view]
    assert tab.continue_from(piece, last[tab.result])[0].sheet.chord_labels[1] == "D:min"
    assert "no piece yet" in _last(tab.make(None, history, *fields))[tab.status]
    assert "is not a chord" in _last(tab.make(piece, history, "repaint", "2", "Hm", "", 0, 4, 0.4, 1, 0, 1))[tab.status]


def _last(answers: Iterator[Any]) -> Any:
    *_, answer = answers
    return answer
