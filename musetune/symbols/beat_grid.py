"""Beats to seconds and back: a rubato recording and a metronome are the same type."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from numbers import Real
from typing import overload

import numpy as np

BPM_RANGE = (30.0, 300.0)  # beats a minute


@dataclass(frozen=True)
class BeatGrid:
    """Times of beats: a rubato recording and a metronome are the same type.

    Args:
        times_s: Seconds of beats 0, 1, 2, …; at least two, strictly rising.

    Raises:
        ValueError: For fewer than two times, or times that are not finite and rising.

    Example:
        >>> grid = BeatGrid((0.0, 0.5, 1.2))
        >>> grid.time_at(1.5), grid.beat_at(0.25)
        (0.85, 0.5)
    """

    times_s: tuple[float, ...]

    def __post_init__(self) -> None:
        times = np.asarray(self.times_s)
        if len(times) < 2 or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
            raise ValueError(f"a beat grid needs at least two finite, rising times; got {len(times)}")

    @staticmethod
    def constant(bpm: float, n_beats: int, start_s: float = 0.0) -> BeatGrid:
        """Make a metronome.

        Args:
            bpm: Beats a minute, 30–300.
            n_beats: Beats that it lasts.
            start_s: Seconds at which beat 0 falls.

        Raises:
            ValueError: For a tempo outside the range.

        Example:
            >>> BeatGrid.constant(bpm=120, n_beats=2).times_s
            (0.0, 0.5, 1.0)
        """
        check_bpm(bpm)
        return BeatGrid(tuple((start_s + 60.0 / bpm * np.arange(max(n_beats, 1) + 1)).tolist()))

    @cached_property
    def _times(self) -> np.ndarray:
        return np.asarray(self.times_s)

    @cached_property
    def bpm(self) -> float:
        """Tempo in beats a minute: 60 / the median interval between beats."""
        return float(60.0 / np.median(np.diff(self._times)))

    @overload
    def time_at(self, beat: float | Fraction) -> float: ...

    @overload
    def time_at(self, beat: np.ndarray) -> np.ndarray: ...

    def time_at(self, beat: float | Fraction | np.ndarray) -> float | np.ndarray:
        """Seconds of ``beat`` (scalar or array), linear between beats, the outer intervals continued."""
        return _extend(np.asarray(beat, dtype=float), np.arange(len(self._times), dtype=float), self._times)

    @overload
    def beat_at(self, time_s: float) -> float: ...

    @overload
    def beat_at(self, time_s: np.ndarray) -> np.ndarray: ...

    def beat_at(self, time_s: float | np.ndarray) -> float | np.ndarray:
        """Beat position of ``time_s`` (scalar or array), linear between beats, the outer intervals continued."""
        return _extend(np.asarray(time_s, dtype=float), self._times, np.arange(len(self._times), dtype=float))

    def shift(self, seconds: float) -> BeatGrid:
        """Return the beats ``seconds`` later."""
        return BeatGrid(tuple((self._times + seconds).tolist()))


def finite(name: str, value: float | Fraction) -> float:
    """Check that ``value`` is a finite number and give it as a float.

    Raises:
        ValueError: For what is not a number or not finite; it says ``name``.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        try:
            hint = f"; did you mean {float(value):g}?"
        except (TypeError, ValueError):
            hint = ""
        raise ValueError(f"{name}={value!r} is not a number{hint}")
    if not math.isfinite(value):
        raise ValueError(f"{name}={value} is not finite")
    return float(value)


def check_bpm(bpm: float) -> None:
    """Raise ValueError where ``bpm`` is no number or lies outside 30–300."""
    low, high = BPM_RANGE
    bpm = finite("bpm", bpm)
    if not low <= bpm <= high:
        factor = 0.5 if bpm > high else 2.0
        near = min(max(bpm * factor, low), high)
        raise ValueError(f"bpm={bpm:g} is outside {low:.0f}–{high:.0f}; did you mean {near:g}?")


def _extend(x: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> float | np.ndarray:
    """Linear interpolation that continues the first and last segments outside."""
    index = np.clip(np.searchsorted(xs, x, side="right") - 1, 0, len(xs) - 2)
    out = ys[index] + (x - xs[index]) * (ys[index + 1] - ys[index]) / (xs[index + 1] - xs[index])
    return float(out) if out.ndim == 0 else out
