"""Clips played otherwise than written, and what the analyser makes of them."""

from __future__ import annotations

import random

import numpy as np
import pytest

from musetune.analysis.expression import hear_expression
from musetune.datasets.rendering.expression import GAIN_DB, draw_gain, fade, swing, thin, vary
from musetune.planning.rules.orchestrate import orchestrate
from musetune.symbols import BeatGrid, LeadSheet
from musetune.symbols.arrangement import Arrangement, Stem, StemNote

HATS = Stem(0, tuple(StemNote(beat / 2, 0.25, 42) for beat in range(32)), is_drum=True)
BAND = Arrangement(BeatGrid.constant(120, 17), {"drums": HATS})
SHEET = LeadSheet.parse("| C | G | Am | F |", bpm=120, genre="pop")
RATE = 16000


def clicks(band: Arrangement, seconds: float = 8.0) -> np.ndarray:
    """A short burst of noise at every onset, (samples,)."""
    wave, burst = np.zeros(round(seconds * RATE)), np.random.default_rng(0).normal(0, 0.2, 400) * np.hanning(400)
    for stem in band.stems.values():
        for note in stem.notes:
            start = round(float(band.grid.time_at(note.start)) * RATE)
            wave[start : start + 400] += burst[: len(wave) - start]
    return wave


@pytest.mark.parametrize("ratio", [0.5, 0.6, 2 / 3])
def test_swing_is_heard_as_it_is_played(ratio: float) -> None:
    played = swing(BAND, 0.5, ratio)
    assert [note.start for note in played.stems["drums"].notes[:4]] == pytest.approx([0, ratio, 1, 1 + ratio])
    wave = clicks(played)
    assert hear_expression(wave, RATE, SHEET).swing == pytest.approx(ratio, abs=0.03)
    assert hear_expression(np.zeros(8 * RATE), RATE, SHEET, played).swing == pytest.approx(ratio, abs=1e-3)


def test_swung_patterns_can_be_made_even() -> None:
    swung = swing(BAND, 0.5, 2 / 3)
    even = swing(swung, 2 / 3, 0.5)
    assert [n.start for n in even.stems["drums"].notes] == pytest.approx([n.start for n in HATS.notes], abs=1e-4)


def test_fewer_notes_are_heard_as_less_density() -> None:
    loud = hear_expression(clicks(BAND), RATE, SHEET)
    fewer = thin(BAND, "off beats", 1.0, random.Random(0))
    assert [note.start for note in fewer.stems["drums"].notes] == list(range(16))
    quiet = hear_expression(clicks(fewer), RATE, SHEET)
    assert quiet.note_density < 0.7 * loud.note_density
    turned = hear_expression(clicks(thin(BAND, "on beats", 0.6, random.Random(1))), RATE, SHEET)
    assert turned.syncopation > loud.syncopation
    left = thin(BAND, "any", 1.0, random.Random(0)).stems["drums"].notes
    assert left == HATS.notes[:1]


def test_a_gain_is_heard_as_loudness_and_never_clips() -> None:
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(8 * RATE) / RATE)
    faded = fade(tone, RATE, ((0.0, -20.0), (8.0, 0.0)))
    heard = hear_expression(faded, RATE, SHEET).loudness_at([0.5, 7.5])
    assert heard[1] - heard[0] == pytest.approx(17.5, abs=1.0)
    assert np.abs(fade(np.stack([tone, tone]), RATE, ((0.0, 40.0),))).max() <= 0.99
    for seed in range(40):
        levels = np.array([level for _, level in draw_gain(10.24, random.Random(seed))])
        assert levels.min() >= GAIN_DB[0]
        assert levels.max() <= GAIN_DB[1]


def test_a_varied_band_keeps_its_players_and_compound_meters_their_thirds() -> None:
    for seed in range(20):
        band = orchestrate(SHEET, seed=seed).arrangement
        other = vary(band, SHEET, random.Random(seed))
        assert other.stems.keys() == band.stems.keys()
        assert all(stem.notes for name, stem in other.stems.items() if band.stems[name].notes)
    jig = LeadSheet.parse("| C | G |", bpm=60, time_signature="6/8", genre="pop")
    band = orchestrate(jig, seed=1).arrangement
    kept = {
        round(note.start % 1, 3) for stem in vary(band, jig, random.Random(4)).stems.values() for note in stem.notes
    }
    assert kept <= {0.0, 0.333, 0.667}
