"""Expression: what it holds, what it refuses, to JSON and back."""

from __future__ import annotations

import json

import pytest

from musetune.symbols.expression import RANGES, Expression

FULL = Expression(((0, -20), (8, -8.5)), note_density=6.0, syncopation=0.2, swing=0.62, harmonic_complexity=0.4)


def test_a_curve_runs_straight_and_stays_outside() -> None:
    assert FULL.loudness_at([0, 2, 8, 60]).tolist() == [-20.0, -17.125, -8.5, -8.5]
    with pytest.raises(ValueError, match="no loudness: give loudness_db"):
        Expression().loudness_at([0.0])


@pytest.mark.parametrize("expression", [FULL, Expression(), Expression(swing=0.5), Expression(((3, -70),))])
def test_json_and_back(expression: Expression) -> None:
    assert Expression.from_json(json.loads(json.dumps(expression.to_json()))) == expression


def test_what_is_not_said_is_not_written() -> None:
    assert Expression().to_json() == {}
    assert Expression.from_json({"swing": None}) == Expression()


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("beyond", [-0.01, 100.5, float("nan")])
def test_ranges(name: str, beyond: float) -> None:
    low, high = RANGES[name]
    for edge in (low, high):
        assert getattr(Expression(**{name: edge}), name) == edge
    with pytest.raises(ValueError, match=f"{name}=.* is outside of {low:g} to {high:g}"):
        Expression(**{name: beyond})


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (((0, -20), (0, -10)), "seconds from 0 on that rise"),
        (((2, -20), (1, -10)), "seconds from 0 on that rise"),
        (((-1, -20),), "seconds from 0 on that rise"),
        (((float("nan"), -20),), "seconds from 0 on that rise"),
        (((0, 3),), "loudness_db=3.0 is outside of -70 to 0"),
        (((0, float("nan")),), "loudness_db=nan is outside"),
        (tuple((float(i), -20.0) for i in range(10_001)), "10001 points; give at most 10000"),
    ],
)
def test_curves_that_are_none(points: tuple[tuple[float, float], ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Expression(points)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"swng": 0.5}, "expression has no swng; it has loudness_db, note_density"),
        ({"swing": [1]}, "give numbers, and pairs"),
        ({"loudness_db": [1, 2]}, "give numbers, and pairs"),
        ({"loudness_db": 3}, "give numbers, and pairs"),
        ({"swing": "fast"}, "could not convert"),
    ],
)
def test_json_that_is_none(data: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Expression.from_json(data)
