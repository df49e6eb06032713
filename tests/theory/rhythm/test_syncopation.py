"""The meter's tree and what is syncopated against it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetune.symbols import Meter
from musetune.symbols.meter import METERS
from musetune.theory.rhythm.syncopation import (
    DIVISIONS,
    division_of,
    groups_of,
    interval_entropy,
    lhl,
    lhl_per_bar,
    metric_hierarchy,
    position_entropy,
    steps_of,
    syncopation_index,
    weights,
)

FOUR = Meter(4, 4)
SON = (0, 0.75, 1.5, 2.5, 3)


def bars(count: int = 4, beats: int = 4, **layers: tuple[float, ...]) -> dict[str, np.ndarray]:
    return {name: (np.arange(count)[:, None] * beats + np.array(onsets)).ravel() for name, onsets in layers.items()}


@pytest.mark.parametrize(
    ("meter", "division", "expected"),
    [
        ("4/4", 1, [0, -2, -1, -2]),
        (
            "4/4",
            4,
            [0, -4, -3, -4, -2, -4, -3, -4, -1, -4, -3, -4, -2, -4, -3, -4],
        ),  # as printed in the paper, in sixteenths
        ("3/4", 2, [0, -2, -1, -2, -1, -2]),
        ("2/4", 1, [0, -1]),
        ("6/8", 3, [0, -2, -2, -1, -2, -2]),
        ("12/8", 1, [0, -2, -1, -2]),
        ("5/4", 1, [0, -2, -2, -1, -2]),
        ("7/8", 1, [0, -2, -1, -2, -1, -2, -2]),
    ],
)
def test_weights(meter: str, division: int, expected: list[int]) -> None:
    assert weights(Meter.parse(meter), division).tolist() == expected


@pytest.mark.parametrize("meter", METERS)
@pytest.mark.parametrize("division", DIVISIONS)
def test_weights_of_every_meter(meter: str, division: int) -> None:
    tree = weights(Meter.parse(meter), division)
    assert len(tree) == Meter.parse(meter).beats_per_bar * division
    assert tree[0] == 0 > tree[1:].max(initial=-1)
    assert (tree[::division] == weights(Meter.parse(meter), 1)).all()


def test_wrong_divisions_and_groups_say_what_is_right() -> None:
    with pytest.raises(ValueError, match=r"division=5 steps a beat is not one of 1, 2, 3, 4, 6"):
        weights(FOUR, 5)
    with pytest.raises(ValueError, match=r"groups \(3, 2\) hold 5 beats; a bar of 4/4 has 4"):
        weights(FOUR, 1, (3, 2))


def test_groups_are_where_the_accents_are() -> None:
    seven, five = Meter(7, 8), Meter(5, 4)
    assert groups_of(seven) == (2, 2, 3)
    assert groups_of(five) == (3, 2)
    assert groups_of(seven, bars(beats=7, bass=(0, 3, 5), hat=(0, 1, 2, 3, 4, 5, 6))) == (3, 2, 2)
    assert groups_of(five, bars(beats=5, bass=(0, 2))) == (2, 3)


def test_hierarchy() -> None:
    assert metric_hierarchy(FOUR) == {"strong_beats": [1, 3], "weights": [1.0, 0.25, 0.5, 0.25]}
    assert metric_hierarchy(Meter(3, 4)) == {"strong_beats": [1], "weights": [1.0, 0.5, 0.5]}
    assert metric_hierarchy(Meter(7, 8))["strong_beats"] == [1, 3, 5]
    assert metric_hierarchy(Meter(7, 8), (3, 2, 2))["strong_beats"] == [1, 4, 6]


def test_son_clave_by_hand() -> None:
    """In sixteenths of 4/4: the second stroke is held over beat 2 (−4 → −2), the third over beat 3 (−3 → −1)."""
    steps = steps_of(np.array([*SON, 4]), 4)
    assert lhl(steps, weights(FOUR, 4)).tolist() == [0, 2, 2, 0, 0]
    assert lhl_per_bar({"clave": np.array([*SON, 4, 7])}, FOUR) == pytest.approx((2 + 2 + 0) / (29 / 16), abs=0.01)


def test_straight_then_backbeat_then_clave_then_offbeats() -> None:
    straight = bars(kick=(0, 2), snare=(0, 1, 2, 3), hat=tuple(np.arange(8) / 2))
    backbeat = bars(kick=(0, 2), snare=(1, 3), hat=tuple(np.arange(8) / 2))
    rows = [straight, backbeat, bars(clave=SON), bars(all=(0.5, 1.5, 2.5, 3.5))]
    values = [syncopation_index(row, FOUR) for row in rows]
    assert values[0] == 0
    assert values == sorted(set(values))  # type: ignore[type-var]
    assert all(value <= 1 for value in values)  # type: ignore[operator]


@pytest.mark.parametrize("meter", ["2/4", "3/4", "4/4", "6/8", "5/4", "7/8"])
def test_beats_are_never_syncopated_and_offbeats_always(meter: str) -> None:
    meter = Meter.parse(meter)
    beats = np.arange(meter.beats_per_bar * 4, dtype=float)
    assert syncopation_index({"all": beats}, meter) == 0
    assert syncopation_index({"all": beats + 0.5}, meter, division=2) > 0.4  # type: ignore[operator]
    assert syncopation_index({"all": beats + 3}, meter, first_downbeat=3) == 0


@given(st.lists(st.integers(0, 63), min_size=5, max_size=40, unique=True))
def test_index_is_a_share_and_bars_do_not_matter(steps: list[int]) -> None:
    onsets = np.sort(np.array(steps)) / 4
    here = syncopation_index({"one": onsets}, FOUR, division=4)
    assert here is not None
    assert 0 <= here <= 1
    assert syncopation_index({"one": onsets + 8}, FOUR, division=4) == here


@pytest.mark.parametrize(("division", "places"), [(1, [0]), (2, [0, 0.5]), (3, [0, 2 / 3]), (4, [0, 0.75])])
def test_division(division: int, places: list[float]) -> None:
    rng = np.random.default_rng(0)
    onsets = (np.arange(32)[:, None] + np.array(places)).ravel()
    assert division_of({"one": onsets + rng.normal(0, 0.015, onsets.shape)}, FOUR) == division


def test_entropies() -> None:
    once = {"one": np.arange(8.0) * 4}
    assert position_entropy(once, FOUR) == interval_entropy(once) == 0
    assert position_entropy({"all": np.arange(64) / 4}, FOUR) == 1
    assert interval_entropy({"all": np.arange(64) / 4}) == 0
    assert interval_entropy(bars(clave=SON)) > 0.4  # type: ignore[operator]


def test_too_little_to_say() -> None:
    few = {"one": np.array([0.0, 1.5])}
    assert syncopation_index(few, FOUR) is lhl_per_bar(few, FOUR) is position_entropy(few, FOUR) is None
    assert syncopation_index({}, FOUR) is None
    assert interval_entropy({"one": np.zeros(0)}) is None
