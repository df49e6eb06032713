"""`musetune analyze`: one file, many files, a bad file among them; what is printed, written and returned."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musetune import LeadSheet, cli

RATE = 22050


def music(seconds: float = 8.0) -> np.ndarray:
    """C, G, A minor, F, two seconds each, struck twice a second."""
    chords, t = ((48, 64, 67), (43, 62, 71), (45, 60, 64), (41, 60, 69)), np.arange(RATE // 2) / RATE
    wave = []
    for stroke in range(int(2 * seconds)):
        notes = chords[stroke // 4 % 4]
        hz = [440 * 2 ** ((note - 69) / 12) for note in notes]
        wave.append(sum(np.sin(2 * np.pi * f * k * t) * 0.6**k for f in hz for k in range(1, 5)) * np.exp(-4 * t))
    return 0.1 * np.concatenate(wave)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch) -> Path:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("MUSETUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two songs at different depths, and no music under a name of music."""
    (tmp_path / "music/deep").mkdir(parents=True)
    soundfile.write(tmp_path / "music/one.wav", music(), RATE)
    soundfile.write(tmp_path / "music/deep/two.flac", music(10), RATE)
    (tmp_path / "music/bad.mp3").write_bytes(b"no music at all" * 50)
    return tmp_path / "music"


def musetune(*arguments: str | Path, piped: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "musetune.cli", "analyze", *map(str, arguments)]
    with open(piped or os.devnull, "rb") as stdin:
        return subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)


def here(monkeypatch, *arguments: str | Path) -> int:  # type: ignore[no-untyped-def]
    """The same in this process, for what ends before any analysis: the exit code."""
    monkeypatch.setattr(sys, "argv", ["musetune", "analyze", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return stop.value.code or 0


@pytest.mark.slow
def test_one_file_is_a_chart(folder: Path, tmp_path: Path) -> None:
    done = musetune(folder / "one.wav", "--sheet", tmp_path / "one.musicxml")
    assert done.returncode == 0, done.stderr
    assert "C major" in done.stdout
    assert "| C | G | Am | F |" in done.stdout
    assert done.stderr == ""
    assert LeadSheet.load(tmp_path / "one.musicxml").chord_labels == ["C:maj", "G:maj", "A:min", "F:maj"]


@pytest.mark.slow
def test_a_bad_file_does_not_stop_the_others(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = musetune(folder, "--csv", "--labels", "--json", "--plot", "--out", out, "--jobs", "2")
    assert done.returncode == 1
    assert "2 of 3 files analysed" in done.stderr
    assert "bad.mp3 cannot be decoded" in done.stderr
    assert "3/3" in done.stderr  # the bar
    assert "Traceback" not in done.stderr
    one = {path.name.removeprefix("one.wav.analysis") for path in out.glob("one.wav.*")}
    assert one >= {".csv", ".beats.csv", ".json", ".png", ".chords.txt", ".keys.txt", ".bars.txt"}
    assert json.loads((out / "deep/two.flac.analysis.json").read_text())["source"]["file"] == "two.flac"
    again = musetune(folder, "--json")
    assert "2 from the cache" in again.stderr
    assert [json.loads(line)["source"]["file"] for line in again.stdout.splitlines()] == ["two.flac", "one.wav"]


@pytest.mark.slow
def test_no_cache_keeps_nothing(folder: Path, cache: Path) -> None:
    assert musetune(folder / "one.wav", "--json", "--no-cache").returncode == 0
    assert not cache.exists()


@pytest.mark.slow
def test_equal_names_in_two_folders_are_mirrored(tmp_path: Path) -> None:
    for name, chords in (("one", "| C | G |"), ("two", "| Am | F |")):
        (tmp_path / name).mkdir()
        LeadSheet.parse(chords, bpm=100).save(tmp_path / name / "song.mid")
    out = tmp_path / "out"
    done = musetune(tmp_path / "one/song.mid", tmp_path / "two/song.mid", "--csv", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "some names are equal: what is written lies in the music's folders below" in done.stderr
    chords = {name: (out / name / "song.mid.analysis.csv").read_text() for name in ("one", "two")}
    assert "C:maj" in chords["one"]
    assert "A:min" in chords["two"]


@pytest.mark.slow
def test_what_is_there_stays_without_force(tmp_path: Path) -> None:
    song = LeadSheet.parse("| C | G |", bpm=100).save(tmp_path / "song.mid")
    assert musetune(song, "--csv").returncode == 0
    table = tmp_path / "song.mid.analysis.csv"
    written = table.read_text()
    table.write_text("mine")
    again = musetune(song, "--csv", "--jams")
    assert again.returncode == 0
    assert f"left as before: {table} and 1 more; --force" in again.stderr
    assert "song.mid.analysis.jams" in again.stdout
    assert str(table) not in again.stdout
    assert table.read_text() == "mine"
    forced = musetune(song, "--csv", "--force")
    assert (forced.returncode, forced.stderr) == (0, "")
    assert table.read_text() == written


@pytest.mark.slow
def test_standard_input(folder: Path, tmp_path: Path) -> None:
    done = musetune("-", "--json", piped=folder / "one.wav")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["key"] == "C major"
    score = musetune(
        "-", "--csv", "--out", tmp_path / "out", piped=LeadSheet.parse("| C | G |").save(tmp_path / "x.mid")
    )
    assert score.stdout.startswith("stdin: ")
    assert (tmp_path / "out/stdin.analysis.csv").is_file()
    bad = musetune("-", piped=folder / "bad.mp3")
    assert bad.returncode == 2
    assert bad.stderr.startswith("musetune: stdin")


def test_nothing_could_be_analysed(folder: Path) -> None:
    done = musetune(folder / "bad.mp3", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("musetune: ")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.mp3"], "no such file: nowhere.mp3"),
        (["empty"], "empty holds no music"),
        (["a.wav", "b/a.wav", "--sheet", "x.mid"], "--sheet takes one file, not 2"),
        (["a.wav", "--sheet", "x.txt"], "suffix '.txt' is not one of"),
        (["tune.mid", "--sheet", "tune.mid"], "would overwrite the music itself"),
        (["a.wav", "--beats", "ears"], "beats='ears' is not one of musetune, madmom, beat_this"),
        (["a.wav", "--sheet", "there.mid"], "there.mid is there already: give another name with --sheet, or --force"),
        (["-", "a.wav"], "- is standard input, which holds one file: give it alone"),
        (["-"], "standard input is empty"),
        (["a.wav", "--tempo-hint", "900"], "--tempo-hint"),
        (["a.wav", "--jobs", "0"], "--jobs"),
    ],
)
def test_mistakes_are_told_before_anything_is_heard(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch, capsys
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "b"):
        Path(name).mkdir()
    for name in ("a.wav", "b/a.wav", "tune.mid", "there.mid"):
        Path(name).touch()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert here(monkeypatch, *arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_an_engine_that_is_absent_says_how_to_get_it(tmp_path: Path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "a.wav").touch()
    assert here(monkeypatch, tmp_path / "a.wav", "--beats", "beat_this") == 2
    assert "beat_this, which is not installed: pip install" in capsys.readouterr().err


def test_help_has_examples() -> None:
    done = musetune("--help")
    assert done.returncode == 0
    assert "musetune analyze song.mp3 --plot --labels" in done.stdout
