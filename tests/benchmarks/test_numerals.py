"""The benchmark of numerals: what counts as right."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numerals
import numpy as np
import pytest

from musetune.datasets.numerals.labels import Label
from musetune.symbols import Key

TRUE = Label(Fraction(0), (0, "major"), (7, 7), "7", 1)


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({}, ()),
        ({"key": (0, "minor")}, ("key",)),
        ({"degree": (2, 0)}, ("degree",)),
        ({"quality": "maj"}, ("quality",)),
        ({"inversion": 0}, ("inversion",)),
    ],
)
def test_a_moment_counts_for_what_is_right(change: dict, wrong: tuple[str, ...]) -> None:
    quarters = numerals.compare([replace(TRUE, **change)], [TRUE], Fraction(4))
    expected = [4.0 * (name not in wrong) for name in numerals.MEASURES[:4]]
    np.testing.assert_array_equal(quarters, [*expected, 4.0 * (not wrong), 4.0])


def test_time_is_counted_from_the_first_label_and_exactly() -> None:
    true = [replace(TRUE, start=Fraction(1)), replace(TRUE, start=Fraction(3), inversion=0)]
    found = [replace(TRUE, start=Fraction(3, 2))]
    np.testing.assert_array_equal(numerals.compare(found, true, Fraction(4)), [2.5, 2.5, 2.5, 1.5, 1.5, 3.0])


@pytest.mark.parametrize(
    ("name", "degree", "quality", "inversion"),
    [("V65/V", (7, 7), "7", 1), ("Cad64", (0, 0), "maj", 2), ("Ger65", (8, 0), "Ger", 0), ("bII6", (1, 0), "maj", 1)],
)
def test_our_numerals_as_labels(name: str, degree: tuple[int, int], quality: str, inversion: int) -> None:
    label = numerals.label_in(name, Key("C"), Fraction(0))
    assert (label.degree, label.quality, label.inversion) == (degree, quality, inversion)
