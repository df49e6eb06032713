"""Songs and their truth stay together through every change of time and meter."""

from __future__ import annotations

import numpy as np
import pytest

from musetune.analysis.listening.vocabulary import BEATS
from musetune.datasets.band import BAR, with_band
from musetune.datasets.chord_studies import METER_SHARE, study
from musetune.datasets.corpus import EIGHTHS, HALVES, AnnotatedSong, at_tempo, in_meter, rubato


def made(meter: str = "4/4", seed: int = 0) -> AnnotatedSong:
    rng = np.random.default_rng(seed)
    while (song := study(rng, 40.0)).meter != meter:
        pass
    return song


@pytest.mark.parametrize("meter", list(HALVES))
def test_a_song_in_four_becomes_one_in_another_meter(meter: str) -> None:
    song = made()
    other = in_meter(song, meter)
    assert other.meter == meter
    assert other.beats_per_bar == BEATS[meter]
    np.testing.assert_allclose(other.downbeats_s, other.beats_s[:: BEATS[meter]])
    beat = 60 / song.bpm / 2 * EIGHTHS[meter]
    np.testing.assert_allclose(np.diff(other.beats_s), beat, rtol=1e-6)
    bar = beat * BEATS[meter]
    assert other.duration_s < song.duration_s
    assert all(note.end <= other.duration_s + 1e-6 for part in other.midi.instruments for note in part.notes)
    assert bar == pytest.approx(np.diff(other.downbeats_s).mean())


def test_only_songs_in_four_can_be_recast() -> None:
    with pytest.raises(ValueError, match="only songs in 4/4"):
        in_meter(made("3/4"), "5/4")


def test_tempo_and_rubato_move_everything() -> None:
    song = made()
    assert at_tempo(song, 2.0).bpm == pytest.approx(2 * song.bpm)
    free = rubato(song, np.random.default_rng(1), 0.15)
    gaps = np.diff(free.beats_s)
    assert gaps.std() / gaps.mean() > 0.05
    starts = {round(float(t), 3) for t in song.intervals_s[:, 0]} & {round(float(t), 3) for t in song.beats_s}
    moved = np.abs(free.intervals_s[:, :1] - free.beats_s).min(axis=1)
    assert len(starts) == len(song.intervals_s)
    assert moved.max() < 1e-6


@pytest.mark.parametrize("meter", list(METER_SHARE))
def test_drums_fall_on_the_grid(meter: str) -> None:
    song = made(meter)
    band = with_band(song, np.random.default_rng(2), drums=1.0)
    drums = next(part for part in band.instruments if part.is_drum)
    kicks = np.array([note.start for note in drums.notes if note.pitch == 36])
    assert np.abs(song.downbeats_s[:-1, None] - kicks).min(axis=1).max() < 1e-6  # a kick on every bar line
    step = 60 / song.bpm / EIGHTHS[meter]
    assert BAR[meter] * step == pytest.approx(np.diff(song.downbeats_s).mean())


def test_studies_hold_every_quality_and_inversion() -> None:
    songs = [study(np.random.default_rng(seed), 30.0) for seed in range(60)]
    labels = {label.partition(":")[2] for song in songs for label in song.labels}
    assert {"aug", "minmaj7", "hdim7", "sus2", "min6"} <= {label.split("/")[0] for label in labels}
    assert {"b3", "3", "5", "b7"} <= {label.partition("/")[2] for label in labels}
    assert {song.meter for song in songs} == set(METER_SHARE)
