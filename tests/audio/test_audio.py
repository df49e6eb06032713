"""Files and the synthesiser."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from musetune.audio import LogMel, find_soundfont, load_audio, resample, save_audio

pytest.importorskip("tinysoundfont", reason="pip install --no-deps tinysoundfont")
from musetune.audio import synthesize
from musetune.audio.decode import open_decoder
from musetune.planning.rules.orchestrate import orchestrate
from musetune.symbols import LeadSheet


@pytest.mark.parametrize("format", ["wav", "flac", "mp3", "ogg"])
def test_files_round_trip(tmp_path: Path, format: str) -> None:
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000).astype(np.float32)
    read, rate = load_audio(save_audio(tmp_path / f"tone.{format}", wave, 16000))
    assert rate == 16000
    n = min(len(read), 16000)
    assert np.abs(np.abs(np.fft.rfft(read[:n])).argmax() * 16000 / n - 440) < 2


def test_stereo_resampling_and_errors(tmp_path: Path) -> None:
    stereo = np.stack([np.zeros(4800), np.ones(4800) * 0.5]).astype(np.float32)
    path = save_audio(tmp_path / "stereo.wav", stereo, 48000)
    read, rate = load_audio(path, 16000, mono=False)
    assert (read.shape, rate) == ((2, 1600), 16000)
    assert resample(stereo, 48000, 24000).shape == (2, 2400)
    with pytest.raises(ValueError, match="'aac' is not one of"):
        save_audio(tmp_path / "x.aac", stereo, 48000)
    with pytest.raises(ValueError, match="within −1…1"):
        save_audio(tmp_path / "x.wav", 2 * np.ones(10), 16000)
    (tmp_path / "bad.mp3").write_bytes(b"not music" * 100)
    with pytest.raises(ValueError, match=r"bad\.mp3 cannot be decoded"):
        load_audio(tmp_path / "bad.mp3")
    with pytest.raises(FileNotFoundError, match="no such audio file"):
        load_audio(tmp_path / "none.wav")


@pytest.mark.slow
def test_synthesis_sounds_the_chord_at_its_time() -> None:
    sheet = LeadSheet.parse("| C | N |", bpm=120)
    midi = orchestrate(sheet, genre="classical", seed=0).arrangement.to_pretty_midi()
    wave = synthesize(midi, 16000, duration_s=4.0)
    assert wave.shape == (64000,)
    assert np.abs(wave[:32000]).mean() > 4 * np.abs(wave[56000:]).mean()
    assert np.array_equal(wave, synthesize(midi, 16000, duration_s=4.0))
    assert synthesize(midi, 16000, duration_s=1.0, stereo=True).shape == (2, 16000)


def test_a_missing_soundfont_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.sf2 does not exist"):
        find_soundfont("nowhere.sf2")


def test_audioldm2_log_mel_shape_and_floor() -> None:
    frontend = LogMel()
    mel = frontend(torch.zeros(1, 163840))
    assert mel.shape == (1, 1, 1024, 64)
    torch.testing.assert_close(mel, torch.full_like(mel, float(np.log(1e-5))))


FFMPEG = """#!{python}
import struct, sys, time
mode = {mode!r}
if mode == "fails":
    sys.exit("moov atom not found")
if mode == "hangs":
    time.sleep(60)
out = sys.stdout.buffer
out.write(struct.pack(">4s5I", b".snd", 32, 0xFFFFFFFF, 6, 8000, 2) + bytes(8))
out.write(struct.pack(">2f", 0.25, -0.5) * 4000)
"""


@pytest.fixture
def ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Puts a program of this name on the path, which plays half a second, fails or hangs."""
    if os.name != "posix":
        pytest.skip("the stand-in is a script with a #! line")

    def install(mode: str) -> Path:
        program = tmp_path / "bin/ffmpeg"
        program.parent.mkdir()
        program.write_text(FFMPEG.format(python=sys.executable, mode=mode))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))
        (tmp_path / "song.m4a").write_bytes(b"what libsndfile does not know" * 20)
        return tmp_path / "song.m4a"

    return install


def test_other_formats_go_through_ffmpeg(ffmpeg) -> None:  # type: ignore[no-untyped-def]
    read, rate = load_audio(ffmpeg("plays"), mono=False)
    assert (read.shape, rate) == ((2, 4000), 8000)
    assert read[:, 100].tolist() == [0.25, -0.5]


def test_what_ffmpeg_says_is_in_the_error(ffmpeg) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=r"song\.m4a cannot be decoded .*ffmpeg: moov atom not found"):
        load_audio(ffmpeg("fails"))


def test_ffmpeg_that_hangs_is_stopped(ffmpeg, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("musetune.audio.decode.PATIENCE_S", 0.3)
    with pytest.raises(ValueError, match="no sound within"):
        load_audio(ffmpeg("hangs"))


def test_without_ffmpeg_its_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    (tmp_path / "song.m4a").write_bytes(b"what libsndfile does not know" * 20)
    with pytest.raises(ValueError, match="install ffmpeg, which reads M4A"):
        load_audio(tmp_path / "song.m4a")


def test_a_file_can_be_let_go_before_it_is_read(tmp_path: Path) -> None:
    path = save_audio(tmp_path / "a.wav", np.zeros(100, np.float32), 16000)
    decoder = open_decoder(path)
    decoder.close()
    decoder.close()
    assert (decoder.rate, decoder.channels) == (16000, 1)


@pytest.mark.parametrize("format", ["wav", "flac", "ogg", "mp3"])
def test_a_cut_file_is_what_is_left_of_it(format: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 16000 * 10).clip(-1, 1)
    path = save_audio(tmp_path / f"a.{format}", noise, 16000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    read, _ = load_audio(path)
    assert len(read) / 16000 == pytest.approx(5, abs=0.6)
