"""A lead sheet to look at: chord names as musicians write them, a chart as text and as HTML, a piano roll as SVG.

No scripts, no other files.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from html import escape
from typing import TYPE_CHECKING, NamedTuple

from musetune.display.unsure import mark_name
from musetune.formats.chart_text import pop_name

if TYPE_CHECKING:
    from musetune.symbols.lead_sheet import LeadSheet

MAX_BARS, MAX_ROLL_S = 96, 120.0  # what is drawn at most: more cannot be read at a glance
ROLL_SECOND, ROLL_PITCH = 48, 5  # units of the drawing
DOTTED = ";border-bottom:2px dotted currentColor"  # under an unsure chord


class Under(NamedTuple):
    """What stands under a chord of a chart: a word, its colour (CSS), how strongly the chord shows (0…1), and whether
    the chord is unsure, which a question mark and a dotted line tell.
    """

    text: str
    colour: str = "inherit"
    opacity: float = 1.0
    unsure: bool = False


def bars_of(sheet: LeadSheet) -> Iterator[tuple[Fraction, Fraction]]:
    """First and last beat of each bar; what comes before the first bar line is one too."""
    return itertools.pairwise(sorted({Fraction(0), *sheet.downbeats(), sheet.length}))


def facts(sheet: LeadSheet) -> str:
    """Key, tempo, meter, genre and length in words."""
    length = f"{int(sheet.duration_s) // 60}:{sheet.duration_s % 60:04.1f}"
    parts = [str(sheet.key), f"{sheet.bpm:.4g} bpm", str(sheet.meter), sheet.genre, length]
    return " · ".join(part for part in parts if part)


def chart_html(sheet: LeadSheet, under: Sequence[Under] | None = None, *, heading: str | None = None) -> str:
    """The chart in bars, as many to a line as fit, with a word ``under`` each chord (one a span; default: its Roman
    numeral; nothing under N.C.).

    heading: what stands above (default: `facts`). Bars after the first 96 are only counted.
    """
    from musetune.theory.numerals.context import romans_of_spans

    bars = list(bars_of(sheet))
    if under is None:
        under = [Under(numeral) for numeral in romans_of_spans(sheet)]
    cells = "".join(_bar_html(sheet, under, low, high) for low, high in bars[:MAX_BARS])
    rest = f"<div>… and {len(bars) - MAX_BARS} more bars</div>" if len(bars) > MAX_BARS else ""
    title = facts(sheet) if heading is None else heading
    return (
        f'<div class="musetune-chart" style="max-width:56em"><div style="opacity:.75;margin:.2em 0 .5em">'
        f"{escape(title)}</div>"
        f'<div style="display:grid;grid-template-columns:repeat(auto-fill,minmax(min(11em,45%),1fr));row-gap:.5em">'
        f"{cells}</div>{rest}</div>"
    )


def _bar_html(sheet: LeadSheet, under: Sequence[Under], low: Fraction, high: Fraction) -> str:
    """One bar; its chords have widths in proportion to their beats.

    A section's name stands above the bar in which it begins.
    """
    part = next((section.label for section in sheet.sections if low <= section.start < high), "")
    words = "".join(
        f'<span style="flex:{float(min(span.end, high) - max(span.start, low)):g} 1 0;min-width:0;'
        f'opacity:{mark.opacity:.2f}">'
        f'<b style="font-size:1.15em{DOTTED if mark.unsure else ""}">'
        f"{escape(mark_name(pop_name(span.chord), mark.unsure)) if span.start >= low else '%'}</b><br>"
        f'<small style="color:{mark.colour}">{escape(mark.text) if span.start >= low else "&nbsp;"}</small></span>'
        for span, mark in zip(sheet.chords, under, strict=True)
        if span.start < high and span.end > low
    )
    name = f'<small style="opacity:.6">{escape(part)}</small>' if part else ""
    return (
        f'<div style="border-left:2px solid currentColor;padding:0 .5em;line-height:1.35">{name}<div '
        f'style="display:flex;gap:.4em">{words}</div></div>'
    )


def roll_svg(sheet: LeadSheet) -> str:
    """A piano roll of the melody over the chords' notes, time from left to right, bar lines and C's lined.

    Its first two minutes.
    """
    notes = list(_notes(sheet))
    if not notes:
        return ""
    low, high = min(n[2] for n in notes) - 2, max(n[2] for n in notes) + 2
    width, height = min(sheet.duration_s, MAX_ROLL_S) * ROLL_SECOND, (high - low + 1) * ROLL_PITCH
    y = lambda pitch: (high - pitch) * ROLL_PITCH  # noqa: E731
    bars = "".join(
        f'<path d="M{time * ROLL_SECOND:.1f} 0V{height}" stroke="currentColor" opacity=".25"/>'
        for time in sheet.downbeats_s[sheet.downbeats_s <= MAX_ROLL_S]
    )
    octaves = "".join(
        f'<path d="M0 {y(pitch) + ROLL_PITCH}H{width:.1f}" stroke="currentColor" opacity=".12"/>'
        f'<text x="2" y="{y(pitch) + ROLL_PITCH - 1}" font-size="9" fill="currentColor" opacity=".5">'
        f"C{pitch // 12 - 1}</text>"
        for pitch in range(low, high + 1)
        if pitch % 12 == 0
    )
    boxes = "".join(
        f'<rect x="{start * ROLL_SECOND:.1f}" y="{y(pitch)}" width="{max(1.0, (end - start) * ROLL_SECOND - 1.5):.1f}" '
        f'height="{ROLL_PITCH - 1}" '
        f'rx="1" fill="{colour}"/>'
        for start, end, pitch, colour in notes
    )
    return (
        f'<svg class="musetune-roll" role="img" aria-label="piano roll" viewBox="0 0 {width:.1f} {height}" '
        f'width="{width:.0f}" '
        f'height="{height}" style="max-width:100%;height:auto;margin:.8em 0">{bars}{octaves}{boxes}</svg>'
    )


def _notes(sheet: LeadSheet) -> Iterator[tuple[float, float, int, str]]:
    """(start_s, end_s, MIDI pitch, colour) of what is drawn."""
    from musetune.formats.midi import voicing

    at = sheet.grid.time_at
    sounding = [(span.start, span.end, pitch, "#7ba7d1") for span in sheet.chords for pitch in voicing(span.chord)]
    sounding += [(note.start, note.start + note.beats, note.pitch, "#c8553d") for note in sheet.melody]
    for first, last, pitch, colour in sounding:
        start, end = max(0.0, float(at(first))), min(float(at(last)), MAX_ROLL_S)
        if end > start:
            yield start, end, pitch, colour


def sheet_html(sheet: LeadSheet) -> str:
    """What a notebook shows of a lead sheet: chart and piano roll."""
    return chart_html(sheet) + roll_svg(sheet)
