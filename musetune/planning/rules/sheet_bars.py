"""A lead sheet's bars: where each begins, in which meter, in which section."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from musetune.symbols import LeadSheet


@dataclass(frozen=True)
class SheetBar:
    """A bar line at beat ``start`` (before 0 in a sheet that begins inside a bar), its meter, and the section that it
    starts in.
    """

    start: Fraction
    meter: str
    section: int | None


def bars_of(sheet: LeadSheet) -> list[SheetBar]:
    """All bars that sound in the sheet, the one that a pickup belongs to included."""
    lines = sheet.downbeats()
    if sheet.first_downbeat > 0:
        lines.insert(0, sheet.first_downbeat - sheet.meter.beats_per_bar)
    out = []
    for line in lines:
        at = max(line, Fraction(0))
        span = next((s for s in reversed(sheet.meters) if s.start <= at), sheet.meters[0])
        inside = [i for i, s in enumerate(sheet.sections) if s.start <= at < s.start + s.beats]
        out.append(SheetBar(line, str(span.meter), inside[-1] if inside else None))
    return out


def chord_changes(sheet: LeadSheet, beat: float, reach: float = 1e-3) -> bool:
    """Whether another chord sounds just before a beat than just after."""
    before, after = (Fraction(max(at, 0.0)).limit_denominator(960) for at in (beat - reach, beat + reach))
    last = sheet.length - Fraction(1, 960)
    return sheet.chord_at(min(before, last)) != sheet.chord_at(min(after, last))
