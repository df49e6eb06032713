"""The colour of a sound: what the numbers mean, and that long music needs no more memory than short."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from musetune.analysis.listening.features import FPS, N_MELS, mel_levels
from musetune.analysis.listening.timbre import BLOCK, TIMBRE_NAMES, timbre_features
from musetune.audio.source import RATE, listen


def levels_of(wave: np.ndarray) -> np.ndarray:
    return mel_levels(listen(wave.astype(np.float32), RATE).wave)


def named(levels: np.ndarray) -> dict[str, float]:
    return dict(zip(TIMBRE_NAMES, timbre_features(levels).tolist(), strict=True))


def tone(frequency: float, seconds: float = 10.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)


def hits(per_second: float, seconds: float = 10.0) -> np.ndarray:
    """Bursts of noise that die away in 50 ms."""
    time = np.arange(int(seconds * RATE)) / RATE
    since = time % (1 / per_second)
    return 0.5 * np.random.default_rng(0).normal(0, 1, len(time)) * np.exp(-since / 0.02)


def test_names_and_shape() -> None:
    assert len(set(TIMBRE_NAMES)) == len(TIMBRE_NAMES)
    assert timbre_features(levels_of(tone(440))).shape == (len(TIMBRE_NAMES),)


@pytest.mark.parametrize("per_second", [1.0, 2.0, 4.0])
def test_drums_are_counted(per_second: float) -> None:
    heard = named(levels_of(tone(220) + hits(per_second)))
    assert heard["broad attacks"] == pytest.approx(per_second, abs=0.15)
    assert heard["percussiveness"] > 0.5


def test_a_tone_has_no_drums() -> None:
    swell = tone(220) * np.linspace(0.2, 1, 10 * RATE)
    assert named(levels_of(swell))["broad attacks"] < 0.2


def test_higher_is_brighter() -> None:
    values = [named(levels_of(tone(frequency)))["brightness"] for frequency in (110, 440, 1760, 5000)]
    assert values == sorted(values)
    assert values[-1] - values[0] > 0.3


def test_modulation_is_where_the_level_swings() -> None:
    time = np.arange(10 * RATE) / RATE
    heard = named(levels_of(tone(300) * (1 + 0.9 * np.sin(2 * np.pi * 6 * time))))
    shares = {name: value for name, value in heard.items() if name.startswith("bass modulation")}
    assert max(shares, key=lambda name: shares[name]) == "bass modulation 4–8 Hz"


def test_rests_and_dynamics() -> None:
    gap = tone(440)
    gap[5 * RATE :] = 0
    heard = named(levels_of(gap))
    assert heard["rests"] == pytest.approx(0.5, abs=0.02)
    assert heard["dynamics"] > named(levels_of(tone(440)))["dynamics"] + 0.05


def test_silence_and_nothing_are_zeros() -> None:
    assert not timbre_features(np.zeros((3 * FPS, N_MELS))).any()
    assert not timbre_features(np.zeros((0, N_MELS))).any()


def test_twice_the_music_has_the_same_colour() -> None:
    once = levels_of(tone(220) + hits(2.0))[:BLOCK]
    np.testing.assert_allclose(timbre_features(np.tile(once, (3, 1))), timbre_features(once), atol=1e-4)


@pytest.mark.slow
def test_memory_does_not_grow_with_length() -> None:
    levels = np.random.default_rng(0).random((60 * 60 * FPS, N_MELS), np.float32).astype(np.float16)
    tracemalloc.start()
    try:
        timbre_features(levels)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16e6


@pytest.mark.parametrize(
    ("levels", "message"),
    [
        (np.zeros((10, 32)), r"shape \(10, 32\); give \(frames, 64\)"),
        (np.zeros(64), "shape"),
        (np.full((200, N_MELS), np.nan), "NaN or infinite"),
    ],
)
def test_what_is_no_spectrum_is_said(levels: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        timbre_features(levels)
