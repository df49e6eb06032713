"""Recast passages: in time, in every meter, with the chords that the knobs ask for."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from musetune.datasets.rendering import excerpts
from musetune.datasets.rendering.settings import RenderingConfig
from musetune.symbols import LeadSheet

SONG = LeadSheet.parse(
    "| C | G/B | Am7 . F . | F | Dm7 | G7 | Cmaj7 | C |", key="C major", bpm=100, duration_seconds=120
)
PLAIN = RenderingConfig(
    random_share=0, waltz_share=0, compound_share=0, any_tempo_share=0, rubato_share=0, push_share=0, inversion_share=0
)


def draw(count: int = 40, **shares: float) -> list[LeadSheet]:
    return [excerpts.excerpt(SONG, replace(PLAIN, **shares), random.Random(i)) for i in range(count)]


def test_a_passage_covers_the_clip() -> None:
    for sheet in draw(
        random_share=0.5, waltz_share=0.3, compound_share=0.3, rubato_share=0.5, push_share=0.5, inversion_share=0.5
    ):
        assert sheet.duration_s >= PLAIN.seconds - 1e-6
        assert sheet.chords[0].start == 0
        assert all(a.start + a.beats <= b.start for a, b in zip(sheet.chords, sheet.chords[1:], strict=False))
        assert sheet.crop(0.0, PLAIN.seconds).duration_s == pytest.approx(PLAIN.seconds, abs=1e-3)


def test_meters_are_what_was_asked() -> None:
    assert {str(s.meter) for s in draw(compound_share=1.0)} == {"6/8"}
    assert {str(s.meter) for s in draw(waltz_share=1.0)} == {"3/4"}
    assert {str(s.meter) for s in draw()} == {"4/4"}
    for sheet in draw(compound_share=1.0):
        assert all(span.start.denominator == 1 for span in sheet.chords)
        assert 40 <= sheet.bpm <= 110


def test_all_keys_and_many_tempi() -> None:
    sheets = draw(200, any_tempo_share=1.0)
    assert len({s.key.tonic_pc for s in sheets}) == 12
    assert min(s.bpm for s in sheets) < 70
    assert max(s.bpm for s in sheets) > 170


def test_rubato_sways_and_a_metronome_does_not() -> None:
    def spread(sheet: LeadSheet) -> float:
        steps = np.diff(sheet.grid.times_s)
        return float(steps.max() / steps.min())

    assert max(map(spread, draw())) == pytest.approx(1.0)
    assert all(1.02 < spread(s) < 1.25 for s in draw(rubato_share=1.0))


def test_pushed_changes_come_half_a_beat_early() -> None:
    for plain, pushed in zip(draw(), draw(push_share=1.0), strict=True):
        assert len(plain.chords) == len(pushed.chords)
        early = {a.start - b.start for a, b in zip(plain.chords, pushed.chords, strict=True)}
        assert early <= {Fraction(0), Fraction(1, 2)}
    assert any(span.start.denominator == 2 for s in draw(push_share=1.0) for span in s.chords)


def test_inversions_put_a_chord_tone_in_the_bass() -> None:
    inverted = [span.chord for s in draw(inversion_share=1.0) for span in s.chords if span.chord.bass != "1"]
    assert inverted
    assert all(c.bass_pc in c.pitch_classes for c in inverted)


def test_random_chords_fill_the_sheet() -> None:
    for sheet in draw(random_share=1.0, waltz_share=0.5):
        assert sheet.chords[-1].start + sheet.chords[-1].beats == sheet.length
