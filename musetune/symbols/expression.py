"""How music is played, beside what is played: loudness over time, density, syncopation, swing, complexity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from musetune.symbols.json_values import JsonObject

LOUDNESS = (-70.0, 0.0)  # LUFS: from the gate of EBU R128, below which is silence
MOST_POINTS = 10_000  # of a curve: a point a second is three hours
RANGES = {
    "note_density": (0.0, 100.0),
    "syncopation": (0.0, 1.0),
    "swing": (0.4, 0.8),
    "harmonic_complexity": (0.0, 1.0),
}


@dataclass(frozen=True)
class Expression:
    """Continuous features of music that no chord and no beat says; None, or no points, where nothing is said.

    Args:
        loudness_db: Points (seconds, LUFS) in rising time, −70 to 0; between two points it runs straight, outside it
            stays.
        note_density: Onsets a second, all players together, 0 to 100.
        syncopation: How far onsets climb against the meter, 0 (none) to 1: `syncopation_index` of the analysis record.
        swing: Place of the second half of a divided beat, 0.4 to 0.8: 0.5 is even, 2/3 a triplet shuffle.
        harmonic_complexity: 0 to 1: `progression_complexity` of the analysis record.

    Raises:
        ValueError: A value is out of its range, or times do not rise.

    Example:
        >>> crescendo = Expression(loudness_db=((0, -20), (8, -8)), swing=0.62)
        >>> crescendo.loudness_at([0, 4, 100]).tolist()
        [-20.0, -14.0, -8.0]
    """

    loudness_db: tuple[tuple[float, float], ...] = ()
    note_density: float | None = None
    syncopation: float | None = None
    swing: float | None = None
    harmonic_complexity: float | None = None

    def __post_init__(self) -> None:
        points = tuple((float(time), float(level)) for time, level in self.loudness_db)
        object.__setattr__(self, "loudness_db", points)
        if len(points) > MOST_POINTS:
            raise ValueError(f"loudness_db has {len(points)} points; give at most {MOST_POINTS}")
        times = [time for time, _ in points]
        if any(not math.isfinite(time) or time < 0 for time in times) or sorted(set(times)) != times:
            raise ValueError(f"loudness_db has the times {times[:8]}; give seconds from 0 on that rise")
        for _, level in points:
            _check("loudness_db", level, *LOUDNESS)
        for name in RANGES:
            if (value := getattr(self, name)) is not None:
                check_feature(name, value)

    def loudness_at(self, times_s: np.ndarray | list[float]) -> np.ndarray:
        """LUFS at each time (n,) in seconds.

        Raises:
            ValueError: There is no curve.
        """
        if not self.loudness_db:
            raise ValueError("this expression has no loudness: give loudness_db=((0, -20), …)")
        seconds, levels = np.array(self.loudness_db).T
        return np.asarray(np.interp(np.asarray(times_s, float), seconds, levels))

    def crop(self, start_s: float) -> Expression:
        """What is said from `start_s` seconds on, which become time 0.

        Example:
            >>> Expression(loudness_db=((0, -20), (8, -8)), swing=0.6).crop(4).loudness_db
            ((0.0, -14.0), (4.0, -8.0))
        """
        if not self.loudness_db or start_s == 0:
            return self
        later = tuple((time - start_s, level) for time, level in self.loudness_db if time > start_s)
        return replace(self, loudness_db=((0.0, float(self.loudness_at([start_s])[0])), *later))

    def to_json(self) -> JsonObject:
        """The features that are said, as plain values.

        Example:
            >>> Expression(swing=0.5).to_json()
            {'swing': 0.5}
        """
        curve = {"loudness_db": [list(point) for point in self.loudness_db]} if self.loudness_db else {}
        return curve | {name: value for name in RANGES if (value := getattr(self, name)) is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Expression:
        """What `to_json` gave, or a user wrote.

        Raises:
            ValueError: A feature is unknown, out of range or of another type.

        Example:
            >>> Expression.from_json({"loudness_db": [[0, -20], [8, -8]]}).loudness_db
            ((0.0, -20.0), (8.0, -8.0))
        """
        known = ("loudness_db", *RANGES)
        if unknown := [name for name in data if name not in known]:
            raise ValueError(f"expression has no {', '.join(map(str, unknown))}; it has {', '.join(known)}")
        try:
            curve = tuple((float(time), float(level)) for time, level in data.get("loudness_db", ()))
            return cls(curve, **{name: float(data[name]) for name in RANGES if data.get(name) is not None})
        except TypeError as error:
            raise ValueError(f"expression: {error}; give numbers, and pairs (seconds, LUFS) in loudness_db") from None


def check_feature(name: str, value: float) -> None:
    """Refuse a value of one of `RANGES` that is outside of its range.

    Raises:
        ValueError: It is.

    Example:
        >>> check_feature("swing", 0.62)
    """
    _check(name, value, *RANGES[name])


def _check(name: str, value: float, low: float, high: float) -> None:
    if not (isinstance(value, (int, float)) and low <= value <= high):  # no comparison holds for NaN
        raise ValueError(f"{name}={value!r} is outside of {low:g} to {high:g}")
