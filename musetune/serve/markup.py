"""The page's own HTML: messages, a take with its downloads and scores, the list of takes, an analysed song.

Made of words and numbers only, all escaped: page.css gives it a look, page.js moves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from musetune.audio.source import SYMBOLS
from musetune.display.analysis_html import summary
from musetune.display.charts import chart_html, facts
from musetune.display.unsure import is_unsure, legend_for, mark_name, unsure_chords
from musetune.formats.chart_text import pop_name
from musetune.serve.history import NAME, NamedTake, TakeHistory
from musetune.serve.player import (
    UNSURE_CLASS,
    ChordCell,
    asked_cells,
    chart_that_follows,
    heard_cells,
    percent,
    player_html,
    url,
    verdict,
)
from musetune.serve.work import Order, Take
from musetune.symbols import Chord, LeadSheet
from musetune.symbols.json_values import JsonObject

SURPRISE = "MuseTune met a fault of its own; the window where it was started says which. Please report it."


def wrong(error: Exception | str, *, alert: bool = True) -> str:
    """What is wrong, to stand under a field or beside the button; ``alert``: read out at once by a screen reader."""
    role = "alert" if alert else "group"
    return f'<div class="mt-wrong" role="{role}" aria-label="Problem" tabindex="0">{escape(str(error))}</div>'


def hint(text: str) -> str:
    """What will stand where nothing stands yet."""
    return f'<div class="mt-hint">{escape(text)}</div>'


def status(text: str, share: float | None = None) -> str:
    """How far work is, for eyes and screen readers; ``share``: 0…1 of it, None where nobody knows."""
    value = "" if share is None else f' value="{share:.3f}"'
    bar = f'<progress aria-label="Progress"{value}></progress>' if share is None or share < 1 else ""
    return f'<div class="mt-status" role="status">{bar}<span>{escape(text)}</span></div>'


def note(text: str) -> str:
    """What is to be known of a field, to stand under it."""
    return f'<div class="mt-fact" role="status">{escape(text)}</div>'


def waiting(progress: str) -> str:
    """That work goes on, and how far it is."""
    return f'<div class="mt-hint" role="status">{escape(progress) or "waiting for its turn"} …</div>'


def right(order: Order) -> str:
    """How a progression was understood: its chart, once. Raises ValueError that names what is wrong."""
    loop, sheet = order.loop(), order.sheet()
    bars = f"{order.bars:.0f} bars, " if order.bars is not None else ""
    length = f"plays {bars}{sheet.duration_s:.4g} s" + ("" if order.ending == "stops" else f", then {order.ending}")
    if order.ending == "loops":
        length = f"loops {bars}{sheet.duration_s:.4g} s"
    heading = facts(loop).rsplit(" · ", 1)[0]  # without its length
    chart = chart_html(loop, heading=f"{heading} · {length}")
    return f'<div class="mt-right" role="group" aria-label="Chart" tabindex="0">{chart}</div>'


def take_html(take: Take, name: str = "") -> str:
    """Player, chart, downloads and scores of a take."""
    request_cells = asked_cells(take.sheet)
    rows = {"asked": request_cells, "heard": heard_cells(take.report["chords"])}
    player = player_html(
        take.files["WAV"], take.sheet, rows, take.seconds, title=name, repeat=take.order.ending == "loops"
    )
    chart = chart_that_follows(take.sheet, request_cells)
    return (
        f'<section class="mt-take" aria-label="{escape(name or "Take")}">{player}{chart}'
        f"{downloads(take.files)}{scores_html(take.report)}</section>"
    )


def shown_html(history: TakeHistory) -> str:
    """The take that is shown, and beside it, to be switched to while it plays, the one it is compared with."""
    visible, other = history.get(history.shown), history.get(history.other)
    if visible is None:
        return hint("What you generate plays here, its chords moving along.")
    if other is None:
        return f'<h2 class="mt-name">{escape(visible.name)}</h2>{take_html(visible.take, visible.name)}'
    sides = "".join(
        f'<button type="button" class="mt-side" data-side="{side}" aria-pressed="{str(side == "A").lower()}">'
        f"<b>{side}</b> {escape(one.name)}</button>"
        for side, one in (("A", visible), ("B", other))
    )
    return (
        f'<div class="mt-compare"><div class="mt-sides" role="group" aria-label="Compare">{sides}</div>'
        f'<div data-side="A">{take_html(visible.take, visible.name)}</div>'
        f'<div data-side="B" hidden>{take_html(other.take, other.name)}</div></div>'
    )


def takes_html(history: TakeHistory) -> str:
    """The list of takes, the newest first, each with what can be done with it; "" where there is none."""
    if not history.takes:
        return ""
    rows = "".join(_take_row(one, history) for one in reversed(history.takes))
    return (
        f'<div class="mt-takes"><div class="mt-takes-head"><h2>Takes</h2><button type="button" data-action="zip">'
        f"Download all (zip)</button></div><ul>{rows}</ul></div>"
    )


def _take_row(one: NamedTake, history: TakeHistory) -> str:
    visible, compared = one.number == history.shown, one.number == history.other
    name = escape(one.name)
    button = lambda action, text, label, more="": (  # noqa: E731
        f'<button type="button" data-action="{action}" data-number="{one.number}" aria-label="{label}: {name}"{more}>'
        f"{text}</button>"
    )
    current = ' aria-current="true"' if visible else ""
    compare = button(
        "compare", "A/B", "Compare", f' aria-pressed="{str(compared).lower()}"{" disabled" if visible else ""}'
    )
    return (
        f'<li{current}><span class="mt-number">{one.number}</span><input type="text" data-action="rename" '
        f'data-number="{one.number}" value="{name}" maxlength="{NAME}" aria-label="Name of take {one.number}">'
        f'<span class="mt-overall">{percent(one.take.report["overall"])}</span>'
        f"{button('show', 'Show', 'Show', ' disabled' if visible else '')}{compare}{button('edit', 'Edit', 'Edit')}"
        f"{button('delete', '✕', 'Delete')}</li>"
    )


def song_html(path: Path, record: JsonObject, sheet: LeadSheet, files: Mapping[str, Path] | None = None) -> str:
    """Player and chart of an analysed song; a line under each chord is the longer, the surer it is, and an unsure one
    has a mark, which a sentence explains.

    What is no sound has no player. ``files``: what was recognised, by name.
    """
    seconds = float((record.get("source") or {}).get("duration_s") or sheet.duration_s)
    cells = [
        ChordCell(
            row["start_s"],
            row["end_s"],
            mark_name(pop_name(Chord.parse(row["chord"])), is_unsure(row["confidence"])),
            row["roman"] or "",
            "mt-plain mt-sure" + UNSURE_CLASS * is_unsure(row["confidence"]),
            float(row["confidence"]),
        )
        for row in record["chords"]
    ]
    legend = legend_for(unsure_chords(record))
    sound = None if path.suffix.lower() in SYMBOLS else path
    player = player_html(sound, sheet, {"heard": cells}, seconds, title=path.name)
    return f'<section class="mt-take"><p class="mt-fact">{escape(summary(record))}</p>{player}' + (
        f"{note(legend) if legend else ''}{downloads(files or {})}{chart_that_follows(sheet, cells)}</section>"
    )


def downloads(files: Mapping[str, Path]) -> str:
    """Links to files, by name."""
    links = "".join(
        f'<a class="mt-download" href="{url(path)}" download="{escape(path.name)}">{escape(name)}</a>'
        for name, path in files.items()
    )
    return f'<div class="mt-downloads">{links}</div>' if links else ""


def scores_html(report: Mapping[str, Any]) -> str:
    """The overall score and its parts, tempo and key beside what was asked, and chord by chord a table."""
    tiles = "".join(
        f"<div><b>{percent(value)}</b><span>{escape(title)}</span></div>"
        for title, value in [("overall", report["overall"]), *report["parts"].items()]
    )
    tempo, key = report["tempo"], report["key"]
    pulse = f"{tempo['heard_bpm']:.0f} bpm" if tempo["heard_bpm"] else "no pulse"
    rows = "".join(
        f"<tr class='{verdict(row)}'><td>{row['start_s']:.1f}–{row['end_s']:.1f} s</td>"
        f"<td>{escape(pop_name(Chord.parse(row['asked'])))}</td>"
        f"<td>{escape(mark_name(pop_name(Chord.parse(row['heard'])), is_unsure(row['confidence'])))}</td>"
        f"<td>{percent(row['share'])}</td>"
        f"<td>{percent(row['confidence'])}</td>"
        f"<td>{'✓' if row['match'] else '✗'}</td></tr>"
        for row in report["chords"]
    )
    legend = legend_for(unsure_chords(report))
    return (
        f'<div class="mt-scores">{tiles}</div><p class="mt-fact">Overall is the mean of its parts: how much of '
        f"what was asked MuseTune's own listener hears. Tempo: asked {tempo['asked_bpm'] or 0:.0f} bpm, heard {pulse}. "
        f"Key: asked {escape(key['asked'])}, heard {escape(key['heard'] or 'none')}.</p>"
        f"{note(legend) if legend else ''}"
        '<details class="mt-details"><summary>Chord by chord</summary><table class="mt-table"><thead><tr>'
        '<th scope="col">time</th><th scope="col">asked</th><th scope="col">heard</th><th scope="col">of the time</th>'
        f'<th scope="col">sure</th><th scope="col">match</th></tr></thead><tbody>{rows}</tbody></table></details>'
    )
