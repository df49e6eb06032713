"""Songs and their truth stay together through every change of time and meter."""

from __future__ import annotations

import numpy as np
import pretty_midi
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


def _eighths(song, part) -> np.ndarray:  # type: ignore[no-untyped-def]
    """(notes,) at which eighth of its bar each note of a part begins; -1 between them."""
    at = np.interp([note.start for note in part.notes], song.beats_s, np.arange(len(song.beats_s)))
    eighths = (at - song.phase) * EIGHTHS[song.meter] % BAR[song.meter]
    return np.where(np.abs(eighths - eighths.round()) < 1e-3, eighths.round() % BAR[song.meter], -1).astype(int)


@pytest.mark.parametrize(("meter", "loudest"), [("6/8", {0, 3}), ("3/4", {0, 2, 4}), ("4/4", {0, 2, 4, 6})])
def test_hats_are_loudest_where_the_meter_beats(meter: str, loudest: set[int]) -> None:
    """A bar of six eighths is two threes in 6/8 and three twos in 3/4, and nothing else tells them apart."""
    song, louder = made(meter), []
    for seed in range(60):
        band = with_band(song, np.random.default_rng(seed), drums=1.0)
        drums = next(part for part in band.instruments if part.is_drum)
        notes = [note for note in drums.notes if note.pitch in (42, 51, 70)]
        if not notes:
            continue
        hats = pretty_midi.Instrument(0, is_drum=True)
        hats.notes = notes
        places, loud = _eighths(song, hats), np.array([note.velocity for note in notes])
        assert loudest <= set(places)  # hats that skip eighths keep these
        beats = np.isin(places, list(loudest))
        louder.append(loud[beats].min() - loud[~beats].max(initial=0))
    assert len(louder) > 30
    assert min(louder) >= -1  # at times hardly louder, never softer
    assert np.mean(np.array(louder) > 0) > 0.8


@pytest.mark.parametrize(
    ("meter", "lines"),
    [
        ("4/4", {(0, 1, 2, 3, 4, 5, 6, 7), (0, 2, 4, 6), (0, 4), (0,)}),
        ("3/4", {(0, 1, 2, 3, 4, 5), (0, 2, 4), (0,)}),
        ("6/8", {(0, 1, 2, 3, 4, 5), (0, 3), (0,)}),
    ],
)
def test_the_bass_divides_beats_and_bars_as_the_meter_does(meter: str, lines: set[tuple[int, ...]]) -> None:
    beats = 0.6 * np.arange(8 * BEATS[meter] + 1)
    bar = 0.6 * BEATS[meter]
    chords = np.array([[0, 4 * bar], [4 * bar, 8 * bar]])
    song = AnnotatedSong(
        "", pretty_midi.PrettyMIDI(), chords, ["C:maj", "F:maj"], beats, beats[:: BEATS[meter]], "C:maj", 8 * bar, meter
    )
    bands = [with_band(song, np.random.default_rng(seed), drums=0.0) for seed in range(80)]
    parts = [part for band in bands for part in band.instruments if part.name == "BASS"]
    assert {tuple(np.unique(_eighths(song, part)).tolist()) for part in parts} == lines


def test_studies_hold_every_quality_and_inversion() -> None:
    songs = [study(np.random.default_rng(seed), 30.0) for seed in range(60)]
    labels = {label.partition(":")[2] for song in songs for label in song.labels}
    assert {"aug", "minmaj7", "hdim7", "sus2", "min6"} <= {label.split("/")[0] for label in labels}
    assert {"b3", "3", "5", "b7"} <= {label.partition("/")[2] for label in labels}
    assert {song.meter for song in songs} == set(METER_SHARE)
