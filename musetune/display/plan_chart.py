"""A song's plan to read, section by section."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from musetune.display.charts import facts
from musetune.formats.chart_text import chart_text
from musetune.symbols.json_values import JsonObject

if TYPE_CHECKING:
    from musetune.symbols.lead_sheet import LeadSheet

LINE = 8  # bars of a chart in a line


def sections_of(sheet: LeadSheet) -> Iterator[JsonObject]:
    """Label, bars, first beat and chart of each section; one without a label where the sheet names none."""
    for label, start, part in _parts(sheet):
        yield {"label": label, "bars": len(part.downbeats()), "beat": float(start), "chords": chart_text(part)}


def chart(sheet: LeadSheet) -> Iterator[str]:
    """The plan to read: what it is, then a line for every LINE bars.

    A section that comes back unchanged is named alone.
    """
    yield facts(sheet)
    parts = list(_parts(sheet))
    width = max(len(label) for label, _, _ in parts)
    charts: dict[str, str] = {}
    for label, _, part in parts:
        chords, bars = chart_text(part, bars_per_line=LINE), len(part.downbeats())
        count = f"{bars} bar{'s' if bars != 1 else ' '}"
        lines = ["as before"] if label and charts.get(label) == chords else chords.splitlines()
        charts[label] = chords
        for number, line in enumerate(lines):
            yield f"{label if number == 0 else '':{width}}  {count if number == 0 else '':>7}  {line}"


def _parts(sheet: LeadSheet) -> Iterator[tuple[str, Fraction, LeadSheet]]:
    """Label, first beat and music of each section."""
    spans = [(part.label, part.start, min(part.start + part.beats, sheet.length)) for part in sheet.sections]
    for label, start, end in spans or [("", Fraction(0), sheet.length)]:
        yield label, start, replace(sheet.slice(start, end), sections=())
