"""What holds from where on, and the two ways to count a place: beats and quarter notes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TypeVar

from musetune.symbols.meter import Meter
from musetune.symbols.spans import MeterSpan

T = TypeVar("T")


def in_force(found: Sequence[tuple[Fraction, T]], default: T, length: Fraction) -> list[tuple[Fraction, T]]:
    """What holds from where on: the first found (else ``default``) from 0, the last found at each place before ``length``."""
    holds = {Fraction(0): found[0][1] if found else default} | dict(found[1:])
    return sorted(((at, value) for at, value in holds.items() if at < length or at == 0), key=lambda pair: pair[0])


def until_next(found: Sequence[tuple[Fraction, T]], length: Fraction) -> list[tuple[Fraction, Fraction, T]]:
    """(start, stop, value) of what holds until the next begins, the last to ``length``; what the next replaces at once is left out."""
    stops = [start for start, _ in found[1:]] + [length]
    return [(start, stop, value) for (start, value), stop in zip(found, stops) if stop > start]


def quarters_of(meters: Sequence[MeterSpan]) -> Callable[[Fraction], Fraction]:
    """Beats → quarter notes; every metre's beats have their own length."""
    knots = [(span.start, span.meter.beat_quarters) for span in meters]
    return lambda beat: _travel(knots, beat)


def beats_of(meters: Sequence[tuple[Fraction, Meter]]) -> Callable[[Fraction], Fraction]:
    """Quarter notes → beats, given where in quarter notes each metre begins."""
    knots = [(at, 1 / meter.beat_quarters) for at, meter in meters]
    return lambda quarter: _travel(knots, quarter)


def _travel(knots: list[tuple[Fraction, Fraction]], to: Fraction) -> Fraction:
    """The way from 0 to ``to`` where each (start, rate) gives the speed up to the next."""
    stops = [start for start, _ in knots[1:]] + [to]
    ways = ((min(stop, to) - start) * rate for (start, rate), stop in zip(knots, stops) if start < to)
    return sum(ways, Fraction(0))
