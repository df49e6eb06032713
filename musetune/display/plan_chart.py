"""A song's plan to read, section by section."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from musetune.display.charts import facts
from musetune.formats.chart_text import chart_text
from musetune.symbols.json_values import JsonObject

if TYPE_CHECKING:
    from musetune.symbols.lead_sheet import LeadSheet
    from musetune.symbols.spans import SectionPurpose

LINE = 8  # bars of a chart in a line
PURPOSES = (("louder", "softer"), ("fuller", "sparser"), ("higher", "lower"))
UNUSUAL = 0.15  # of what a section does: less is not named


def sections_of(sheet: LeadSheet) -> Iterator[JsonObject]:
    """Label, bars, first beat and chart of each section; one without a label where the sheet names none."""
    purposes = [section.purpose for section in sheet.sections] or [None]
    for (label, start, part), purpose in zip(_parts(sheet), purposes, strict=True):
        played = {} if purpose is None else {"purpose": asdict(purpose)}
        yield {"label": label, "bars": len(part.downbeats()), "beat": float(start), "chords": chart_text(part)} | played


def chart(sheet: LeadSheet) -> Iterator[str]:
    """The plan to read: what it is, then a line for every LINE bars.

    A section that comes back unchanged is named alone. What it does in the song stands behind it: louder, fuller, ….
    """
    yield facts(sheet)
    parts = list(_parts(sheet))
    width = max(len(label) for label, _, _ in parts)
    charts: dict[str, str] = {}
    purposes = [section.purpose for section in sheet.sections] or [None]
    for (label, _, part), purpose in zip(parts, purposes, strict=True):
        chords, bars = chart_text(part, bars_per_line=LINE), len(part.downbeats())
        count = f"{bars} bar{'s' if bars != 1 else ' '}"
        lines = ["as before"] if label and charts.get(label) == chords else chords.splitlines()
        charts[label] = chords
        lines[0] += purpose_text(purpose)
        for number, line in enumerate(lines):
            yield f"{label if number == 0 else '':{width}}  {count if number == 0 else '':>7}  {line}"


def purpose_text(purpose: SectionPurpose | None) -> str:
    """What a section does in its song, in words behind two spaces: "  louder, fuller"; "" where nothing is unusual.

    Example:
        >>> from musetune.symbols.spans import SectionPurpose
        >>> purpose_text(SectionPurpose(dynamics=0.5, density=-0.5))
        '  louder, sparser'
    """
    values = () if purpose is None else (purpose.dynamics, purpose.density, purpose.register)
    words = [more if value > 0 else less for value, (more, less) in zip(values, PURPOSES) if abs(value) >= UNUSUAL]
    return f"  {', '.join(words)}" if words else ""


def _parts(sheet: LeadSheet) -> Iterator[tuple[str, Fraction, LeadSheet]]:
    """Label, first beat and music of each section."""
    spans = [(part.label, part.start, min(part.start + part.beats, sheet.length)) for part in sheet.sections]
    for label, start, end in spans or [("", Fraction(0), sheet.length)]:
        yield label, start, replace(sheet.slice(start, end), sections=())
