"""What holds from where on, and the two ways to count a place: beats and quarter notes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TypeVar

import numpy as np

from musetune.symbols.beat_grid import BeatGrid
from musetune.symbols.limits import DURATION_S, check_count
from musetune.symbols.meter import Meter
from musetune.symbols.spans import MeterSpan

T = TypeVar("T")


def in_force(marks: Sequence[tuple[Fraction, T]], default: T, length: Fraction) -> list[tuple[Fraction, T]]:
    """What holds from where on: the first found (else ``default``) from 0, the last found at each place before
    ``length``.
    """
    holds = {Fraction(0): marks[0][1] if marks else default} | dict(marks[1:])
    return sorted(((at, value) for at, value in holds.items() if at < length or at == 0), key=lambda pair: pair[0])


def until_next(marks: Sequence[tuple[Fraction, T]], length: Fraction) -> list[tuple[Fraction, Fraction, T]]:
    """(start, stop, value) of what holds until the next begins, the last to ``length``; what the next replaces at
    once is left out.
    """
    stops = [start for start, _ in marks[1:]] + [length]
    return [(start, stop, value) for (start, value), stop in zip(marks, stops) if stop > start]


def quarters_of(meters: Sequence[MeterSpan]) -> Callable[[Fraction], Fraction]:
    """Beats → quarter notes; every meter's beats have their own length.

    The first meter holds from beat 0 on, also where it is written at the first bar line, as in sheets that were heard.
    """
    first, *later = [(span.start, span.meter.beat_quarters) for span in meters]
    return _travel([(min(first[0], Fraction(0)), first[1]), *later])


def beats_of(meters: Sequence[tuple[Fraction, Meter]]) -> Callable[[Fraction], Fraction]:
    """Quarter notes → beats, given where in quarter notes each meter begins."""
    return _travel([(at, 1 / meter.beat_quarters) for at, meter in meters])


def _travel(knots: list[tuple[Fraction, Fraction]]) -> Callable[[Fraction], Fraction]:
    """Place → the way to it from the first knot, where each (start, rate) gives the speed up to the next."""
    starts, reached = [start for start, _ in knots], [Fraction(0)]
    for (start, rate), stop in zip(knots, starts[1:]):
        reached.append(reached[-1] + (stop - start) * rate)

    def way(to: Fraction) -> Fraction:
        i = bisect_right(starts, to) - 1
        return reached[i] + (to - starts[i]) * knots[i][1] if i >= 0 else Fraction(0)

    return way


def tempo_grid(
    tempi: Sequence[tuple[Fraction, float]], quarters: Callable[[Fraction], Fraction], count: int
) -> BeatGrid:
    """Times of beats 0 to ``count`` (1 at least) by tempi in order, (quarters, seconds a quarter), the first from 0 on.

    Raises ValueError beyond ``DURATION_S`` seconds.
    """
    last = dict(tempi)  # of two at one place the later counts
    starts, rates = np.array([float(q) for q in last]), np.array(list(last.values()))
    reached = np.concatenate([[0.0], np.cumsum(np.diff(starts) * rates[:-1])])  # seconds at each change
    places = np.array([float(quarters(Fraction(beat))) for beat in range(max(1, count) + 1)])
    i = np.searchsorted(starts, places, side="right") - 1
    times = reached[i] + (places - starts[i]) * rates[i]
    check_count("seconds of music", float(times[-1]), DURATION_S)
    return BeatGrid(tuple(times.tolist()))
