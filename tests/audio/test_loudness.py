"""Loudness and true peaks against signals whose values are known."""

from __future__ import annotations

import numpy as np
import pyloudnorm
import pytest

from musetune.audio.loudness import set_loudness, true_peak


def hiss(seconds: float = 3.0, rate: int = 48000, channels: int = 2) -> np.ndarray:
    return 0.02 * np.random.default_rng(0).normal(size=(channels, round(seconds * rate)))


def test_the_loudness_is_what_was_asked() -> None:
    for audio in (hiss(), hiss()[0]):
        louder = set_loudness(audio, 48000, -23.0)
        assert louder.dtype == np.float32
        assert pyloudnorm.Meter(48000).integrated_loudness(louder.T) == pytest.approx(-23.0, abs=0.1)


def test_true_peaks_stay_below_minus_one_decibel() -> None:
    audio = hiss()
    audio[:, 5000:5003] = 0.9  # a click that must not clip
    louder = set_loudness(audio, 48000, -6.0)
    assert true_peak(louder) <= 10 ** (-1 / 20) + 1e-6
    assert np.corrcoef(louder[0], audio[0])[0, 1] > 0.999999


def test_a_peak_between_samples_is_found() -> None:
    wave = np.sin(np.pi / 2 * np.arange(4000) + np.pi / 4)  # full scale, sampled at 0.707
    assert np.abs(wave).max() == pytest.approx(0.7071, abs=1e-3)
    assert true_peak(wave[None] * np.hanning(4000)) == pytest.approx(1.0, abs=0.02)


def test_silence_stays() -> None:
    assert np.abs(set_loudness(np.zeros((2, 48000)), 48000, -14.0)).max() == 0


def test_errors_name_the_range() -> None:
    with pytest.raises(ValueError, match=r"lufs=0 is outside of -40 to -5"):
        set_loudness(hiss(), 48000, 0.0)
    with pytest.raises(ValueError, match=r"lasts 0\.10 s"):
        set_loudness(hiss(0.1), 48000, -14.0)
