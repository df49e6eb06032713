"""A song's plan to read, section by section."""

from __future__ import annotations

from collections.abc import Iterator
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
    spans = [(part.label, part.start, min(part.start + part.beats, sheet.length)) for part in sheet.sections]
    for label, start, end in spans or [("", Fraction(0), sheet.length)]:
        part = sheet.slice(start, end)
        yield {"label": label, "bars": len(part.downbeats()), "beat": float(start), "chords": chart_text(part)}


def chart(sheet: LeadSheet) -> Iterator[str]:
    """The plan to read: what it is, then a line for every LINE bars.

    A section that comes back unchanged is named alone.
    """
    yield facts(sheet)
    parts = list(sections_of(sheet))
    width = max(len(part["label"]) for part in parts)
    charts: dict[str, str] = {}
    for part in parts:
        label, chords = part["label"], part["chords"]
        count = f"{part['bars']} bar{'s' if part['bars'] != 1 else ' '}"
        lines = ["as before"] if label and charts.get(label) == chords else list(_lines(chords))
        charts[label] = chords
        for number, line in enumerate(lines):
            yield f"{label if number == 0 else '':{width}}  {count if number == 0 else '':>7}  {line}"


def _lines(chords: str) -> Iterator[str]:
    """A chart, LINE bars to a line."""
    bars = chords.strip("| ").split(" | ")
    for first in range(0, len(bars), LINE):
        yield f"| {' | '.join(bars[first : first + LINE])} |"
