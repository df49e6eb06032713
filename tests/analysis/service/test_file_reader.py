"""Files of strangers read in a process apart: what comes out, and what becomes of one that breaks the process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musetune import LeadSheet
from musetune.analysis.service.file_reader import PROGRAM, FileReader
from musetune.analysis.service.process import ProcessDeath
from musetune.formats.songs import save_song
from musetune.symbols.arrangement import Arrangement, Stem, StemNote

pytestmark = pytest.mark.slow
SHEET = LeadSheet.parse("| C | Am | F | G7 |", key="C major", bpm=90)


@pytest.fixture(scope="module")
def reader() -> Iterator[FileReader]:
    opened = FileReader()
    yield opened
    opened.close()


def test_sheets_and_notes(reader: FileReader, tmp_path: Path) -> None:
    for suffix in (".mid", ".musicxml", ".jams", ".json"):
        assert reader.sheet(SHEET.save(tmp_path / f"sheet{suffix}")) == SHEET
    song = Arrangement(SHEET.grid, {"bass": Stem(33, (StemNote(0.0, 4.0, 36, 90),))})
    notes = reader.notes(save_song(SHEET, song, tmp_path / "song.mid"))
    assert notes.stems["bass"].notes == song.stems["bass"].notes


def test_sound(reader: FileReader, tmp_path: Path) -> None:
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (22050, 2)).astype(np.float32)
    soundfile.write(tmp_path / "take.wav", wave, 22050, subtype="FLOAT")
    audio, rate = reader.sound(tmp_path / "take.wav", 1.0)
    assert (audio.dtype, audio.shape, rate) == (np.float32, (2, 22050), 22050)
    assert (audio == wave.T).all()
    soundfile.write(tmp_path / "mono.wav", wave[:, 0], 22050)
    assert reader.sound(tmp_path / "mono.wav", 1.0)[0].shape == (22050,)
    with pytest.raises(ValueError, match=r"take\.wav lasts longer than 0\.5 s"):
        reader.sound(tmp_path / "take.wav", 0.5)
    assert not list(tmp_path.glob("*.npy"))


def test_what_cannot_be_read_is_said(reader: FileReader, tmp_path: Path) -> None:
    for name in ("bad.mid", "bad.musicxml", "bad.json", "bad.jams"):
        (tmp_path / name).write_bytes(b"\x00MThd and nothing")
        with pytest.raises(ValueError, match=name):
            reader.sheet(tmp_path / name)
    (tmp_path / "bad.mp3").write_bytes(b"\xff\xfb\x00" * 50)
    with pytest.raises(ValueError, match="cannot be decoded"):
        reader.sound(tmp_path / "bad.mp3", 9.0)
    with pytest.raises(FileNotFoundError):
        reader.sheet(tmp_path / "none.mid")


def test_a_file_that_takes_the_process_down_costs_itself_alone(tmp_path: Path) -> None:
    """A decoder that crashes: SIGSEGV for one name, the others are read as ever, by a new process."""
    crash = "import ctypes, musetune.audio.decode as d\nold = d.open_decoder\nd.open_decoder = lambda path: ctypes.string_at(0) if 'bad' in str(path) else old(path)\n"  # noqa: E501
    reader = FileReader()
    reader._process.program = crash + PROGRAM
    for name in ("bad.wav", "good.wav"):
        soundfile.write(tmp_path / name, np.zeros(100), 8000)
    with pytest.raises(ProcessDeath, match=r"bad\.wav cannot be read: .* by signal SIGSEGV"):
        reader.sound(tmp_path / "bad.wav", 1.0)
    assert reader.sound(tmp_path / "good.wav", 1.0)[1] == 8000
    reader.close()


def test_a_file_that_fills_the_memory_fails(tmp_path: Path) -> None:
    program = "import musetune.analysis.service.file_reader as r\nr.MEMORY = 2**28\nr._decode = lambda *_: len(bytes(2**29))\nr.main()"  # noqa: E501
    reader = FileReader()
    reader._process.program = program
    with pytest.raises(MemoryError):
        reader.sound(tmp_path / "any.wav", 1.0)
    reader.close()
