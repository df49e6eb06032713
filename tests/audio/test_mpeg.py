"""MP3 files with junk before, between and after their frames are read without ffmpeg; ordinary ones as they were."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musetune.audio import load_audio
from musetune.audio.decode import open_decoder
from musetune.audio.mpeg import find_frames

SECONDS = 4


@pytest.fixture(autouse=True)
def without_ffmpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)


def mp3(path: Path, rate: int = 24000, channels: int = 1) -> bytes:
    """Seconds of a tone that rises, so that every place in it sounds differently."""
    seconds = np.arange(SECONDS * rate) / rate
    tone = 0.4 * np.sin(2 * np.pi * (300 + 100 * seconds) * seconds)
    soundfile.write(path, np.stack([tone] * channels, 1), rate, format="MP3")
    return path.read_bytes()


@pytest.mark.parametrize(
    "junk",
    [bytes(3000), b"\xff" * 70000, b"<html>" + b" " * 900, b"ID3\x03\0\0\x7f\x7f\x7f\x7f", b"ID3\x04\0\0\0\0\0\1x"],
    ids=["zeros", "ones", "text", "tag too long", "tag too short"],
)
def test_junk_before_the_first_frame(junk: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "tone.mp3"
    good = mp3(path)
    clean, _ = load_audio(path)
    path.write_bytes(junk + good)
    with caplog.at_level(logging.WARNING):
        read, rate = load_audio(path)
    assert "more than an MP3 stream" in caplog.text
    assert rate == 24000
    assert np.array_equal(read, clean)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000])
def test_a_file_cut_in_the_middle_of_a_frame_keeps_its_length(rate: int, channels: int, tmp_path: Path) -> None:
    path = tmp_path / "tone.mp3"
    good = mp3(path, rate, channels)
    frames = find_frames(path)
    assert frames is not None
    assert frames.whole
    path.write_bytes(good[40:])  # without the frame that tells the length
    read, found = load_audio(path)
    assert found == rate
    assert len(read) / rate == pytest.approx(SECONDS, abs=0.3)


def test_a_hole_costs_its_own_time_alone(tmp_path: Path) -> None:
    path = tmp_path / "tone.mp3"
    good = mp3(path)
    middle = len(good) // 2
    path.write_bytes(good[:middle] + bytes(3000) + good[middle + 500 :])
    read, rate = load_audio(path)
    assert len(read) / rate == pytest.approx(SECONDS, abs=0.6)
    last = np.abs(np.fft.rfft(read[-rate // 2 :])).argmax() * 2  # Hz
    assert 900 < last < 1150  # the tone's end, not its middle


@pytest.mark.parametrize("times", [2, 3])
def test_files_joined_end_to_end_are_read_to_their_end(times: int, tmp_path: Path) -> None:
    path = tmp_path / "tone.mp3"
    path.write_bytes(mp3(path) * times)
    read, rate = load_audio(path)
    assert len(read) / rate == pytest.approx(SECONDS * times, abs=0.1 * times)
    last = np.abs(np.fft.rfft(read[-rate // 2 :])).argmax() * 2  # Hz
    assert 900 < last < 1150  # the tone's end


def test_a_stream_that_changes_its_rate_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "tone.mp3"
    first, second = mp3(path), mp3(path, 48000)
    path.write_bytes(first + second)
    with caplog.at_level(logging.WARNING):
        read, rate = load_audio(path)
    assert (rate, len(read)) == (24000, SECONDS * 24000)
    assert "changes its sampling rate or layer" in caplog.text
    caplog.clear()
    path.write_bytes(first + b"TAG" + bytes(125))
    load_audio(path)
    assert not caplog.text


def test_an_ordinary_file_is_read_by_its_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "tone.mp3"
    path.write_bytes(mp3(path) + b"TAG" + bytes(125))
    decoder = open_decoder(path)
    assert decoder.source.fileno() > 0  # type: ignore[attr-defined]
    decoder.close()


@pytest.mark.parametrize("data", [b"", b"\xff\xfb", b"\xff\xfb\x90\x00" * 9999, bytes(range(256)) * 500])
def test_what_has_no_frames(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tone.mp3"
    path.write_bytes(data)
    assert find_frames(path) is None
    with pytest.raises(ValueError, match=r"tone\.mp3 cannot be decoded"):
        load_audio(path)
