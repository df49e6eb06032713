"""`musetune repaint | extend | vary`: files keep what they should keep, mistakes are said before anything is loaded."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_pipe import make_pipe, read_stems
from typer.testing import CliRunner

from musetune import LeadSheet, MuseTunePipeline
from musetune.audio import save_audio
from musetune.cli.app import app
from musetune.formats.songs import save_song
from musetune.pipeline.continuing import continue_sheet
from musetune.symbols.arrangement import Arrangement, Stem, StemNote

SHEET = LeadSheet.parse("| C | F | G | C |", bpm=240)


@pytest.fixture(scope="module")
def given(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A stereo recording of 4 s at 44.1 kHz; the options of its sheet, of a small base and its adapter."""
    folder = tmp_path_factory.mktemp("edit")
    rng = np.random.default_rng(0)
    song = save_audio(folder / "song.wav", 0.3 * rng.uniform(-1, 1, size=(2, 4 * 44100)), 44100)
    adapter = make_pipe(tiny_base).save_adapter(folder / "adapter")
    sheet = SHEET.save(folder / "song.json")
    return song, ["--sheet", str(sheet), "--base", str(tiny_base), "--adapter", str(adapter), "--steps", "1"]


@pytest.fixture(scope="module")
def reader(tiny_base: Path) -> MuseTunePipeline:
    """A small pipeline that reads notes."""
    return read_stems(make_pipe(tiny_base))


def test_a_file_is_repainted_and_played_on(given: tuple[Path, list[str]], tmp_path: Path) -> None:
    song, options = given
    out = tmp_path / "new.wav"
    command = ["repaint", str(song), "--bars", "1-1", "--bars", "3", "--chords", "Dm7 G7", "-o", str(out)]
    done = CliRunner().invoke(app, [*command, *options, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    summary = json.loads(done.stdout[done.stdout.index("{") :])
    assert (summary["channels"], summary["sampling_rate"], summary["seconds"]) == (2, 44100, 4.0)
    assert LeadSheet.from_json(summary["sheet"]).chord_labels == ["D:min7", "G:7", "F:maj", "D:min7", "G:7", "C:maj"]
    before, after = (soundfile.read(path, dtype="int16")[0] for path in (song, out))
    edge = round(0.05 * 44100)
    for start, end in ((44100 + edge, 2 * 44100 - edge), (3 * 44100 + edge, None)):
        assert np.array_equal(before[start:end], after[start:end])
    assert not np.array_equal(before[:44100], after[:44100])
    longer, whole = tmp_path / "longer.wav", SHEET.save(tmp_path / "whole.json")
    continue_sheet(SHEET, 4.0, "| F |", 1.0).save(whole)
    command = ["extend", str(song), "--after", "1", "-o", str(longer), "--sheet", str(whole), *options[2:]]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    assert len(soundfile.read(longer)[0]) == 5 * 44100
    command = ["vary", str(song), "--amount", "0.5", "-o", str(tmp_path / "near.wav"), *options]
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    near = soundfile.info(tmp_path / "near.wav")
    assert (near.duration, near.samplerate, near.channels) == (pytest.approx(4), 44100, 2)
    command = ["vary", str(song), "--amount", "0.5", "--mono16", "--lufs", "-20", "-o", str(tmp_path / "near.ogg")]
    assert CliRunner().invoke(app, [*command, *options], catch_exceptions=False).exit_code == 0
    plain = soundfile.info(tmp_path / "near.ogg")
    assert (plain.samplerate, plain.channels) == (16000, 1)


def test_a_recording_of_24_bits_is_covered_and_stays_so(given: tuple[Path, list[str]], tmp_path: Path) -> None:
    _, options = given
    song, out = tmp_path / "deep.flac", tmp_path / "jazz.flac"
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(4 * 32000) / 32000)
    save_audio(song, np.stack([wave, wave]), 32000, depth="PCM_24")
    command = ["cover", str(song), "--genre", "jazz", "--keep", "chords", "--keep", "loudness", "-o", str(out)]
    done = CliRunner().invoke(app, [*command, *options, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    summary = json.loads(done.stdout[done.stdout.index("{") :])
    assert (summary["channels"], summary["sampling_rate"], summary["seconds"]) == (2, 32000, 4.0)
    assert set(summary["kept"]) == {"chords"}  # the loudness of a tone has no course to be kept
    assert soundfile.info(out).subtype == "PCM_24"
    left, right = soundfile.read(out)[0].T
    assert not np.array_equal(left, right)
    part = ["repaint", str(song), "--bars", "2", "-o", str(tmp_path / "part.flac"), *options]
    assert CliRunner().invoke(app, part, catch_exceptions=False).exit_code == 0
    before, after = (soundfile.read(path, dtype="int32")[0] for path in (song, tmp_path / "part.flac"))
    assert np.array_equal(before[2 * 32000 :], after[2 * 32000 :])


def test_without_a_sheet_the_recording_is_analysed(
    given: tuple[Path, list[str]], reader: MuseTunePipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from musetune import analysis

    class Found:
        lead_sheet, genre = SHEET, "blues"

    monkeypatch.setattr(analysis, "analyze", lambda wave, rate: Found())
    monkeypatch.setattr("musetune.cli.edit.load_pipeline", lambda *base, **options: (reader, "theory"))
    commands = {
        "repaint": (["--bars", "2"], 4.0, ["C:maj", "F:maj", "G:maj", "C:maj"]),
        "vary": ([], 4.0, ["C:maj", "F:maj", "G:maj", "C:maj"]),
        "cover": (["--keep", "chords"], 4.0, ["C:maj", "F:maj", "G:maj", "C:maj"]),
        "extend": (["--before", "1", "--after", "1", "--chords", "| Am |"], 6.0, ["A:min", "C:maj", "F:maj"]),
    }
    for kind, (more, seconds, chords) in commands.items():
        out = ["--steps", "1", "--mono16", "-o", str(tmp_path / f"{kind}.wav"), "--json"]
        done = CliRunner().invoke(app, [kind, str(given[0]), *more, *out], catch_exceptions=False)
        assert done.exit_code == 0, kind
        summary = json.loads(done.stdout[done.stdout.index("{") :])
        sheet = LeadSheet.from_json(summary["sheet"])
        assert (summary["seconds"], sheet.chord_labels[: len(chords)]) == (pytest.approx(seconds), chords), kind
        assert sheet.genre == ("blues" if kind == "cover" else None)


def test_a_stretch_is_played_from_given_notes(
    given: tuple[Path, list[str]], reader: MuseTunePipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musetune.cli.edit.load_pipeline", lambda *base, **options: (reader, "theory"))
    song, options = given
    waves = []
    for pitch in (48, 67):
        notes = Arrangement(SHEET.grid, {"lead": Stem(73, (StemNote(4.0, 4.0, pitch),))})
        midi, out = save_song(SHEET, notes, tmp_path / f"{pitch}.mid"), tmp_path / f"{pitch}.wav"
        command = ["repaint", str(song), "--bars", "2", "--given", str(midi), "--mono16", "-o", str(out), *options]
        assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
        waves.append(soundfile.read(out, dtype="int16")[0])
    assert np.array_equal(waves[0][: 44100 - 2300], waves[1][: 44100 - 2300])
    assert not np.array_equal(waves[0][44100 : 2 * 44100], waves[1][44100 : 2 * 44100])


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["cover", "--keep", "loudness"], "keeps nothing of what is played"),
        (["vary", "--style-strength", "0.5"], "needs --style-audio"),
        (["repaint"], "--seconds 4-8 or --bars 3-4"),
        (["repaint", "--seconds", "0-1", "--bars", "1"], "not both"),
        (["repaint", "--seconds", "4"], "give its start and its end as 4-8"),
        (["extend"], "--before 4 or --after 8"),
        (["extend", "--after", "4", "--given", "NOTES"], "give its --sheet too"),
        (["repaint", "--bars", "1", "--given", "NOTES"], "stems are read from .json, .mid"),
        (["vary", "-o", "out.txt"], "'txt' is not one of wav, flac, mp3"),
    ],
)
def test_mistakes_are_said_before_anything_is_loaded(
    given: tuple[Path, list[str]], command: list[str], message: str
) -> None:
    command = [word.replace("NOTES", str(given[0])) for word in command]  # no notes at all
    with pytest.raises(ValueError, match=message):
        CliRunner().invoke(app, [command[0], str(given[0]), *command[1:]], catch_exceptions=False)


def test_the_recording_itself_is_not_written_over(given: tuple[Path, list[str]]) -> None:
    song, options = given
    command = ["vary", str(song), "-o", str(song), "--force", *options]
    with pytest.raises(ValueError, match="give another name"):
        CliRunner().invoke(app, command, catch_exceptions=False)


def test_a_sheet_goes_on_from_where_the_sound_ends() -> None:
    longer = continue_sheet(SHEET, 3.02, "Am F", 1.5)
    assert longer.chord_labels == ["C:maj", "F:maj", "G:maj", "A:min", "F:maj"]
    assert longer.duration_s >= 4.5
