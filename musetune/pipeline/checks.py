"""Checks of a call's single arguments, each with an error that names value, range and fix. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, TypeVar

T = TypeVar("T")


def one_a_prompt(name: str, value: Any, prompts: int) -> list[Any]:
    """Return ``value`` as a list of one a prompt; a single value serves all.

    Raises:
        ValueError: for a list of another length.
    """
    if not isinstance(value, list):
        return [value] * prompts
    if len(value) != prompts:
        raise ValueError(f"{name} holds {len(value)} for {prompts} prompt{'s' * (prompts != 1)}: give one for each")
    return value


def given_arguments(**arguments: Any) -> dict[str, Any]:
    """Return the arguments that are not None."""
    return {name: value for name, value in arguments.items() if value is not None}


def reject_arguments(arguments: Mapping[str, object], why: str) -> None:
    """Raise ValueError that names the first of ``arguments`` that was given; None is not given."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(f"{name if value is True else f'{name}={value!r}'} {why}")


def check_positive(name: str, value: float) -> None:
    """Raise ValueError unless ``value`` is a finite number above 0."""
    if not _is_number(value) or not 0 < value < math.inf:
        raise ValueError(f"{name}={value} is not above 0 and finite")


def check_scales(**scales: float | None) -> None:
    """Raise ValueError for a guidance scale below 0; None is not given."""
    for name, value in scales.items():
        if value is not None and not (_is_number(value) and 0 <= value < math.inf):
            raise ValueError(f"{name}={value} is below 0 or not finite; 0 turns it off, 1 to 7 is usual")


def check_shares(**shares: float | None) -> None:
    """Raise ValueError for a value outside 0–1; None is not given."""
    for name, value in shares.items():
        if value is not None and not (_is_number(value) and 0 <= value <= 1):
            raise ValueError(f"{name}={value} is outside 0–1; 0 turns it off, 1 is all of it")


def check_intervals(**intervals: tuple[float, float] | None) -> None:
    """Raise ValueError for what is no part of the denoising steps, 0 the first and 1 the last; None is not given."""
    for name, value in intervals.items():
        if value is not None:
            start, end = pair(name, value)
            if not 0 <= start < end <= 1:
                raise ValueError(f"{name}={value} is outside 0 ≤ start < end ≤ 1, shares of the denoising steps")


def check_counts(**counts: int | None) -> None:
    """Raise ValueError for what should be a whole number from 1 on; None is not given."""
    for name, value in counts.items():
        if value is not None and (not isinstance(value, Integral) or isinstance(value, bool) or value < 1):
            raise ValueError(f"{name}={value} must be a whole number from 1 on")


def pair(name: str, value: object) -> tuple[float, float]:
    """Return ``value`` as (start, end). Raises ValueError, which names it, for what are not two numbers."""
    if not (isinstance(value, Sequence) and len(value) == 2 and all(map(_is_number, value))):
        raise ValueError(f"{name}={value!r} is not (start, end), two numbers")
    return float(value[0]), float(value[1])


def or_default(value: T | None, default: T) -> T:
    """Return ``value``, or ``default`` where it is None; 0 is a value."""
    return default if value is None else value


def _is_number(value: object) -> bool:
    """Whether it is a real number: numpy's too, bool not."""
    return isinstance(value, Real) and not isinstance(value, bool)
