"""What the Song tab does, without a browser: plans and their charts, notes, audio of players; its HTML."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from html_check import classes

from musetune import LeadSheet
from musetune.formats.songs import load_arrangement
from musetune.planning.rules.orchestrate import orchestrate
from musetune.serve import song_markup
from musetune.serve.song_mix import read_faders
from musetune.serve.song_work import (
    AUDIO_S,
    BARS,
    CHART,
    PlanHeader,
    Song,
    SongOrder,
    apply_pins,
    mix_anew,
    plan_text,
    read_plan,
    render,
    resound_player,
    rewrite_player,
    stretch,
    write_notes,
    write_plan,
)
from musetune.serve.work import load

CHART_TEXT = "[A] | C | Am7 . G/B . |\n[B] | N.C. | Fsus4 F |"


@pytest.fixture(scope="module")
def sheet() -> LeadSheet:
    return read_plan(CHART_TEXT, PlanHeader("C major", 120, "4/4", "pop"))


@pytest.fixture(scope="module")
def song(sheet: LeadSheet, tmp_path_factory: pytest.TempPathFactory) -> Song:
    """Notes by rule, so that it takes no model."""
    notes = orchestrate(sheet, seed=1).arrangement
    return Song(sheet, notes, "a song", {}, 0)


@pytest.fixture(scope="module")
def pipe(full_base: Path) -> Any:
    pipe = load(str(full_base), None, "cpu")
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({}, "What song"),
        ({"prompt": "x" * 1001}, "What song: 1,001 characters"),
        ({"prompt": None}, "What song"),
        ({"bars": 0}, "Bars: 0"),
        ({"bars": 4.5}, "no whole number"),
        ({"bars": 10**9}, "Bars"),
        ({"bpm": float("nan")}, "Tempo"),
        ({"bpm": 900}, "30 to 300"),
        ({"form": "verse:x"}, "not like verse:8"),
        ({"form": "A" * 500}, "Form: 500 characters"),
        ({"prompt": "x", "seed": 2**40}, "Seed"),
    ],
)
def test_orders_are_refused_in_plain_words(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        write_plan(SongOrder(**wrong))


@pytest.mark.slow
def test_a_plan_keeps_its_pins_and_reads_back_from_its_chart() -> None:
    order = SongOrder("sad song", "D minor", 90, "3/4", "jazz", "verse:4 chorus:4", None, 3)
    sheet = write_plan(order)
    assert (str(sheet.key), round(sheet.bpm), str(sheet.meter), sheet.genre) == ("D minor", 90, "3/4", "jazz")
    assert [part.label for part in sheet.sections][:2] == ["verse", "chorus"]
    again = read_plan(plan_text(sheet), PlanHeader.of(sheet))
    assert plan_text(again) == plan_text(sheet)
    assert (again.sections, again.length, again.keys, again.meters) == (
        sheet.sections,
        sheet.length,
        sheet.keys,
        sheet.meters,
    )
    beats = [beat / 4 for beat in range(int(4 * sheet.length))]
    assert [again.chord_at(beat) for beat in beats] == [sheet.chord_at(beat) for beat in beats]


@pytest.mark.slow
def test_pins_are_applied_to_an_edited_plan(sheet: LeadSheet) -> None:
    pinned = apply_pins(sheet, SongOrder("", key="D major", bpm=84, genre="jazz", bars=6))
    assert (str(pinned.key), round(pinned.bpm), pinned.genre) == ("D major", 84, "jazz")
    assert len(pinned.downbeats()) == 6
    assert str(pinned.chord_at(0)) == "D:maj"
    for pin, said in (({"meter": "3/4"}, "chart is in 4/4"), ({"form": "AABA"}, "brackets"), ({"bars": 2}, "fewer")):
        with pytest.raises(ValueError, match=said):
            apply_pins(sheet, SongOrder("", **pin))


def test_a_chart_is_read_with_its_header_and_refused_in_plain_words(sheet: LeadSheet) -> None:
    assert plan_text(sheet) == "[A] | C | Am7 G/B |\n[B] | N.C. | Fsus4 F |"
    assert read_plan(plan_text(sheet), PlanHeader.of(sheet)).chord_labels == sheet.chord_labels
    for text, said in (
        ("| C | Hm7 |", "'Hm7' is not a chord"),
        (" ", "empty"),
        ("C " * CHART, f"up to {CHART:,}"),
        ("| C " * (BARS[1] + 1) + "|", f"up to {BARS[1]} bars"),
        (None, "None"),
    ):
        with pytest.raises(ValueError, match=re.escape(said)):
            read_plan(text, PlanHeader())  # type: ignore[arg-type]


@pytest.mark.slow
def test_notes_have_files_and_one_player_is_written_anew_while_the_others_stay(
    sheet: LeadSheet, tmp_path: Path
) -> None:
    song = write_notes(sheet, "a song", 2, tmp_path)
    assert list(song.arrangement.stems) == ["drums", "bass", "guitar", "keys", "lead"]
    assert {file.suffix for file in song.files.values()} == {".mid", ".musicxml", ".json"}
    assert LeadSheet.load(song.files["Plan (JSON)"]) == sheet
    assert load_arrangement(song.files["MIDI"]).stems == song.arrangement.stems
    new = rewrite_player(song, "bass", tmp_path)
    assert new.arrangement.stems["bass"] != song.arrangement.stems["bass"]
    assert {name: stem for name, stem in new.arrangement.stems.items() if name != "bass"} == {
        name: stem for name, stem in song.arrangement.stems.items() if name != "bass"
    }
    assert load_arrangement(new.files["MIDI"]).stems == new.arrangement.stems
    newer = rewrite_player(new, "bass", tmp_path)
    assert newer.arrangement.stems["bass"] != new.arrangement.stems["bass"]
    with pytest.raises(ValueError, match="'flute' is not one of the players"):
        rewrite_player(song, "flute", tmp_path)


def test_the_stretch_that_becomes_audio_ends_at_a_bar_line() -> None:
    long = LeadSheet.parse("| C | F " * 30 + "|", bpm=100)  # 60 bars of 2.4 s
    start, end = stretch(long, 1)
    assert (start, end) == (0, 100)  # 25 bars are 60 s
    assert stretch(long, 41) == (160, 240)
    assert float(long.grid.time_at(end)) <= AUDIO_S + 1e-6
    for bar in (0, 61, float("nan"), None):
        with pytest.raises(ValueError, match="From bar"):
            stretch(long, bar)  # type: ignore[arg-type]


def test_stems_add_up_to_the_mix_and_only_new_notes_are_generated_again(pipe: Any, song: Song, tmp_path: Path) -> None:
    generated: list[str] = []

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(pipe, name)

        def __call__(self, *args: Any, **options: Any) -> Any:
            generated.extend(options["arrangement"].stems)
            return pipe(*args, **options)

    counting: Any = Counting()
    first = render(counting, song, tmp_path, steps=1, seed=4)
    assert first.audio is not None
    players = list(first.audio.mix.stems)
    assert generated == players
    read = {name: soundfile.read(file)[0] for name, file in first.audio.mix.stems.items()}
    mix, rate = soundfile.read(first.audio.mix.sounds["WAV"])
    assert (rate, mix.shape[1]) == (48000, 2)
    assert len(mix) / rate == pytest.approx(song.sheet.duration_s, abs=0.01)
    assert np.array_equal(np.sum(list(read.values()), axis=0), mix)
    with zipfile.ZipFile(first.audio.mix.archive) as archive:
        assert archive.namelist() == [*(f"{name}.wav" for name in players), "song.mix.json"]
    generated.clear()
    bass = song.arrangement.stems["bass"]
    notes = replace(first.arrangement, stems={**first.arrangement.stems, "bass": replace(bass, notes=bass.notes[:1])})
    second = render(counting, replace(first, arrangement=notes), tmp_path, steps=1, seed=4)
    assert generated == ["bass"]
    assert second.audio is not None
    generated.clear()
    other = render(counting, resound_player(second, "bass"), tmp_path, steps=1, seed=4)
    again = render(counting, resound_player(other, "bass", "solo tuba"), tmp_path, steps=1, seed=4)
    assert generated == ["bass", "bass"]  # the same notes with another sound, the others as they were
    assert again.arrangement == second.arrangement
    assert second.audio is not None
    takes = [one.audio.raw for one in (second, other, again)]  # type: ignore[union-attr]
    sounds = [soundfile.read(raw["bass"][1])[0] for raw in takes]
    assert not np.array_equal(sounds[0], sounds[1])
    assert not np.array_equal(sounds[1], sounds[2])
    assert len({raw["drums"][1].read_bytes() for raw in takes}) == 1
    for wrong, said in ((("flute",), "'flute' is not one"), (("bass", "x" * 1001), "up to 1,000")):
        with pytest.raises(ValueError, match=said):
            resound_player(second, *wrong)
    with pytest.raises(ValueError, match="no audio yet"):
        resound_player(song, "bass")
    generated.clear()
    render(counting, second, tmp_path, steps=1, seed=5)
    assert generated == players


def test_faders_write_the_mix_again_without_generating(pipe: Any, song: Song, tmp_path: Path) -> None:
    first = render(pipe, song, tmp_path, steps=1, seed=4)
    assert first.audio is not None
    bass = soundfile.read(first.audio.mix.stems["bass"])[0]
    faders = {name: {"level_db": 0, "pan": 0, "mute": False, "solo": name == "bass"} for name in first.audio.mix.stems}
    faders["bass"] |= {"level_db": -6, "pan": 1}
    text = json.dumps(faders)
    second = mix_anew(first, text)
    assert second.audio is not None
    assert (second.audio.mix.heard, second.audio.mix.faders) == (("bass",), text)
    for name, file in second.audio.mix.sounds.items():
        wave, rate = soundfile.read(file)
        assert rate == 48000
        limit = 2e-3 if name in ("WAV", "FLAC") else 0.5
        assert np.abs(wave[:, 0]).max() <= limit * max(1e-3, np.abs(wave[:, 1]).max()) + 1e-4
        assert np.abs(wave[: len(bass), 1] - 10 ** (-6 / 20) * bass.sum(axis=1)).max() < limit
    assert first.audio.mix.sounds["WAV"].is_file()
    html = song_markup.audio_html(second.audio, second.sheet)
    assert "&quot;solo&quot;: true" in html
    assert second.audio.mix.sounds["FLAC"].name in html
    with pytest.raises(ValueError, match="no audio yet"):
        mix_anew(song, text)


@pytest.mark.parametrize(
    ("faders", "message"),
    [
        ("[1", "is no table of players"),
        ("[]", "is no table of players"),
        ('{"bass": 3}', "is no table of players"),
        ('{"bass": {"tilt": 3}}', "'tilt' is not one of level_db, pan, mute, solo"),
        ('{"bass": {"mute": 1}}', "mute of bass is '1'"),
        ('{"bass": {"pan": true}}', "pan of bass is 'True'"),
        ("x" * 5000, "is no table of players"),
    ],
)
def test_faders_that_are_none_are_refused(faders: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_faders(faders)


def test_an_adapter_that_reads_no_notes_is_named(song: Song, tmp_path: Path) -> None:
    for adapter in (None, SimpleNamespace(stems=None)):
        with pytest.raises(ValueError, match="musetune ui --adapter theory"):
            render(SimpleNamespace(adapter=adapter), song, tmp_path)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_html_is_whole_escaped_and_labelled(pipe: Any, song: Song, tmp_path: Path) -> None:
    html = song_markup.cast_html(replace(song, files={"MIDI": Path("/a/<song>.mid")}))
    found = classes(html)
    assert found.count("mt-cast-roll") == len(song.arrangement.stems)
    assert html.count("<rect") == sum(len(stem.notes) for stem in song.arrangement.stems.values())
    assert 'aria-label="Mute bass"' in html
    assert "<song>" not in html
    assert "mt-note" in classes(song_markup.plan_html(song.sheet, "a note"))
    made = render(pipe, song, tmp_path, first_bar=3, steps=1)
    assert made.audio is not None
    assert made.audio.from_s == pytest.approx(4.0)
    text = song_markup.audio_html(made.audio, made.sheet)
    assert "Bars 3–4: 0:04 of 0:08" in text
    assert classes(text).count("mt-download") == 5


def test_a_style_is_chosen_and_played_from_the_chart(tmp_path: Path) -> None:
    sheet = write_plan(SongOrder(form="verse:4 chorus:4", style="bossa nova"))
    assert (sheet.style, sheet.genre) == ("bossa nova", "jazz")
    again = read_plan(plan_text(sheet), PlanHeader.of(sheet))
    assert again.style == "bossa nova"
    assert [section.purpose for section in again.sections] == [section.purpose for section in sheet.sections]
    with pytest.raises(ValueError, match="did you mean 'bossa nova'"):
        write_plan(SongOrder(style="bosa nova"))
    own = tmp_path / "mine.yaml"
    own.write_text("style: zouk\ntempo: [90, 94]\n")
    assert 89.9 < write_plan(SongOrder("a short zouk, 4 bars", styles=str(own))).bpm < 94.1


@pytest.mark.slow
def test_a_file_of_own_styles_reaches_the_notes_and_the_players_written_anew(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text(
        "style: zouk\ngrooves: {drums: one_drop, bass: pedal, keys: none}\ninstruments: {bass: upright bass}\n"
    )
    sheet = read_plan("| Am | F | C | G |", PlanHeader("A minor", 92, "4/4", "pop", "zouk"))
    song = write_notes(sheet, "mine", 1, tmp_path, styles=str(own))
    assert song.arrangement.stems["drums"].credit == "by rule one_drop"
    assert song.arrangement.stems["bass"].credit == "by rule pedal"
    assert song.arrangement.stems["bass"].program == 32
    anew = rewrite_player(song, "bass", tmp_path)
    assert anew.arrangement.stems["bass"].credit == "by rule pedal"
    plain = write_notes(sheet, "mine", 1, tmp_path)
    assert plain.arrangement.stems["drums"].credit != "by rule one_drop"
