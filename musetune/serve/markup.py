"""The page's own HTML: messages under fields, the player with its lane of chords, what was recognised beside the
request.

Made of words and numbers only, all escaped: page.css gives it a look, page.js moves it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from musetune.audio.source import SYMBOLS
from musetune.display.analysis_html import marks, summary
from musetune.display.charts import chart_html, facts
from musetune.formats.chart_text import pop_name
from musetune.serve.work import Take
from musetune.symbols import Chord, LeadSheet
from musetune.symbols.json_values import JsonObject
from musetune.theory.numerals.context import romans_of_spans

SCORES = {"majmin": "chords", "tetrads": "sevenths", "beat_f": "beats", "downbeat_f": "bar lines"}


def wrong(error: Exception | str) -> str:
    """What is wrong with a field, to stand under it."""
    return f'<div class="mt-wrong" role="alert">{escape(str(error))}</div>'


def waiting(progress: str) -> str:
    """That work goes on, and how far it is."""
    return f'<div class="mt-hint">{escape(progress) or "waiting for its turn"} …</div>'


def right(loop: LeadSheet, seconds: float) -> str:
    """How a progression was understood: its chart, once."""
    again = "" if loop.duration_s >= seconds else f", repeated to {seconds:g} s"
    return f'<div class="mt-right">{chart_html(loop, heading=f"{facts(loop)}{again}")}</div>'


def take_html(take: Take) -> str:
    """Player, lane, downloads and scores of a take."""
    rows = take.report["chords"]
    downloads = "".join(
        f'<a class="mt-download" href="{url(path)}" download="{escape(path.name)}">{name}</a>'
        for name, path in take.files.items()
    )
    lane = _lane(take.sheet, _asked(take.sheet), _heard(rows), take.seconds)
    return (
        _player(take.files["WAV"], lane, legend=("asked", "heard"))
        + f'<div class="mt-downloads">{downloads}</div>'
        + scores_html(take.report)
    )


def song_html(path: Path, record: JsonObject, sheet: LeadSheet) -> str:
    """Player, lane and chart of an analysed song; the surer a chord, the darker it is.

    What is no sound has no player.
    """
    seconds, under = float((record.get("source") or {}).get("duration_s") or sheet.duration_s), marks(record)
    cells = [
        _cell(row["start_s"], row["end_s"], pop_name(Chord.parse(row["chord"])), mark.text, opacity=mark.opacity)
        for row, mark in zip(record["chords"], under, strict=True)
    ]
    sound = None if path.suffix.lower() in SYMBOLS else path
    return _player(sound, _lane(sheet, cells, [], seconds), legend=("heard",)) + chart_html(
        sheet, under, heading=summary(record)
    )


def scores_html(report: Mapping[str, Any]) -> str:
    """The scores in per cent, tempo and key beside what was asked, and chord by chord a table."""
    scores = report["scores"]
    known = [(title, scores[name]) for name, title in SCORES.items() if scores.get(name) is not None]
    tiles = "".join(
        f"<div><b>{100 * value:.0f} %</b><span>{title}</span></div>"
        for title, value in [("overall", report["overall"]), *known]
    )
    tempo, key = report["tempo"], report["key"]
    heard = f"{tempo['heard_bpm']:.0f} bpm" if tempo["heard_bpm"] else "no pulse"
    rows = "".join(
        f"<tr class='{_verdict(row)}'><td>{row['start_s']:.1f}–{row['end_s']:.1f} s</td><td>"
        f"{escape(pop_name(Chord.parse(row['asked'])))}</td>"
        f"<td>{escape(pop_name(Chord.parse(row['heard'])))}</td><td>{_percent(row['share'])}</td><td>"
        f"{_percent(row['confidence'])}</td>"
        f"<td>{'✓' if row['match'] else '✗'}</td></tr>"
        for row in report["chords"]
    )
    return (
        f'<div class="mt-scores">{tiles}</div><div class="mt-fact">Tempo: asked {tempo["asked_bpm"] or 0:.0f} bpm, '
        f"heard {heard}. "
        f"Key: asked {escape(key['asked'])}, heard {escape(key['heard'] or 'none')}.</div>"
        '<details class="mt-details"><summary>Chord by chord</summary><table class="mt-table"><thead><tr><th>time</th>'
        "<th>asked</th><th>heard</th>"
        f"<th>of the time</th><th>sure</th><th>match</th></tr></thead><tbody>{rows}</tbody></table></details>"
    )


def url(path: Path) -> str:
    """Where the server has a file that it may give away; relative, so that it holds behind a proxy too."""
    return f"gradio_api/file={quote(str(path))}"


def _player(sound: Path | None, lane: str, legend: Sequence[str]) -> str:
    audio = f'<audio controls preload="auto" src="{url(sound)}"></audio>' if sound else ""
    names = "".join(f"<span>{name}</span>" for name in legend)
    return (
        f'<div class="mt-player" data-rows="{len(legend)}">{audio}<div class="mt-window"><div class="mt-strip">'
        f"{lane}</div>"
        f'<div class="mt-head"></div><div class="mt-legend">{names}</div></div></div>'
    )


def _lane(sheet: LeadSheet, asked: Sequence[str], heard: Sequence[str], seconds: float) -> str:
    """Chords in rows over beats, all at their times; ``seconds``: how long the strip is."""
    bars = {round(float(time), 3) for time in sheet.downbeats_s}
    beats = "".join(
        f'<i class="{"mt-bar" if round(float(time), 3) in bars else "mt-beat"}" style="--s:{time:.3f}"></i>'
        for time in sheet.beats_s[sheet.beats_s <= seconds]
    )
    return (
        f'{beats}<div class="mt-row">{"".join(asked)}</div><div class="mt-row">{"".join(heard)}</div><i class="mt-end" '
        f'style="--s:{seconds:.3f}"></i>'
    )


def _asked(sheet: LeadSheet) -> list[str]:
    spans = zip(sheet.chords, sheet.chord_intervals_s, romans_of_spans(sheet), strict=True)
    return [_cell(float(start), float(end), pop_name(span.chord), numeral) for span, (start, end), numeral in spans]


def _heard(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    names = [f"{'✓' if row['match'] else '✗'} {pop_name(Chord.parse(row['heard']))}" for row in rows]
    return [
        _cell(row["start_s"], row["end_s"], name, _percent(row["confidence"]), _verdict(row))
        for row, name in zip(rows, names)
    ]


def _cell(start: float, end: float, name: str, under: str, kind: str = "mt-plain", opacity: float = 1.0) -> str:
    """A chord in the lane: a button that goes there."""
    return (
        f'<button type="button" class="mt-cell {kind}" data-start="{start:.3f}" data-end="{end:.3f}" '
        f'style="--s:{start:.3f};--d:{end - start:.3f};--o:{opacity:.2f}"><b>{escape(name)}</b><small>'
        f"{escape(under)}</small></button>"
    )


def _verdict(row: Mapping[str, Any]) -> str:
    return "mt-hit" if row["match"] else "mt-miss"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f} %"
