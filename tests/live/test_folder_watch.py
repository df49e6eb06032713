"""A watched folder: what appears is rendered whole and once, what is wrong is said, its own files are left alone."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile
from small_pipe import make_pipe
from typer.testing import CliRunner

from musetune import LeadSheet
from musetune.audio import mel_frontend
from musetune.audio.loudness import true_peak
from musetune.cli.app import app
from musetune.live.folder_watch import FolderWatch

SHEET = LeadSheet.parse("| C | Am |", bpm=240)


class Writer:
    """A renderer that writes the chords as text, and remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    def __call__(self, sheet: LeadSheet, folder: Path, name: str) -> list[Path]:
        self.seen.append(sheet.chord_labels)
        files = [folder / f"{name}.wav", folder / f"{name}.mid"]
        for file in files:
            file.write_text(" ".join(sheet.chord_labels))
        return files


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_sheet_is_rendered_once_until_it_changes(tmp_path: Path) -> None:
    writer = Writer()
    watch = FolderWatch(tmp_path, writer, settle_s=0.01)
    SHEET.save(tmp_path / "song.mid")
    for _ in range(3):
        watch.update(watch.waiting())
        watch.update([tmp_path / "song.mid"])
    assert writer.seen == [["C:maj", "A:min"]]
    assert names(tmp_path) == {"song.mid", "song.musetune.wav", "song.musetune.mid"}
    assert watch.waiting() == []
    os.utime(tmp_path / "song.mid")  # only touched
    watch.update([tmp_path / "song.mid"])
    SHEET.transpose(2).save(tmp_path / "song.mid")
    watch.update([tmp_path / "song.mid"])
    assert writer.seen[1:] == [["D:maj", "B:min"]]
    assert (tmp_path / "song.musetune.wav").read_text() == "D:maj B:min"


def test_errors_are_said_beside_the_file_and_go_when_it_is_right(tmp_path: Path) -> None:
    said: list[str] = []
    watch = FolderWatch(tmp_path, Writer(), said.append, settle_s=0.01)
    (tmp_path / "broken.mid").write_bytes(b"MThd\0\0")
    LeadSheet.parse("| N.C. |").save(tmp_path / "silent.json")
    SHEET.save(tmp_path / "twice.json")
    SHEET.save(tmp_path / "twice.mid")
    watch.update(watch.waiting())
    errors = {name for name in names(tmp_path) if name.endswith("error.txt")}
    assert errors == {"broken.musetune.error.txt", "silent.musetune.error.txt", "twice.musetune.error.txt"}
    assert "needs them as markers" in (tmp_path / "silent.musetune.error.txt").read_text()
    assert "rename one" in (tmp_path / "twice.musetune.error.txt").read_text()
    assert any(line.startswith("twice.json: twice.musetune.mid, twice.musetune.wav") for line in said)  # and it went on
    SHEET.save(tmp_path / "broken.mid")
    watch.update([tmp_path / "broken.mid"])
    assert "broken.musetune.error.txt" not in names(tmp_path)
    assert not [name for name in names(tmp_path) if name.startswith(".")]


def test_what_failed_is_tried_again_when_it_is_saved_again(tmp_path: Path) -> None:
    writer = Writer()
    watch = FolderWatch(tmp_path, writer, settle_s=0.01)
    SHEET.save(tmp_path / "song.json")
    SHEET.save(tmp_path / "song.mid")
    watch.update([tmp_path / "song.mid"])
    assert "song.musetune.error.txt" in names(tmp_path)
    (tmp_path / "song.json").unlink()
    watch.update([tmp_path / "song.json"])  # gone
    SHEET.save(tmp_path / "song.mid")  # the same as before
    watch.update([tmp_path / "song.mid"])
    assert writer.seen == [["C:maj", "A:min"]]
    assert names(tmp_path) == {"song.mid", "song.musetune.wav", "song.musetune.mid"}


def test_every_kind_of_lead_sheet_is_rendered_and_levels_of_a_mix_are_none(tmp_path: Path) -> None:
    writer = Writer()
    watch = FolderWatch(tmp_path, writer, settle_s=0.01)
    for name in ("one.musicxml", "two.jams", "three.json"):
        SHEET.save(tmp_path / name)
    (tmp_path / "song.mix.json").write_text("{}")  # beside the audio of generate --stems
    watch.update(watch.waiting())
    assert writer.seen == 3 * [["C:maj", "A:min"]]
    assert not [name for name in names(tmp_path) if name.endswith("error.txt")]


def test_what_was_there_stays_until_the_new_is_whole(tmp_path: Path) -> None:
    SHEET.save(tmp_path / "song.json")
    (tmp_path / "song.musetune.wav").write_text("old")
    (tmp_path / "song.musetune.drums.wav").write_text("old player")
    os.utime(tmp_path / "song.musetune.wav", (1, 1))

    def fail(sheet: LeadSheet, folder: Path, name: str) -> list[Path]:
        (folder / f"{name}.wav").write_text("half")
        raise RuntimeError("out of memory")

    failing = FolderWatch(tmp_path, fail, settle_s=0.01)
    failing.update(failing.waiting())
    assert (tmp_path / "song.musetune.wav").read_text() == "old"
    assert (tmp_path / "song.musetune.error.txt").read_text() == "out of memory\n"
    good = FolderWatch(tmp_path, Writer(), settle_s=0.01)
    good.update(good.waiting())
    assert (tmp_path / "song.musetune.wav").read_text() == "C:maj A:min"
    assert "song.musetune.drums.wav" not in names(tmp_path)  # nobody plays it any more


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert reached()


@pytest.mark.slow
def test_half_a_file_is_not_read_and_own_files_start_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("watchfiles")
    writer, stop = Writer(), threading.Event()
    monkeypatch.chdir(tmp_path.parent)
    watch = FolderWatch(tmp_path.name, writer, settle_s=0.4)  # changes are told by whole paths
    SHEET.transpose(1).save(tmp_path / "early.json")
    thread = threading.Thread(target=watch.run, args=(stop,))
    thread.start()
    try:
        wait_for(lambda: (tmp_path / "early.musetune.wav").exists())  # what waited
        whole = SHEET.save(tmp_path.parent / "whole.mid").read_bytes()
        with (tmp_path / "song.mid").open("wb") as file:  # as a program writes it, in pieces
            for place in range(0, len(whole), 40):
                file.write(whole[place : place + 40])
                file.flush()
                time.sleep(0.05)
        wait_for(lambda: (tmp_path / "song.musetune.wav").exists())
        time.sleep(1.5)  # its own files were written meanwhile
        assert writer.seen == [["Db:maj", "Bb:min"], ["C:maj", "A:min"]]
        SHEET.transpose(5).save(tmp_path / "second.json")
        wait_for(lambda: len(writer.seen) == 3)
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()
    assert "song.musetune.error.txt" not in names(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reads_stems", "given", "stems"), [(False, [], False), (True, [], True), (True, ["--no-stems"], False)]
)
def test_the_command_writes_audio_and_midi(
    tiny_base: Path, tmp_path: Path, reads_stems: bool, given: list[str], stems: bool
) -> None:
    pipe = make_pipe(tiny_base)
    if reads_stems:
        pipe.adapter.add_stems(16, 8, mel_frontend(pipe).frequencies)
    adapter = pipe.save_adapter(tmp_path / "adapter")
    folder = tmp_path / "songs"
    folder.mkdir()
    SHEET.save(folder / "song.mid")
    options = ["--base", str(tiny_base), "--adapter", str(adapter), "--steps", "1", "--once", "--lufs", "-5"]
    options += given
    done = CliRunner().invoke(app, ["watch", str(folder), *options], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    wave, rate = soundfile.read(folder / "song.musetune.wav")
    assert (rate, wave.shape) == (48000, (96000, 2))
    assert true_peak(wave.T) <= 10 ** (-1 / 20) + 1e-3
    assert LeadSheet.load(folder / "song.musetune.mid").chord_labels == ["C:maj", "A:min"]
    players = sorted(folder.glob("song.musetune.*.wav"))
    assert bool(players) == stems
    if stems:
        sums = sum(soundfile.read(path, dtype="int16")[0].astype(int) for path in players)
        assert (sums == soundfile.read(folder / "song.musetune.wav", dtype="int16")[0]).all()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no folder: make it first"):
        FolderWatch(tmp_path / "none", Writer())
