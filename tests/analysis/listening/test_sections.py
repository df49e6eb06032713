"""The form of pieces that are put together from known parts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from musetune.analysis.listening.sections import FormPart, find_parts

RNG = np.random.default_rng(5)
VERSE, CHORUS, BRIDGE = (
    np.tile(RNG.dirichlet(np.ones(24) * 0.2, 4), (2, 1)) for _ in range(3)
)  # loops of four bars, twice
COLOURS = {"A": 0.0, "B": 1.0, "C": 0.4}


def piece(form: str, noise: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """Eight bars a letter."""
    rng = np.random.default_rng(1)
    harmony = np.concatenate([{"A": VERSE, "B": CHORUS, "C": BRIDGE}[letter] for letter in form])
    colour = np.repeat([[COLOURS[letter]] * 8 for letter in form], 8, axis=0)
    return harmony + rng.normal(0, noise, harmony.shape), colour + rng.normal(0, noise, colour.shape)


@pytest.mark.parametrize("form", ["ABAB", "AABA", "ABABCB", "AABBA"])
def test_form(form: str) -> None:
    parts = find_parts(*piece(form))
    heard = "".join(part.label * (part.end - part.start) for part in parts)
    wanted = "".join(letter * 8 for letter in form)
    agree = np.mean([a == b for a, b in zip(heard, wanted, strict=True)])
    assert agree > 0.85, heard


def test_parts_cover_the_piece_once() -> None:
    parts = find_parts(*piece("ABACBA", noise=0.3))
    assert parts[0].start == 0
    assert parts[-1].end == 48
    assert all(a.end == b.start for a, b in itertools.pairwise(parts))
    assert all(part.end - part.start >= 4 for part in parts)


def test_short_pieces_are_one_part() -> None:
    harmony, colour = piece("AB")
    assert find_parts(harmony[:12], colour[:12]) == [FormPart(0, 12, "A")]
    assert find_parts(harmony[:0], colour[:0]) == []


def test_long_pieces_are_looked_at_in_groups() -> None:
    harmony, colour = piece("AB" * 60)
    parts = find_parts(np.repeat(harmony, 2, axis=0), np.repeat(colour, 2, axis=0))
    assert parts[-1].end == 1920
