"""Chords that an analysis is unsure of: which they are, and how a reader is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

UNSURE = 0.5  # a chord's confidence below which it is shown as unsure: about as often wrong as right
MARK = "?"
LEGEND = (
    f"{MARK} = unsure: the analysis gives this chord less than {100 * UNSURE:.0f} %; such a chord is about as often "
    "wrong as right. Listen before you trust it."
)


def is_unsure(confidence: float | None) -> bool:
    """Whether a chord of this confidence (0…1; None: not known) is shown as unsure."""
    return confidence is not None and confidence < UNSURE


def unsure_chords(record: Mapping[str, Any]) -> list[bool]:
    """For each chord of a record whether it is unsure; N.C. is too, where it is."""
    return [is_unsure(row.get("confidence")) for row in record["chords"]]


def mark_name(name: str, unsure: bool) -> str:
    """A chord's name, with `MARK` where it is unsure."""
    return f"{name}{MARK}" if unsure else name


def legend_for(unsure: Sequence[bool]) -> str:
    """`LEGEND` with how many chords it is about; nothing where none is unsure."""
    return f"{LEGEND} ({sum(unsure)} of {len(unsure)} chords.)" if any(unsure) else ""
