"""Whatever is handed in: the right answer, or a ValueError that says what is wrong."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_sounds import SR, song

from musetune.analysis import analyze, hear
from musetune.audio.source import RATE, fold_weights, listen, open_sound

PROGRESSION = ["C:maj", "G:maj", "A:min", "F:maj"]


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    return song(PROGRESSION, 120)


def resampled(wave: np.ndarray, sr: int) -> np.ndarray:
    from musetune.audio import resample

    return resample(wave, SR, sr)


@pytest.mark.parametrize("sr", [8000, 16000, 44100, 192000])
def test_any_rate_hears_the_same(music: np.ndarray, sr: int) -> None:
    heard = hear(resampled(music, sr), sr)
    assert heard.bpm == pytest.approx(120, rel=0.02)
    assert heard.labels == PROGRESSION


def test_channels_level_and_offset_do_not_matter(music: np.ndarray) -> None:
    plain = hear(music, SR)
    stereo = np.stack([music, music])
    for wave in (stereo, 0.01 * stereo, stereo + 0.4, np.stack([music] * 6), np.stack([music, -music])):
        heard = hear(wave.astype(np.float32), SR)
        assert heard.labels == plain.labels
        np.testing.assert_allclose(heard.beats_s, plain.beats_s, atol=0.02)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_files(music: np.ndarray, tmp_path, suffix: str) -> None:
    path = tmp_path / f"song.{suffix}"
    soundfile.write(path, np.stack([music, music]).T, SR)
    record = analyze(path).to_json()
    assert record["source"]["file"] == path.name
    assert record["source"]["channels"] == 2
    assert record["source"]["sample_rate"] == SR
    assert len(record["source"]["sha256"]) == 64
    assert [row["chord"] for row in record["chords"]] == PROGRESSION


def test_a_truncated_file_is_what_is_left_of_it(music: np.ndarray, tmp_path) -> None:
    path = tmp_path / "cut.wav"
    soundfile.write(path, music, SR)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert analyze(path).source.duration_s == pytest.approx(len(music) / SR / 2, abs=0.1)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"no music at all" * 100, bytes(5000)])
def test_garbage_files(tmp_path, content: bytes) -> None:
    path = tmp_path / "garbage.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"garbage\.wav"):
        analyze(path)


def test_no_file_and_a_folder(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        analyze(tmp_path / "nowhere.wav")
    with pytest.raises(ValueError, match="folder"):
        analyze(tmp_path)


@pytest.mark.parametrize(
    ("wave", "sr", "message"),
    [
        (np.zeros(SR * 5, np.float32), SR, "silent"),
        (np.full(SR * 5, 0.5, np.float32), SR, "silent"),
        (np.random.default_rng(0).normal(0, 0.1, int(0.3 * SR)), SR, r"0\.30 s"),
        (np.zeros(0), SR, "no samples"),
        (np.zeros((SR, 2)), SR, "transpose"),
        (np.zeros((1, 2, SR)), SR, "shape"),
        (np.full(SR, np.nan), SR, "NaN"),
        (np.zeros(SR, np.int16), SR, "int16"),
        (np.zeros(SR), 100, "sr=100"),
        (np.zeros(SR), None, "sample rate"),
    ],
)
def test_what_cannot_be_analysed_says_why(wave: np.ndarray, sr: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        analyze(wave, sr)


def one_click() -> np.ndarray:
    wave = np.zeros(SR * 4, np.float32)
    wave[SR] = 0.9
    return wave


def test_one_click_has_no_pulse() -> None:
    with pytest.raises(ValueError, match="no pulse"):
        analyze(one_click(), SR)


@pytest.mark.parametrize(
    "wave",
    [np.zeros(SR * 5), np.full(SR * 5, 0.5), one_click(), 0.1 * np.sin(np.arange(int(0.3 * SR)) * 0.06), np.ones(1)],
)
def test_hear_reports_where_there_is_nothing(wave: np.ndarray) -> None:
    heard = hear(wave, SR)
    assert heard.bpm is None
    assert len(heard.beats_s) == 0
    assert heard.intervals_s[0, 0] == 0
    assert heard.intervals_s[-1, 1] == pytest.approx(len(wave) / SR)


def test_silence_is_no_chord() -> None:
    heard = hear(np.zeros(SR * 2), SR)
    assert heard.labels == ["N"]
    assert heard.key is None


def test_given_beats_are_kept(music: np.ndarray) -> None:
    beats = np.arange(0, 8, 0.5)
    analysis = analyze(music, SR, beats=beats)
    np.testing.assert_allclose(analysis.lead_sheet.beats_s, beats)
    assert analysis.bpm_confidence == 1
    for wrong in ([0, 1], [0, 2, 1, 3], [0, 1, 2, np.nan], [0, 1, 2, 99]):
        with pytest.raises(ValueError, match="beats"):
            analyze(music, SR, beats=np.array(wrong))


def test_listen_folds_and_resamples() -> None:
    wave = np.random.default_rng(1).normal(0, 0.2, (3, 44100))
    sound = listen(wave, 44100)
    assert sound.wave.shape == (RATE,)
    assert sound.wave.dtype == np.float32
    assert sound.source.channels == 3
    assert np.sqrt(np.mean(sound.wave**2)) == pytest.approx(0.1, rel=1e-3)


def test_the_same_blocks_whatever_their_length() -> None:
    wave = np.random.default_rng(2).normal(0, 0.2, (2, 44100 * 13)).astype(np.float32)
    stream = open_sound(wave, 44100)
    with pytest.raises(RuntimeError, match="after the last"):
        stream.source
    blocks = list(stream.blocks(4))
    assert [len(block) for block in blocks] == [4 * RATE] * 3 + [RATE]
    assert stream.source.duration_s == 13
    assert stream.level_dbfs == pytest.approx(20 * np.log10(np.sqrt(np.mean(np.square(np.concatenate(blocks))))))
    np.testing.assert_array_equal(np.concatenate(blocks), np.concatenate(list(stream.blocks(0.7))))


def test_a_file_is_the_array_in_it(tmp_path) -> None:
    wave = np.random.default_rng(3).normal(0, 0.1, 48000 * 7).astype(np.float32)
    soundfile.write(tmp_path / "noise.wav", wave, 48000, subtype="FLOAT")
    from_file, from_array = listen(tmp_path / "noise.wav"), listen(wave, 48000)
    np.testing.assert_array_equal(from_file.wave, from_array.wave)
    assert from_file.source.sha256 == hashlib.sha256((tmp_path / "noise.wav").read_bytes()).hexdigest()


@pytest.mark.parametrize("sr", [8000, 44100, 192000])
def test_offset_is_no_sound(sr: int) -> None:
    """Not at the edges either, where a resampler would ring; and an offset that jumps is a thump and no more."""
    assert listen(np.full(3 * sr, 0.5), sr).level_dbfs == -np.inf
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(8 * sr) / sr)
    jump = np.where(np.arange(8 * sr) < 4 * sr, 0.3, -0.3)
    assert listen(tone + jump, sr).level_dbfs == pytest.approx(listen(tone, sr).level_dbfs, abs=3)  # else 13 louder


def test_channels_that_cancel_are_found_in_each_stretch() -> None:
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(20 * RATE) / RATE).astype(np.float32)
    other = np.where(np.arange(20 * RATE) < 10 * RATE, tone, -tone)  # out of phase from the middle on
    wave = np.concatenate(list(open_sound(np.stack([tone, other]), RATE).blocks()))
    np.testing.assert_allclose(wave[11 * RATE :], tone[11 * RATE :], atol=0.01)
    np.testing.assert_allclose(wave[: 9 * RATE], tone[: 9 * RATE], atol=0.01)
    assert np.abs(np.diff(wave)).max() < 1.2 * np.abs(np.diff(tone)).max()  # faded, not cut


def test_fold_weights() -> None:
    noise = np.random.default_rng(4).normal(0, 0.1, (5000, 3)).astype(np.float32)
    np.testing.assert_allclose(fold_weights(noise), 1 / 3)
    assert fold_weights(np.stack([noise[:, 0], -1.01 * noise[:, 0]], 1)).tolist() == [0, 1]
    assert fold_weights(np.zeros((0, 2), np.float32)).tolist() == [0.5, 0.5]


def header(
    rate: int = RATE, channels: int = 1, bits: int = 16, claimed: int | None = None, seconds: float = 3
) -> bytes:
    """A WAV file whose header says what it is told to."""
    data = (3000 * np.sin(np.arange(int(seconds * RATE)) * 0.1)).astype("<i2").tobytes()
    size = len(data) if claimed is None else claimed
    block = channels * bits // 8
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits)
    return (
        struct.pack("<4sI4s", b"RIFF", 36 + size & 0xFFFFFFFF, b"WAVE")
        + form
        + struct.pack("<4sI", b"data", size)
        + data
    )


@pytest.mark.parametrize("claimed", [None, 10**6, 0x7FFFFFFF, 0xFFFFFFFF])
def test_the_length_is_counted_not_believed(tmp_path, claimed: int | None) -> None:
    (tmp_path / "lie.wav").write_bytes(header(claimed=claimed))
    assert listen(tmp_path / "lie.wav").source.duration_s == pytest.approx(3, abs=0.01)


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        ({"rate": 0}, "lie.wav"),
        ({"rate": 1}, "1 Hz"),
        ({"rate": 2**31 - 1}, "Hz"),
        ({"channels": 0}, "lie.wav"),
        ({"channels": 200}, "200 channels"),
        ({"channels": 60000}, "lie.wav"),
        ({"bits": 0}, "lie.wav"),
        ({"seconds": 0}, "no samples"),
        ({"claimed": 0}, "no samples"),
    ],
)
def test_headers_that_lie(tmp_path, lie: dict, message: str) -> None:
    (tmp_path / "lie.wav").write_bytes(header(**lie))
    with pytest.raises(ValueError, match=message):
        listen(tmp_path / "lie.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_samples_that_are_no_sound(tmp_path, value: float) -> None:
    wave = np.zeros(30 * RATE, np.float32)
    wave[20 * RATE] = value
    soundfile.write(tmp_path / "odd.wav", wave, RATE, subtype="FLOAT")
    with pytest.raises(ValueError, match=r"odd\.wav holds"):
        listen(tmp_path / "odd.wav")


def test_a_suffix_is_not_believed(tmp_path) -> None:
    """libsndfile would take .raw and .vox at their word, and .mp3 says nothing of what is inside."""
    soundfile.write(tmp_path / "tone.wav", 0.1 * np.sin(np.arange(RATE) * 0.1), RATE)
    for name in ("tone.raw", "tone.vox", "tone.mp3", "tone"):
        (tmp_path / name).write_bytes((tmp_path / "tone.wav").read_bytes())
        assert listen(tmp_path / name).source.duration_s == 1


@pytest.mark.slow
def test_ninety_minutes_in_bounded_memory(tmp_path) -> None:
    """Measured in a process of its own (its resource usage would begin with its parent's).

    The whole would take 700 MB as floats.
    """
    if not Path("/proc/self/status").is_file():
        pytest.skip("needs Linux's /proc to tell the memory of one process")
    code = """
import sys, numpy as np, soundfile
from musetune.audio.source import open_sound
with soundfile.SoundFile(sys.argv[1], "w", 16000, 2, "PCM_16") as file:
    minute = (0.1 * np.random.default_rng(0).normal(size=(60 * 16000, 2))).astype(np.float32)
    for _ in range(90):
        file.write(minute)
del minute
stream = open_sound(sys.argv[1])
assert sum(map(len, stream.blocks())) == 90 * 60 * 22050
assert stream.source.duration_s == 5400
print(int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) // 1024)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "long.wav")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 400
