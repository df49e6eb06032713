"""An analysis as files for other programs: tables (CSV), label tracks (Audacity), label files (MIREX), scores."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np

from musetune.formats.chart_text import pop_name
from musetune.formats.files import write_jams
from musetune.formats.jams_file import AnalysisOrigin, to_jams
from musetune.formats.labels import bar_position, key_areas, lab_files, section_spans
from musetune.symbols import Key, LeadSheet
from musetune.symbols.estimate import AnalysisResult
from musetune.symbols.json_values import JsonObject

KINDS = ("json", "csv", "plot", "midi", "musicxml", "jams", "labels", "lab")
SCORES = {"midi": ".mid", "musicxml": ".musicxml", "jams": ".jams"}
CHORD_COLUMNS = (
    "start_s",
    "end_s",
    "bar",
    "beat_in_bar",
    "beats",
    "chord",
    "name",
    "roman",
    "function",
    "key",
    "section",
    "confidence",
)


def chords_csv(result: AnalysisResult) -> str:
    """One line a chord under CHORD_COLUMNS; seconds, bars and beats from 1, `chord` in Harte's notation."""
    sheet, rows = result.lead_sheet, []
    for span, entry in zip(sheet.chords, result.to_json()["chords"], strict=True):
        bar, beat = bar_position(sheet, span.start)
        row = {name: entry.get(name) for name in ("start_s", "end_s", "beats", "roman", "function", "confidence")}
        row |= {"bar": bar, "beat_in_bar": float(beat), "chord": span.chord.harte, "name": pop_name(span.chord)}
        rows.append(row | {"key": str(sheet.key_at(span.start)), "section": _section_at(sheet, span.start)})
    return _table(CHORD_COLUMNS, rows)


def beats_csv(result: AnalysisResult) -> str:
    """One line a beat: `time_s`, `bar` and `beat` from 1 (bar 0 before the first bar line)."""
    sheet, rows = result.lead_sheet, []
    for beat in range(-(-sheet.length.numerator // sheet.length.denominator)):
        bar, inside = bar_position(sheet, Fraction(beat))
        rows.append({"time_s": round(float(sheet.grid.time_at(beat)), 4), "bar": bar, "beat": float(inside)})
    return _table(("time_s", "bar", "beat"), rows)


def label_tracks(result: AnalysisResult) -> dict[str, str]:
    """Audacity label tracks by name, `start TAB end TAB label` in seconds.

    Chords, keys, bars; sections where there are.
    """
    sheet = result.lead_sheet
    chords = [
        (*interval, pop_name(span.chord)) for interval, span in zip(sheet.chord_intervals_s, sheet.chords, strict=True)
    ]
    lines = sheet.grid.time_at(np.array(sheet.downbeats(), dtype=float))
    bars = [(float(time), float(time), str(number)) for number, time in enumerate(lines, start=1)]
    tracks: dict[str, list[tuple[float, float, str]]] = {"chords": chords, "keys": key_areas(sheet), "bars": bars}
    if sheet.sections:
        tracks["sections"] = section_spans(sheet)
    return {
        name: "".join(f"{max(a, 0):.6f}\t{max(b, 0):.6f}\t{label}\n" for a, b, label in rows)
        for name, rows in tracks.items()
    }


def exports(
    result: AnalysisResult, kind: str, stem: Path, sound: Path | None = None
) -> Iterator[tuple[Path, Callable[[], object]]]:
    """The files of one of KINDS, whose names begin with `stem`, and what writes each.

    `sound` is what `plot` draws the spectrum of. Raises ValueError for another kind.
    """
    if kind in SCORES:
        path = stem.with_name(stem.name + SCORES[kind])
        yield path, partial(save_sheet, result, path)
    elif kind == "plot":
        from musetune.display.analysis_plot import draw_analysis

        path = stem.with_name(stem.name + ".png")
        yield path, partial(draw_analysis, result, path, sound=sound)
    else:
        for suffix, text in _texts(result, kind):
            path = stem.with_name(stem.name + suffix)
            yield path, partial(path.write_text, text, encoding="utf-8")


def save_sheet(result: AnalysisResult, path: Path) -> Path:
    """Write the lead sheet as the suffix says; JAMS with how sure the analysis is of each observation."""
    if path.suffix.lower() != ".jams":
        return result.lead_sheet.save(path)
    write_jams(to_jams(result.lead_sheet, origin_of(result)), path)
    return path


def origin_of(result: AnalysisResult) -> AnalysisOrigin:
    """The analysis as JAMS names it."""
    record = result.to_json()
    source = record.get("source") or {}
    return AnalysisOrigin(
        chords=tuple(row["confidence"] for row in record["chords"]),
        key=record["key_confidence"],
        tempo=record["bpm_confidence"],
        meter=record["time_signature_confidence"],
        file=source.get("file"),
        duration_s=source.get("duration_s"),
    )


def label_files(result: AnalysisResult) -> dict[str, str]:
    """MIREX label files by name, see `musetune.formats.labels.lab_files`; to the end of the sound."""
    record = result.to_json()
    key = None if record["key"] is None else Key.parse(record["key"])
    return lab_files(result.lead_sheet, (record.get("source") or {}).get("duration_s"), key)


def _texts(result: AnalysisResult, kind: str) -> Iterator[tuple[str, str]]:
    if kind == "json":
        yield ".json", result.dumps() + "\n"
    elif kind == "csv":
        yield ".csv", chords_csv(result)
        yield ".beats.csv", beats_csv(result)
    elif kind == "labels":
        yield from ((f".{name}.txt", text) for name, text in label_tracks(result).items())
    elif kind == "lab":
        yield from ((f".{name}.lab", text) for name, text in label_files(result).items())
    else:
        raise ValueError(f"kind={kind!r} is not one of {', '.join(KINDS)}")


def _section_at(sheet: LeadSheet, beat: Fraction) -> str | None:
    return next((part.label for part in sheet.sections if part.start <= beat < part.start + part.beats), None)


def _table(columns: tuple[str, ...], rows: list[JsonObject]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
