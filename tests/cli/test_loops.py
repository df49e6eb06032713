"""`musetune generate --loop` and `--loops`, `--style-audio`, and `musetune replay`: what files they write."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from small_pipe import make_pipe, read_stems
from typer.testing import CliRunner

from musetune import LeadSheet
from musetune.audio import load_audio, save_audio
from musetune.audio.loudness import true_peak
from musetune.cli.app import app
from musetune.formats.songs import load_arrangement, save_song
from musetune.planning.rules.orchestrate import orchestrate

SHEET = LeadSheet.parse("| C | F |", bpm=173, genre="pop")
PERIOD = round(8 * 60 / 173 * 48000)


@pytest.fixture(scope="module")
def options(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    adapter = read_stems(make_pipe(tiny_base)).save_adapter(tmp_path_factory.mktemp("loops") / "adapter")
    return ["--base", str(tiny_base), "--adapter", str(adapter), "--steps", "1"]


def run(*command: str) -> dict:  # type: ignore[type-arg]
    done = CliRunner().invoke(app, [*command, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    return json.loads(done.stdout[done.stdout.index("{") :])  # type: ignore[no-any-return]


def test_a_loop_and_a_set_of_loops(options: list[str], tmp_path: Path) -> None:
    chords = ["--chords", "I IV", "--bpm", "173", *options]
    style = save_audio(tmp_path / "like.wav", 0.1 * np.random.default_rng(0).normal(size=8000), 16000)
    run("generate", "pop", *chords, "--loop", "--style-audio", str(style), "-o", str(tmp_path / "one.wav"))
    assert soundfile.info(tmp_path / "one.wav").frames == PERIOD
    assert LeadSheet.load(tmp_path / "one.mid").chord_labels == ["C:maj", "F:maj"]
    made = run(
        "generate", "drums", "--also", "bass", "--loops", "3", "--lufs", "-5", *chords, "-o", str(tmp_path / "set.flac")
    )
    assert made["midi"] == str(tmp_path / "set.mid")
    assert [(Path(one["audio"]).name, one["prompt"], one["seed"]) for one in made["loops"]] == [
        ("set-1.flac", "drums", 0),
        ("set-2.flac", "bass", 1),
        ("set-3.flac", "drums", 2),
    ]
    infos = [soundfile.info(one["audio"]) for one in made["loops"]]
    assert {(info.frames, info.samplerate, info.channels) for info in infos} == {(PERIOD, 48000, 2)}
    peaks = [true_peak(load_audio(one["audio"], mono=False)[0]) for one in made["loops"]]
    assert max(peaks) == pytest.approx(10 ** (-1 / 20), rel=2e-3)  # asked louder than the peak allows


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["--loop", "--chords", "C F", "--seconds", "3"], "no whole number of bars"),
        (["--loop"], "--loop needs"),
        (["--sheet", "SHEET.mid", "--midi"], "MIDI would overwrite"),
        (["--sheet", "SHEET.mid", "--stems"], "give the audio another name, or --no-midi"),
        (["--loops", "2", "--chords", "C F", "--report"], "--report is of one loop"),
        (["--chords", "C F", "--style-strength", "0.5"], "needs --style-audio"),
    ],
)
def test_what_is_no_loop_is_said_before_anything_is_loaded(command: list[str], message: str, tmp_path: Path) -> None:
    sheet = str(SHEET.save(tmp_path / "a.mid"))
    command = [word.replace("SHEET.mid", sheet) for word in command]
    with pytest.raises(ValueError, match=message):
        CliRunner().invoke(app, ["generate", "pop", *command, "-o", str(tmp_path / "a.wav")], catch_exceptions=False)


def test_a_player_plays_again(options: list[str], tmp_path: Path) -> None:
    notes = orchestrate(SHEET, seed=1).arrangement
    song = save_song(SHEET, notes, tmp_path / "song.json")
    rng = np.random.default_rng(1)
    for name in notes.stems:
        save_audio(tmp_path / f"song.{name}.wav", 0.1 * rng.normal(size=44400).clip(-1, 1), 16000)
    made = run("replay", str(song), "bass", "-o", str(tmp_path / "again"), *options)
    names = {Path(file).name for file in made["files"]}
    assert names == {"again.wav", "again.json", "again.mid", *(f"again.{name}.wav" for name in notes.stems)}
    waves = {}
    for name in notes.stems:
        before, waves[name] = (soundfile.read(tmp_path / f"{stem}.{name}.wav")[0] for stem in ("song", "again"))
        assert np.array_equal(before, waves[name]) == (name != "bass")
    np.testing.assert_allclose(soundfile.read(tmp_path / "again.wav")[0], sum(waves.values()), atol=1e-4)
    assert load_arrangement(tmp_path / "again.json") == notes
    with pytest.raises(FileExistsError, match="is there already"):
        CliRunner().invoke(
            app, ["replay", str(song), "bass", "-o", str(tmp_path / "again"), *options], catch_exceptions=False
        )
