"""Kits of Hydrogen read and played."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pretty_midi
import pytest
from kit_folder import RATE, write_kit

from musetune.datasets.drum_kits import load_kit, play_kit


@pytest.mark.parametrize("namespace", ["", ' xmlns="http://www.hydrogen-music.org/drumkit"'])
def test_instruments_lie_from_pitch_36_on_and_velocity_picks_the_layer(tmp_path: Path, namespace: str) -> None:
    kit = load_kit(write_kit(tmp_path / "kit", namespace), RATE)
    assert sorted(kit.layers) == [36, 38]
    soft, hard = kit.sample(36, 30), kit.sample(36, 120)
    assert soft is not None
    assert hard is not None
    assert np.abs(hard).max() > 3 * np.abs(soft).max()
    snare = kit.sample(38, 100)
    assert snare is not None
    assert snare.shape == (2, RATE // 10)
    assert np.abs(snare[0]).max() > 0.3 > np.abs(snare[1]).max()


def test_a_near_relative_stands_in_and_strangers_are_silent(tmp_path: Path) -> None:
    kit = load_kit(write_kit(tmp_path / "kit"), RATE)
    np.testing.assert_array_equal(kit.sample(35, 90), kit.sample(36, 90))
    np.testing.assert_array_equal(kit.sample(39, 90), kit.sample(38, 90))
    assert kit.sample(81, 90) is None


def test_strokes_sound_at_their_times_and_loudness(tmp_path: Path) -> None:
    kit = load_kit(write_kit(tmp_path / "kit"), RATE)
    notes = [
        pretty_midi.Note(127, 36, 0.5, 0.6),
        pretty_midi.Note(64, 38, 1.0, 1.1),
        pretty_midi.Note(99, 81, 0.1, 0.2),
    ]
    wave = play_kit(kit, notes, 2 * RATE)
    assert wave.shape == (2, 2 * RATE)
    assert not wave[:, : RATE // 2].any()
    assert wave[0, RATE // 2 : RATE // 2 + 2000].any()
    assert np.abs(wave[0, RATE:]).max() == pytest.approx(0.5 * (64 / 127) ** 1.5, rel=0.05)
    assert play_kit(kit, [pretty_midi.Note(127, 36, 1.99, 2.1)], 2 * RATE).shape == wave.shape


def test_what_is_no_kit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no drumkit\.xml"):
        load_kit(tmp_path, RATE)
    (tmp_path / "drumkit.xml").write_text(
        "<drumkit_info><instrument><filename>gone.wav</filename></instrument></drumkit_info>"
    )
    with pytest.raises(ValueError, match="names no sample"):
        load_kit(tmp_path, RATE)
