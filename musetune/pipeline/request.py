"""What a call asks for: its lead sheet, from arguments that are checked before anything is loaded or computed. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from musetune.symbols import Chord, LeadSheet

T = TypeVar("T")
# The defaults (benchmarks/guidance.py, development sheets): 2 and 4 obey as well within the intervals; equal scales need two passes a step,
# others three
MUSIC_GUIDANCE = 3.0
TEXT_GUIDANCE = 3.0
PLAYED_GUIDANCE = 2.5  # of all three where there are notes: pushed harder, melodies gain and drums lose their colours (benchmarks/README.md)
GUIDANCE_RESCALE = 0.8  # without it the Fréchet distance doubles
NEEDS_MUSIC = "needs music: give harmonic_progression='I V vi IV' or a lead_sheet"


def resolve_lead_sheet(
    lead_sheet: LeadSheet | None,
    progression: str | Sequence[str | Chord] | None,
    seconds: float | None,
    default_seconds: float,
    settings: Mapping[str, Any],
) -> LeadSheet | None:
    """The one lead sheet that the arguments mean, cut to ``seconds`` where given; None for a call without music.

    settings: key, bpm, time_signature, genre, None where not given; they belong to a progression, which repeats until ``seconds``.
    Raises ValueError for settings that would be ignored and for a sheet that ends a beat or more before ``seconds``.
    """
    if seconds is not None:
        positive("duration_seconds", seconds)
    if lead_sheet is not None and progression is not None:
        raise ValueError("give either lead_sheet or harmonic_progression, not both")
    if lead_sheet is not None:
        reject_arguments(
            settings, "is the lead sheet's own: leave it out, or give harmonic_progression=… instead of lead_sheet"
        )
        return fitted(lead_sheet, seconds)
    if progression is None:
        reject_arguments(settings, NEEDS_MUSIC)
        return None
    given = {name: value for name, value in settings.items() if value is not None}
    given["duration_seconds"] = or_default(seconds, default_seconds)
    if isinstance(progression, str):
        return LeadSheet.parse(progression, **given)
    return LeadSheet.from_progression(progression, **given)


def fitted(sheet: LeadSheet, seconds: float | None) -> LeadSheet:
    """``sheet`` cut to ``seconds``. Raises TypeError for what is no lead sheet, ValueError where it ends a beat or more too soon."""
    if not isinstance(sheet, LeadSheet):
        raise TypeError(
            f"lead_sheet={sheet!r} is a {type(sheet).__name__}, not a LeadSheet: chords go in as harmonic_progression=…, "
            "files through LeadSheet.load"
        )
    if seconds is None:
        return sheet
    if seconds >= sheet.duration_s + 60 / sheet.bpm:
        raise ValueError(
            f"duration_seconds={seconds:g} is past the end of the lead sheet, which lasts {sheet.duration_s:.2f} s: ask for "
            "no more than that, or give a progression, which repeats"
        )
    return sheet.crop(0.0, seconds) if seconds < sheet.duration_s else sheet


def reject_arguments(arguments: Mapping[str, object], why: str) -> None:
    """Raise ValueError that names the first of ``arguments`` that was given; None is not given."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(f"{name if value is True else f'{name}={value!r}'} {why}")


def positive(name: str, value: float) -> None:
    """Raise ValueError unless ``value`` is a finite number above 0."""
    if not 0 < value < math.inf:
        raise ValueError(f"{name}={value} is not above 0 and finite")


def check_scales(**scales: float | None) -> None:
    """Raise ValueError for a guidance scale below 0; None is not given."""
    for name, value in scales.items():
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f"{name}={value} is below 0 or not finite; 0 turns it off, 1 to 7 is usual")


def check_share(**shares: float | None) -> None:
    """Raise ValueError for a value outside 0–1; None is not given."""
    for name, value in shares.items():
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"{name}={value} is outside 0–1; 0 turns it off, 1 is all of it")


def check_intervals(**intervals: tuple[float, float] | None) -> None:
    """Raise ValueError for what is no part of the denoising steps, 0 the first and 1 the last; None is not given."""
    for name, value in intervals.items():
        if value is not None:
            start, end = pair(name, value)
            if not 0 <= start < end <= 1:
                raise ValueError(f"{name}={value} is outside 0 ≤ start < end ≤ 1, shares of the denoising steps")


def pair(name: str, value: object) -> tuple[float, float]:
    """``value`` as (start, end). Raises ValueError, which names it, for what are not two numbers."""
    if not (isinstance(value, Sequence) and len(value) == 2 and all(isinstance(x, int | float) for x in value)):
        raise ValueError(f"{name}={value!r} is not (start, end), two numbers")
    return float(value[0]), float(value[1])


def check_counts(**counts: int | None) -> None:
    """Raise ValueError for what should be a whole number from 1 on; None is not given."""
    for name, value in counts.items():
        if value is not None and (value != int(value) or value < 1):
            raise ValueError(f"{name}={value} must be a whole number from 1 on")


def or_default(value: T | None, default: T) -> T:
    """``value``, or ``default`` where it is None; 0 is a value."""
    return default if value is None else value
