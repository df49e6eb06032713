"""Examples for the analyser: truth and sound belong together, whatever was done to the sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from musetune.audio import find_soundfont
from musetune.audio.source import RATE
from musetune.datasets.analyzer.batches import IGNORE, UNSURE, chord_targets
from musetune.datasets.analyzer.examples import KINDS, ExampleJob, encode_chords, make_example, play, record
from musetune.datasets.chord_studies import study
from musetune.datasets.corpus import AnnotatedSong

pytest.importorskip("tinysoundfont")


def clicks(seconds: float = 8.0) -> AnnotatedSong:
    """Drums alone, a rim stroke on each beat at 100 beats a minute."""
    beats = np.arange(0.3, seconds, 0.6)
    drums = pretty_midi.Instrument(0, is_drum=True, name="DRUMS")
    drums.notes = [pretty_midi.Note(120, 37, at, at + 0.1) for at in beats]
    midi = pretty_midi.PrettyMIDI()
    midi.instruments.append(drums)
    return AnnotatedSong("clicks", midi, np.array([[0, seconds]]), ["N"], beats, beats[::4], "none", seconds)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_beats_stay_on_their_sound_through_tuning_and_production(seed: int) -> None:
    job = ExampleJob(seed, "plain", None, (find_soundfont(),), 8.0)
    song, wave, factor = record(clicks(), job, np.random.default_rng(seed))
    assert wave.ndim == 1
    assert 2 ** (-50 / 1200) - 1e-3 <= factor <= 2 ** (50 / 1200) + 1e-3
    level = np.square(np.diff(wave, prepend=0))
    windows = [level[int((at * factor - 0.1) * RATE) :][: int(0.2 * RATE)] for at in song.beats_s[1:-1]]
    profile = np.mean([row / (row.sum() + 1e-12) for row in windows], axis=0)
    smooth = np.convolve(profile, np.ones(64) / 64, "same")
    rise = int(np.argmax(smooth > 0.3 * smooth.max()))
    assert abs(rise / RATE - 0.1) < 0.02


@pytest.mark.slow
def test_an_example_is_a_function_of_its_job() -> None:
    job = ExampleJob(11, "vamp", None, (find_soundfont(),), 8.0)
    one, same = make_example(job), make_example(job)
    assert one.keys() == same.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], same[name])
    other = make_example(ExampleJob(12, "vamp", None, (find_soundfont(),), 8.0))
    assert other["notes"].shape != one["notes"].shape or not np.array_equal(other["notes"], one["notes"])


def test_a_vamp_is_one_chord_all_the_time() -> None:
    song = study(np.random.default_rng(4), 20.0, vamp=True)
    assert len(set(song.labels)) == 1
    assert song.key == "none"
    assert song.intervals_s[-1, 1] - song.intervals_s[0, 0] > 15


def test_drums_are_the_kits_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from musetune.datasets.analyzer import examples

    kits = []
    monkeypatch.setattr(examples, "load_kit", lambda folder, rate: kits.append(folder))
    monkeypatch.setattr(examples, "play_kit", lambda kit, notes, samples: np.ones((2, samples), np.float32))
    monkeypatch.setattr(examples, "synthesize", lambda *args, **kwargs: pytest.fail("a soundfont played the drums"))
    job = ExampleJob(0, "plain", None, (Path("a.sf2"),), 8.0, Path("kit"))
    wave = play(clicks(), job, np.random.default_rng(0))
    assert kits == [Path("kit")]
    assert wave.any()


def test_shares_of_kinds_are_whole() -> None:
    assert sum(KINDS.values()) == pytest.approx(1)


def test_unsure_chords_are_not_learned() -> None:
    chords = encode_chords(["C:maj", "X", "N", "G:5", "D:min7/5"])
    assert chords[:, 0].tolist() == [0, UNSURE, -1, UNSURE, 2]
    assert encode_chords([]).shape == (0, 3)
    spans = np.stack([np.arange(5.0), np.arange(1.0, 6.0)], 1)
    example = {"intervals_s": spans, "chord": chords, "key": np.array(3)}
    chord, bass, key = chord_targets(example, np.arange(5) + 0.5, 2)
    assert chord[1] == bass[1] == chord[3] == bass[3] == IGNORE
    assert (chord[[0, 2, 4]] >= 0).all()
    assert key.tolist() == [5] * 5
