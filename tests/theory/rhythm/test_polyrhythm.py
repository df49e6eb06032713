"""Two divisions of one span at once, and what only looks like it."""

from __future__ import annotations

import numpy as np
import pytest

from musetune.symbols import Meter
from musetune.theory.rhythm.polyrhythm import divisions, polyrhythm, swing_ratio

FOUR = Meter(4, 4)


def even(count: int, span: float, beats: float = 32) -> np.ndarray:
    return np.arange(0, beats - 1e-9, span / count)


@pytest.mark.parametrize(
    ("one", "two", "span", "ratio"),
    [(3, 2, 1, (3, 2)), (4, 3, 1, (4, 3)), (5, 4, 1, (5, 4)), (3, 2, 2, (3, 2)), (3, 2, 4, (3, 2)), (4, 3, 3, (4, 3)),
     (7, 4, 4, (7, 4))],
)  # fmt: skip
def test_they_are_found(one: int, two: int, span: int, ratio: tuple[int, int]) -> None:
    beats = 36 if span == 3 else 32
    found = polyrhythm({"a": even(two, span, beats), "b": even(one, span, beats)}, FOUR)
    assert found is not None
    assert (found.ratio, found.span, found.strength, found.layers) == (ratio, span, 1.0, ("b", "a"))


def test_loosely_played_and_in_part_of_the_piece() -> None:
    rng = np.random.default_rng(0)
    one = np.concatenate([even(3, 1, 16), np.arange(16.0, 32)]) + 1
    two = even(2, 1) + 1
    layers = {"a": one + rng.normal(0, 0.008, one.shape), "b": two + rng.normal(0, 0.008, two.shape)}
    found = polyrhythm(layers, FOUR, first_downbeat=1)
    assert found is not None
    assert found.ratio == (3, 2)
    assert found.strength == pytest.approx(0.5, abs=0.15)


def test_hemiola_in_three_four() -> None:
    found = polyrhythm({"left": even(2, 3, 36), "right": even(3, 3, 36)}, Meter(3, 4))
    assert found is not None
    assert (found.ratio, found.span) == ((3, 2), 3)


@pytest.mark.parametrize(
    "layers",
    [
        {"hat": even(4, 1), "kick": even(2, 1)},  # four against two only divides further
        {"ride": (np.arange(32)[:, None] + np.array([0, 2 / 3])).ravel(), "bass": np.arange(32.0)},  # swing
        {"ride": (np.arange(32)[:, None] + np.array([0, 2 / 3])).ravel(), "hand": even(2, 1)},
        {"kick": np.arange(0, 32, 2.0), "snare": np.arange(1, 32, 2.0), "hat": even(2, 1)},
        {
            "clave": (np.arange(8)[:, None] * 4 + np.array([0, 0.75, 1.5, 2.5, 3])).ravel(),
            "bass": np.arange(0, 32, 2.0),
        },
        {"all": even(3, 1)},
        {},
    ],
)
def test_what_is_none(layers: dict[str, np.ndarray]) -> None:
    assert polyrhythm(layers, FOUR) is None


def test_a_triplet_fill_is_none() -> None:
    drums = np.unique(np.concatenate([np.arange(32.0), 15 + np.arange(3) / 3, 31 + np.arange(3) / 3]).round(6))
    assert polyrhythm({"drums": drums, "hand": even(2, 1)}, FOUR) is None


def test_random_onsets_have_none() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        layers = {name: np.flatnonzero(rng.random(128) < 0.4) / 4 for name in "abc"}
        assert polyrhythm(layers, FOUR) is None


def test_divisions() -> None:
    edges = np.arange(6.0)
    onsets = np.array([0, 0.5, 1, 1.33, 1.67, 2, 2.667, 4.5])
    assert divisions(onsets, edges).tolist() == [2, 3, -1, 0, -1]


@pytest.mark.parametrize("place", [0.5, 0.6, 2 / 3, 0.75])
def test_swing(place: float) -> None:
    ride = (np.arange(16)[:, None] + np.array([0, place])).ravel()
    assert swing_ratio({"ride": ride}) == pytest.approx(place / (1 - place), rel=0.01)


def test_swing_is_not_told_from_sixteenths_triplets_or_too_little() -> None:
    assert swing_ratio({"hat": even(4, 1)}) is swing_ratio({"hat": even(3, 1)}) is None
    assert swing_ratio({"hat": np.array([0, 0.5, 1])}) is swing_ratio({}) is None
