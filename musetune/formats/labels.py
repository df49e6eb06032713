"""A lead sheet as labels in time: keys and sections in seconds, places as bar and beat."""

from __future__ import annotations

import bisect
from fractions import Fraction

from musetune.symbols.lead_sheet import LeadSheet


def bar_position(sheet: LeadSheet, beat: Fraction) -> tuple[int, Fraction]:
    """Bar and beat in it, both from 1, of a beat of the sheet; what comes before the first bar line is bar 0."""
    lines = sheet.downbeats()
    bar = bisect.bisect_right(lines, beat)
    if bar == 0:
        upbeat = lines[0] - beat if lines else sheet.length - beat
        return 0, sheet.meter.beats_per_bar - upbeat + 1
    return bar, beat - lines[bar - 1] + 1


def key_areas(sheet: LeadSheet) -> list[tuple[float, float, str]]:
    """(start_s, end_s, "D minor") of each key."""
    starts = [0.0, *(max(0.0, float(sheet.grid.time_at(span.start))) for span in sheet.keys[1:])]
    ends = [*starts[1:], sheet.duration_s]
    return [(a, b, str(span.key)) for a, b, span in zip(starts, ends, sheet.keys) if b > a]


def section_spans(sheet: LeadSheet) -> list[tuple[float, float, str]]:
    """(start_s, end_s, label) of each section."""
    at = sheet.grid.time_at
    return [(float(at(part.start)), float(at(part.start + part.beats)), part.label) for part in sheet.sections]
