"""Players at their places: what a pan keeps, and the file that remembers it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from musetune.audio import save_audio
from musetune.audio.mixing import Channel, Mix, Seat, place, sum_waves

RNG = np.random.default_rng(0)
STEREO = RNG.normal(size=(2, 500)).astype(np.float32) * 0.2


@pytest.mark.parametrize("pan", [-1.0, -0.4, 0.0, 0.7, 1.0])
def test_a_pan_keeps_the_mono_sum(pan: float) -> None:
    for wave in (STEREO, STEREO[0]):
        moved = place(wave, Seat(pan=pan))
        middle = wave.mean(axis=0) if wave.ndim == 2 else wave
        assert np.allclose(moved.mean(axis=0) if moved.ndim == 2 else moved, middle, atol=1e-6)
    left, right = place(STEREO, Seat(pan=1.0))
    assert np.abs(left).max() < 1e-6
    assert np.allclose(right, STEREO.sum(axis=0), atol=1e-6)


def test_a_move_is_undone_by_the_move_back() -> None:
    there = Seat(-6.0, 0.6)
    moved = place(STEREO, there)
    assert np.square(moved[1]).sum() > np.square(moved[0]).sum()
    assert np.allclose(place(moved, Seat(), there), STEREO, atol=1e-6)
    assert place(STEREO[0], Seat(-6.0)).shape == (500,)
    with pytest.raises(ValueError, match="cannot be moved"):
        place(STEREO, Seat(), Seat(pan=1.0))


def test_mono_players_stand_in_the_middle_beside_stereo_ones() -> None:
    assert sum_waves([STEREO[0], STEREO[1]]).shape == (500,)
    total = sum_waves([STEREO, STEREO[0]])
    assert np.allclose(total, STEREO + STEREO[0])
    with pytest.raises(ValueError, match="4, 5 samples"):
        sum_waves([np.zeros(4), np.zeros(5)])


def desk(folder: Path) -> Mix:
    """Two players in files, one of them recorded left."""
    bass, keys = STEREO[0], place(STEREO, Seat(pan=-0.5))
    save_audio(folder / "bass.wav", np.rint(bass * 32768).astype(np.int16), 48000)
    save_audio(folder / "keys.wav", np.rint(keys * 32768).astype(np.int16), 48000)
    seat = Seat(pan=-0.5)
    return Mix("song.wav", {"bass": Channel("bass.wav"), "keys": Channel("keys.wav", seat, seat)})


def test_mute_solo_level_and_pan_are_heard(tmp_path: Path) -> None:
    mix = desk(tmp_path)
    whole, rate = mix.render(tmp_path)
    assert rate == 48000
    bass, _ = mix.change(solo={"bass": True}).render(tmp_path)
    keys, _ = mix.change(mute={"bass": True}).render(tmp_path)
    assert np.allclose(bass + keys, whole, atol=1e-6)
    assert np.allclose(bass, np.stack([STEREO[0]] * 2), atol=1e-4)
    centred, _ = mix.change(mute={"bass": True}, pan={"keys": 0.0}).render(tmp_path)
    assert np.allclose(centred, STEREO, atol=1e-3)
    softer, _ = mix.change(level_db={"keys": -20.0}).render(tmp_path)
    assert np.allclose(softer - bass, keys / 10, atol=1e-5)
    assert mix.change(solo={"bass": True}, mute={"bass": True}).audible() == ["bass"]


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    mix = desk(tmp_path).change(level_db={"bass": -3.5}, solo={"keys": True}, mute={"bass": True})
    assert Mix.load(mix.save(tmp_path / "song.mix.json")) == mix


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 7}, "schema 7 is not 1"),
        ({"players": {}}, "names no players"),
        ({"audio": "../song.wav"}, "is no name of a file beside it"),
        ({"players": 3}, "is no mix that musetune wrote"),
    ],
)
def test_foreign_files_are_refused(change: dict, message: str, tmp_path: Path) -> None:
    path = desk(tmp_path).save(tmp_path / "a.mix.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        Mix.load(path)


def test_values_outside_name_their_range(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"pan=2 is outside of -1 to 1"):
        desk(tmp_path).change(pan={"bass": 2})
    with pytest.raises(ValueError, match=r"level_db=40 is outside of -60 to 12"):
        Seat(40)
    with pytest.raises(ValueError, match=r"'harp' is not one of the players: bass, keys"):
        desk(tmp_path).change(mute={"harp": True})
