"""The player of the page: sound, the chord of now, a waveform, a lane that moves, and a chart that follows.

HTML of words and numbers only, all escaped: page.css gives it a look, page.js moves it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from html import escape
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from musetune.display.charts import bars_of
from musetune.display.unsure import is_unsure, mark_name
from musetune.formats.chart_text import pop_name
from musetune.symbols import Chord, LeadSheet
from musetune.theory.numerals.context import romans_of_spans

UNSURE_CLASS = " mt-unsure"  # of the cell of a chord that the analysis is unsure of


class ChordCell(NamedTuple):
    """A chord in the player: where it is in seconds, its name, a word under it, its class, and how sure it is, 0…1."""

    start_s: float
    end_s: float
    name: str
    under: str = ""
    kind: str = "mt-plain"
    sure: float = 1.0


def url(path: Path) -> str:
    """Where the server has a file that it may give away; relative, so that it holds behind a proxy too."""
    return f"gradio_api/file={quote(str(path))}"


def player_html(
    sound: Path | None,
    sheet: LeadSheet,
    rows: Mapping[str, Sequence[ChordCell]],
    seconds: float,
    *,
    title: str = "",
    repeat: bool = False,
) -> str:
    """A player whose lane has a row for each of ``rows`` over the beats of ``sheet``.

    Args:
        sound: the file that plays; None: only the lane.
        sheet: its beats and bar lines.
        rows: cells by the name of their row; the first row's chord of now stands large above.
        seconds: length of the sound.
        title: what a screen reader calls the player.
        repeat: whether the sound plays on from its beginning.
    """
    label = escape(f"Player: {title}" if title else "Player")
    audio = ""
    if sound is not None:
        again = " loop" if repeat else ""
        audio = (
            f'<audio controls{again} preload="auto" src="{url(sound)}" aria-label="{label}"></audio>'
            '<div class="mt-wave" aria-hidden="true">'
            '<svg preserveAspectRatio="none" viewBox="0 -1 1000 2"><path/></svg><i class="mt-wave-now"></i></div>'
        )
    now = '<div class="mt-now-line" aria-hidden="true"><b></b><span></span></div>'
    names = "".join(f"<span>{escape(name)}</span>" for name in rows)
    lanes = "".join(
        f'<div class="mt-row" role="group" aria-label="{escape(name)}">{"".join(map(_cell, cells))}</div>'
        for name, cells in rows.items()
    )
    data = f'data-rows="{len(rows)}" data-seconds="{seconds:.3f}"'
    return (
        f'<div class="mt-player" role="group" aria-label="{label}" {data}>'
        f'{audio}{now}<div class="mt-window"><div class="mt-strip">{_beats(sheet, seconds)}{lanes}'
        f'<i class="mt-end" style="--s:{seconds:.3f}"></i></div><div class="mt-head"></div>'
        f'<div class="mt-legend" aria-hidden="true">{names}</div></div></div>'
    )


def chart_that_follows(sheet: LeadSheet, cells: Sequence[ChordCell]) -> str:
    """All bars of a sheet, their chords to be clicked; the one that plays is marked and kept in view.

    Args:
        sheet: the bars, sections and chords.
        cells: one for each chord of ``sheet``.
    """
    bars = "".join(_bar(sheet, cells, low, high) for low, high in bars_of(sheet))
    return f'<div class="mt-chart" role="group" aria-label="Chart" tabindex="0">{bars}</div>'


def asked_cells(sheet: LeadSheet) -> list[ChordCell]:
    """A cell for each chord of a sheet with its Roman numeral."""
    spans = zip(sheet.chords, sheet.chord_intervals_s, romans_of_spans(sheet), strict=True)
    return [ChordCell(float(start), float(end), pop_name(span.chord), numeral) for span, (start, end), numeral in spans]


def heard_cells(rows: Sequence[Mapping[str, Any]]) -> list[ChordCell]:
    """A cell for each row of a report's ``chords``: what was recognised, and whether it is what was asked."""
    return [
        ChordCell(
            row["start_s"],
            row["end_s"],
            f"{'✓' if row['match'] else '✗'} "
            f"{mark_name(pop_name(Chord.parse(row['heard'])), is_unsure(row['confidence']))}",
            percent(row["confidence"]),
            verdict(row) + UNSURE_CLASS * is_unsure(row["confidence"]),
        )
        for row in rows
    ]


def verdict(row: Mapping[str, Any]) -> str:
    """The class of a chord that was or was not recognised as asked."""
    return "mt-hit" if row["match"] else "mt-miss"


def percent(value: float | None) -> str:
    """A share 0…1 in per cent; "" where it is not known."""
    return "" if value is None else f"{100 * value:.0f} %"


def _beats(sheet: LeadSheet, seconds: float) -> str:
    bars = {round(float(time), 3) for time in sheet.downbeats_s}
    return "".join(
        f'<i class="{"mt-bar" if round(float(time), 3) in bars else "mt-beat"}" style="--s:{time:.3f}"></i>'
        for time in sheet.beats_s[sheet.beats_s <= seconds]
    )


def _cell(cell: ChordCell) -> str:
    """A chord in the lane: a button that goes there, by the mouse; by the keyboard those of the chart do."""
    return (
        f'<button type="button" tabindex="-1" class="mt-cell {cell.kind}" data-start="{cell.start_s:.3f}" '
        f'data-end="{cell.end_s:.3f}" style="--s:{cell.start_s:.3f};--d:{cell.end_s - cell.start_s:.3f};'
        f'--o:{cell.sure:.2f}"><b>{escape(cell.name)}</b><small>{escape(cell.under)}</small></button>'
    )


def _bar(sheet: LeadSheet, cells: Sequence[ChordCell], low: Fraction, high: Fraction) -> str:
    part = next((section.label for section in sheet.sections if low <= section.start < high), "")
    chords = "".join(
        f'<button type="button" class="mt-chord{UNSURE_CLASS * (UNSURE_CLASS in cell.kind)}" '
        f'data-start="{cell.start_s:.3f}" data-end="{cell.end_s:.3f}" '
        f'style="flex-grow:{float(min(span.end, high) - max(span.start, low)):g}"><b>{escape(cell.name)}</b>'
        f"<small>{escape(cell.under)}</small></button>"
        for span, cell in zip(sheet.chords, cells, strict=True)
        if low <= span.start < high
    )
    held = '<span class="mt-held">%</span>' if not chords else ""
    label = f'<small class="mt-part">{escape(part)}</small>' if part else ""
    start, end = (max(0.0, float(sheet.grid.time_at(beat))) for beat in (low, high))
    return (
        f'<div class="mt-measure" data-start="{start:.3f}" data-end="{end:.3f}">{label}<div>{held}{chords}</div></div>'
    )
