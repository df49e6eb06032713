"""What is played in a recording: from metadata.jsonl where it says so, from analysis otherwise. Used by prepare.py.

A line of metadata.jsonl (AudioFolder convention) is an object with `file_name`, relative to where the metadata.jsonl
lies, and any of

    text, genre, licence   taken as they are
    bpm                    the tempo; beats are heard near it, and laid at it where they are heard otherwise
    time_signature         such as "3/4"; its bar lines fall on the heard beats
    key                    such as "A minor"
    chords                 a progression, one chord a bar, or with bars as `| C | G/B . Am . |`: repeated from the first
                           heard bar line to the end. With key and bpm nothing is analysed: the first bar then starts
                           with the file
    lead_sheet             all of it, in LeadSheet's JSON
    arrangement            what the players do, in Arrangement's JSON, on the beats of `lead_sheet`, which it needs
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from musetune.symbols import Key, KeySpan, LeadSheet, Meter, MeterSpan
from musetune.symbols.arrangement import Arrangement


def read_metadata(source: Path) -> dict[str, dict[str, Any]]:
    """`metadata.jsonl` of SRC and its folders, by path relative to SRC. Raises ValueError for a line that is no record."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(source.rglob("metadata.jsonl")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, line {number} is no JSON: {error}") from None
            if not isinstance(record, dict) or "file_name" not in record:
                raise ValueError(f'{path}, line {number} has no file_name: write {{"file_name": "song.mp3", …}}')
            found[(path.parent / record["file_name"]).relative_to(source).as_posix()] = record
    return found


def lead_sheet(meta: dict[str, Any], wave: np.ndarray, rate: int) -> LeadSheet:
    """The lead sheet of `wave` (samples,) at `rate` Hz, of which `meta` says some or all."""
    if "lead_sheet" in meta:
        sheet = LeadSheet.from_json(meta["lead_sheet"])
    elif "chords" in meta and "bpm" in meta and "key" in meta:
        meter = meta.get("time_signature", "4/4")
        told = {"key": meta["key"], "bpm": meta["bpm"], "time_signature": meter}
        sheet = LeadSheet.parse(meta["chords"], **told, duration_seconds=len(wave) / rate)
    else:
        sheet = analysed(meta, wave, rate)
        if "time_signature" in meta:
            sheet = barred(sheet, Meter.parse(meta["time_signature"]))
        if "key" in meta:
            sheet = replace(sheet, keys=(KeySpan(Fraction(0), Key.parse(meta["key"])),))
        if "chords" in meta:
            sheet = laid(sheet, meta["chords"])
    return replace(sheet, genre=meta["genre"]) if "genre" in meta else sheet


def arrangement(meta: dict[str, Any], sheet: LeadSheet) -> Arrangement | None:
    """The notes that `meta` gives, if any, on the grid of the lead sheet that it gives."""
    if "arrangement" not in meta:
        return None
    if "lead_sheet" not in meta:
        raise ValueError("has an arrangement without the lead_sheet whose beats it counts: give both")
    return Arrangement.from_json(meta["arrangement"], sheet.grid)


def analysed(meta: dict[str, Any], wave: np.ndarray, rate: int) -> LeadSheet:
    """What analysis hears, at the tempo that metadata gives."""
    from musetune.analysis import analyze

    bpm = float(meta["bpm"]) if "bpm" in meta else None
    heard = analyze(wave, rate, tempo_hint=bpm)
    if bpm is not None and abs(heard.lead_sheet.bpm / bpm - 1) > 0.04:  # deaf to the hint: lay the beats
        first, seconds = heard.lead_sheet.grid.time_at(0), len(wave) / rate
        heard = analyze(wave, rate, beats=np.arange(first % (60 / bpm), seconds, 60 / bpm))
    sheet, genre = heard.lead_sheet, heard.genre_analysis
    sure = (genre.get("confidence") or 0) >= 0.5
    return replace(sheet, genre=genre["primary_genre"]) if sure else sheet


def barred(sheet: LeadSheet, meter: Meter) -> LeadSheet:
    """The sheet in another metre; where bars get another length, they start where most chords do."""
    bar, first = meter.beats_per_bar, sheet.first_downbeat
    if bar != sheet.meter.beats_per_bar and sheet.chords:
        first = Counter(span.start % bar for span in sheet.chords).most_common(1)[0][0]
    return replace(sheet, meters=(MeterSpan(first, meter),), first_downbeat=first)


def laid(sheet: LeadSheet, chords: str) -> LeadSheet:
    """Other chords on the sheet's beats, from its first bar line to its end."""
    first = sheet.first_downbeat
    beats = math.ceil(sheet.length - first)  # at 60 bpm as many seconds
    chart = LeadSheet.parse(chords, key=sheet.key, bpm=60, time_signature=sheet.meter, duration_seconds=beats)
    spans = [replace(span, start=first + span.start) for span in chart.chords if first + span.start < sheet.length]
    return replace(sheet, chords=tuple(replace(s, beats=min(s.beats, sheet.length - s.start)) for s in spans))


def describe(sheet: LeadSheet) -> str:
    """A prompt for music that came without one."""
    pace = "slow" if sheet.bpm < 85 else "fast" if sheet.bpm > 135 else "medium tempo"
    return f"{pace} {sheet.genre} music" if sheet.genre else f"{pace} music"
