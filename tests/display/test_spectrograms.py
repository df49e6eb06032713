"""Pictures of both channels: levels that are known, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from musetune.display.spectrograms import channel_levels, draw_channels


def test_a_sine_stands_at_its_level_and_frequency() -> None:
    bin_hz = 48000 / 2048
    wave = 0.1 * np.sin(2 * np.pi * 430 * bin_hz * np.arange(48000) / 48000)
    levels = channel_levels(wave)
    assert levels.shape[0] == 1025
    assert int(levels[:, 5].argmax()) == 430
    assert levels[430, 5] == pytest.approx(-20, abs=0.1)
    assert levels[900, 5] == -100


def test_it_draws_stereo_and_nothing_else(tmp_path: Path) -> None:
    wave = np.random.default_rng(0).normal(size=(2, 24000)) * [[0.2], [0.02]]
    plain = draw_channels(tmp_path / "a" / "both.png", wave, 48000, title="noise")
    other = draw_channels(tmp_path / "swapped.png", wave[::-1], 48000, title="noise")
    assert plain.read_bytes() != other.read_bytes()
    with pytest.raises(ValueError, match=r"shape \(24000,\) is no stereo"):
        draw_channels(tmp_path / "c.png", wave[0], 48000)
