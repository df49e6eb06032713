"""The Edit tab's own HTML: the piece with its bars to click, and what came of it beside what was.

Made of words and numbers only, all escaped: edit.css gives it a look, edit.js selects bars.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from musetune.display.charts import facts
from musetune.formats.chart_text import pop_name
from musetune.serve import markup
from musetune.serve.edit_work import EditSource
from musetune.serve.listen_work import bars_of_song
from musetune.serve.player import asked_cells, chart_that_follows, player_html
from musetune.serve.work import Take
from musetune.symbols import LeadSheet

MOST_BARS = 400  # that are shown to be clicked


def source_html(source: EditSource) -> str:
    """A piece: its player, and its bars, each a switch."""
    sheet = source.sheet
    player = player_html(source.sound, sheet, {"chords": asked_cells(sheet)}, sheet.duration_s, title=source.name)
    bars = bars_of_song(sheet)[:MOST_BARS]
    buttons = "".join(
        f'<button type="button" class="mt-pick" data-bar="{number}" aria-pressed="false" '
        f'aria-label="Bar {number}: {escape(_chords(sheet, low, high))}"><i>{number}</i> '
        f"<b>{escape(_chords(sheet, low, high))}</b></button>"
        for number, (low, high) in enumerate(bars, start=1)
    )
    return (
        f'<section class="mt-take" aria-label="{escape(source.name)}"><h2 class="mt-name">{escape(source.name)}</h2>'
        f'<p class="mt-fact">{escape(facts(sheet))}</p>{player}'
        f'<div class="mt-picks" role="group" aria-label="Bars; click those that shall change, Shift for a row of them">'
        f"{buttons}</div></section>"
    )


def _chords(sheet: LeadSheet, low: object, high: object) -> str:
    """The chords that begin in a bar; % where none does."""
    names = [pop_name(span.chord) for span in sheet.chords if low <= span.start < high]  # type: ignore[operator]
    return " ".join(names) or "%"


def results_html(source: EditSource, takes: Sequence[Take], title: str) -> str:
    """What came of a piece: one take beside what was, to be switched while it plays; several one after the other."""
    if len(takes) > 1:
        return "".join(
            f'<h2 class="mt-name">{escape(f"{title}, {number}")}</h2>{markup.take_html(take, f"{title}, {number}")}'
            for number, take in enumerate(takes, start=1)
        )
    (take,) = takes
    cells = asked_cells(source.sheet)
    before = player_html(source.sound, source.sheet, {"chords": cells}, source.sheet.duration_s, title=source.name)
    return (
        '<div class="mt-compare"><div class="mt-sides" role="group" aria-label="Compare">'
        '<button type="button" class="mt-side" data-side="A" aria-pressed="true"><b>After</b> '
        f"{escape(title)}</button>"
        '<button type="button" class="mt-side" data-side="B" aria-pressed="false"><b>Before</b> '
        f"{escape(source.name)}</button></div>"
        f'<div data-side="A">{markup.take_html(take, title)}</div>'
        f'<div data-side="B" hidden><section class="mt-take" aria-label="Before">{before}'
        f"{chart_that_follows(source.sheet, cells)}</section></div></div>"
    )
