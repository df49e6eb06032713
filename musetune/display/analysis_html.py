"""What a notebook and the web page show of an analysis.

What was heard and how surely, the chart with its numerals, a piano roll.
"""

from __future__ import annotations

from collections import Counter
from html import escape

from musetune.display.charts import Under, chart_html, roll_svg
from musetune.display.unsure import is_unsure, legend_for, unsure_chords
from musetune.symbols.estimate import AnalysisResult
from musetune.symbols.json_values import JsonObject

FAINTEST = 0.6  # how strongly a chord shows whose confidence is 0; fainter would be hard to read


def analysis_html(result: AnalysisResult) -> str:
    """Chart and piano roll under a line of facts; the surer a chord, the darker it is, and an unsure one has a mark."""
    record = result.to_json()
    return (
        chart_html(result.lead_sheet, marks(record), heading=summary(record))
        + _legend(record)
        + _findings(record)
        + roll_svg(result.lead_sheet)
    )


def marks(record: JsonObject) -> list[Under]:
    """For each chord of a record its numeral, and its confidence as darkness."""
    return [
        Under(
            row["roman"] or "",
            opacity=FAINTEST + (1 - FAINTEST) * float(row["confidence"]),
            unsure=is_unsure(row["confidence"]),
        )
        for row in record["chords"]
    ]


def summary(record: JsonObject) -> str:
    """File, key, tempo, meter and genre with their confidences, as far as they are known."""
    source, genre = record.get("source") or {}, record.get("genre_analysis") or {}
    facts = [
        source.get("file"),
        _sure(record.get("key"), record.get("key_confidence")),
        _sure(f"{record['bpm']:.1f} bpm", record.get("bpm_confidence")) if record.get("bpm") else None,
        _sure(record.get("time_signature") or _unsure_meter(record), record.get("time_signature_confidence")),
        "genre unsure"
        if genre.get("primary_genre") == "unsure"
        else _sure(genre.get("primary_genre"), genre.get("confidence")),
    ]
    return " · ".join(part for part in facts if part)


def _unsure_meter(record: JsonObject) -> str | None:
    likeliest = record.get("likeliest_time_signature")
    return f"meter unsure, {likeliest}?" if likeliest else None


def _sure(value: str | None, confidence: float | None) -> str | None:
    return f"{value} ({100 * confidence:.0f} %)" if value and confidence is not None else value


def _legend(record: JsonObject) -> str:
    """What the mark of an unsure chord means, where one is."""
    words = legend_for(unsure_chords(record))
    return f"<div><small>{escape(words)}</small></div>" if words else ""


def _findings(record: JsonObject) -> str:
    """Named patterns and cadences, and how often each was found."""
    harmony = record["harmonic_analysis"]
    patterns = {one["name"]: one["occurrences"] for one in harmony["common_patterns"]}
    cadences = Counter(one["type"] for one in harmony["cadences"])
    lines = []
    for title, rows in (("Patterns", patterns), ("Cadences", cadences)):
        words = ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in rows.items())
        lines += [f"<div><small>{title}: {escape(words)}</small></div>"] if words else []
    return "".join(lines)
