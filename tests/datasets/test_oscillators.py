"""Patches drawn anew play the notes that are written."""

from __future__ import annotations

import numpy as np
import pretty_midi
import pytest

from musetune.datasets.oscillators import play_drum_machine, play_oscillators

RATE = 22050


@pytest.mark.parametrize("seed", range(12))
def test_a_note_sounds_at_its_pitch_and_time(seed: int) -> None:
    note = pretty_midi.Note(100, 69, 0.5, 1.5)
    wave = play_oscillators([note], 3 * RATE, RATE, np.random.default_rng(seed))
    assert wave.shape == (2, 3 * RATE)
    assert np.abs(wave).max() == pytest.approx(1.0)
    assert not wave[:, : RATE // 2].any()
    assert not wave[:, round(1.92 * RATE) :].any()  # releases last 0.4 s at most
    spectrum = np.abs(np.fft.rfft(wave[0, RATE // 2 : RATE // 2 + RATE] * np.hanning(RATE)))
    assert spectrum[430:450].max() > 0.3 * spectrum.max()
    between = spectrum[452:640].max()  # nothing but the fundamental's partials, an organ's fifth lies above
    assert between < 0.1 * spectrum.max()


def test_seeds_differ_and_repeat() -> None:
    notes = [pretty_midi.Note(90, pitch, 0.0, 0.8) for pitch in (60, 64, 67)]
    one, same, other = (play_oscillators(notes, RATE, RATE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other, atol=0.05)


def test_partials_stay_below_half_the_rate() -> None:
    wave = play_oscillators([pretty_midi.Note(90, 108, 0.0, 0.5)], 8000, 8000, np.random.default_rng(3))
    assert np.isfinite(wave).all()
    empty = play_oscillators([pretty_midi.Note(90, 127, 0.0, 0.5)], 8000, 8000, np.random.default_rng(3))
    assert not empty.any()


def test_no_notes_no_sound() -> None:
    assert not play_oscillators([], 100, RATE, np.random.default_rng(0)).any()


@pytest.mark.parametrize("seed", range(6))
def test_a_drum_machine_strikes_when_it_is_told(seed: int) -> None:
    strokes = [
        pretty_midi.Note(100, pitch, 0.5 * number + 0.5, 0.5 * number + 0.6)
        for number, pitch in enumerate((36, 38, 42))
    ]
    wave = play_drum_machine(strokes, 3 * RATE, RATE, np.random.default_rng(seed))
    assert wave.shape == (2, 3 * RATE)
    assert np.abs(wave).max() == pytest.approx(1.0)
    assert not wave[:, : RATE // 2].any()
    for stroke in strokes:
        start = round(stroke.start * RATE)
        assert np.abs(wave[0, start : start + RATE // 20]).max() > 0.05
    low = np.abs(np.fft.rfft(wave[0, RATE // 2 : RATE]))
    assert low[:300].sum() > low[300:].sum() * 0.2  # a kick is deep


def test_drum_machines_differ_and_repeat() -> None:
    strokes = [pretty_midi.Note(90, 36, 0.0, 0.1), pretty_midi.Note(90, 47, 0.2, 0.3)]
    one, same, other = (play_drum_machine(strokes, RATE, RATE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other, atol=0.05)
