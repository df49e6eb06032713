"""Examples and batches: the truth by frames, its classes, and the same music in other keys."""

from __future__ import annotations

from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from musetune.analysis.numerals.inputs import SIZE, Reading
from musetune.analysis.numerals.vocabulary import QUALITIES, chords
from musetune.datasets.numerals.batches import MISSING, bass_table, draw_fifths, numeral_batch, targets
from musetune.datasets.numerals.examples import load_arrays, make_arrays, truth_of
from musetune.datasets.numerals.labels import Label
from musetune.symbols import BeatGrid, Key, KeySpan, Meter, MeterSpan, Note, Score

LABELS = [
    Label(Fraction(1), (0, "major"), (0, 0), "maj", 0),
    Label(Fraction(2), (0, "major"), (7, 7), "7", 1),
    Label(Fraction(3), (0, "major"), (8, 0), "Ger", 0),
    Label(Fraction(4), (0, "major"), (7, 0), "other", 0),
    Label(Fraction(5), (9, "minor"), (11, 0), "dim7", 3),
    Label(Fraction(6), (9, "minor"), (11, 0), "dim7", 3),
]


def score() -> Score:
    voices = tuple(tuple(Note(Fraction(i), Fraction(1), pitch + i % 3) for i in range(16)) for pitch in (48, 64, 67))
    fifths = tuple(tuple(0 for _ in voice) for voice in voices)
    meters, keys = (MeterSpan(Fraction(0), Meter(4, 4)),), (KeySpan(Fraction(0), Key("Eb")),)
    return Score(voices, ("",) * 3, (), meters, keys, BeatGrid.constant(100, 16), Fraction(16), fifths=fifths)


def test_the_truth_by_frames() -> None:
    truth = truth_of(LABELS, np.arange(15) / 2)
    np.testing.assert_array_equal(truth.key, [-1, -1, *[0] * 8, *[19] * 4])
    np.testing.assert_array_equal(truth.root[2:12:2], [0, 2, 8, 7, 8])
    np.testing.assert_array_equal(truth.applied[2:12:2], [0, 7, 0, 0, 9])
    assert truth.quality[8] == -1
    np.testing.assert_array_equal(
        np.flatnonzero(truth.starts), [2, 4, 6, 8, 10]
    )  # the same numeral does not begin anew


def test_the_classes_of_the_heads() -> None:
    classes = targets(truth_of(LABELS, np.arange(15) / 2))
    names = [None if n == MISSING else chords()[n][1].name for n in classes["chord"][2:12:2].tolist()]
    assert names == ["I", "V7/V", "Ger65", None, "viio7"]
    np.testing.assert_array_equal(classes["bass"][2:12:2], [0, 6, 8, MISSING, 5])
    assert (classes["key"][:2] == MISSING).all()
    assert bass_table()[QUALITIES.index("maj"), 1] == 4


@pytest.mark.parametrize("semitones", [1, 7])
def test_transposed_classes_are_the_same_chord_in_another_key(semitones: int) -> None:
    truth = truth_of(LABELS, np.arange(15) / 2)
    here, there = targets(truth), targets(truth.moved(semitones))
    for name in ("quality", "inversion", "chord", "starts"):
        np.testing.assert_array_equal(here[name], there[name])
    known = here["bass"] >= 0
    for name in ("root", "bass", "applied"):
        np.testing.assert_array_equal((here[name][known] + semitones) % 12, there[name][known])


def test_stored_pieces_come_back(tmp_path: Path) -> None:
    arrays = make_arrays(score(), LABELS)
    np.savez(tmp_path / "piece.npz", **arrays)
    inputs, truth = load_arrays(tmp_path / "piece.npz")
    assert inputs.signature == -3
    again = truth_of(LABELS, arrays["places"])
    for f in fields(Reading):
        np.testing.assert_array_equal(getattr(truth, f.name), getattr(again, f.name))
    assert (inputs.rules.key >= 0).all()


def test_a_batch_is_drawn_by_its_generator(tmp_path: Path) -> None:
    np.savez(tmp_path / "piece.npz", **make_arrays(score(), LABELS))
    piece = load_arrays(tmp_path / "piece.npz")
    x, wanted = numeral_batch([piece] * 3, 40, np.random.default_rng(1))
    assert x.shape == (3, 40, SIZE)
    assert (x[:, 32:] == 0).all()  # the piece has 32 frames
    assert (wanted["root"][:, 32:] == MISSING).all()
    again, _ = numeral_batch([piece] * 3, 40, np.random.default_rng(1))
    assert (x == again).all()
    other, _ = numeral_batch([piece] * 3, 40, np.random.default_rng(2))
    assert (x != other).any()
    short, _ = numeral_batch([piece], 8, np.random.default_rng(0))
    assert short.shape == (1, 8, SIZE)


def test_transpositions_keep_to_signatures_that_people_write() -> None:
    piece = make_arrays(score(), LABELS)
    assert piece["signature"] == -3
    from musetune.analysis.numerals.inputs import NumeralInputs

    inputs = NumeralInputs(*(piece[n] for n in ("classes", "names", "bass", "level", "starts")), -3, None)  # type: ignore[arg-type]
    drawn = {draw_fifths(inputs, np.random.default_rng(seed)) for seed in range(200)}
    assert drawn == set(range(-4, 7))
