"""Whatever is handed in: the right answer, or a ValueError that says what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from made_sounds import SR, song

from musetune.analysis import analyze, hear
from musetune.analysis.source import RATE, listen

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
