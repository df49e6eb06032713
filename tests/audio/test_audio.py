"""Files and the synthesiser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from musetune.audio import LogMel, find_soundfont, load_audio, resample, save_audio

pytest.importorskip("tinysoundfont", reason="pip install --no-deps tinysoundfont")
from musetune.audio import synthesize
from musetune.planning.orchestrate import orchestrate
from musetune.theory import LeadSheet


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
