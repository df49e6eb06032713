"""What is played in a recording: from metadata.jsonl or metadata.csv where they say so, from analysis otherwise. Used
by `prepare`.

A line of metadata.jsonl, a row of metadata.csv (AudioFolder's convention) has a `file_name`, relative to where the
metadata lies, and any of

    text                   the prompt
    genre                  one of musetune's genres; or any other word, which stands in the prompt and names the clips,
                           but is no condition of the model, which knows those genres alone
    licence                of the music; `license` means the same
    bpm                    the tempo; beats are heard near it, and laid at it where they are heard otherwise
    time_signature         such as "3/4"; its bar lines fall on the heard beats
    key                    such as "A minor"
    chords                 a progression, one chord a bar, or with bars as `| C | G/B . Am . |`: repeated from the first
                           heard bar line to the end. With key and bpm nothing is analysed: the first bar then starts
                           with the file
    lead_sheet             all of it, in LeadSheet's JSON
    arrangement            what the players do, in Arrangement's JSON, on the beats of `lead_sheet`, which it needs

A field that is null, or an empty cell, is not given. Other fields are left alone.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import json
import math
import os
import posixpath
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from musetune.analysis.bar_confidence import BarConfidence, bar_confidence
from musetune.symbols import GENRES, Key, KeySpan, LeadSheet, Meter, MeterSpan
from musetune.symbols.arrangement import Arrangement
from musetune.symbols.json_values import JsonObject

if TYPE_CHECKING:
    from musetune.analysis.record import Analysis

TEXTS = ("text", "genre", "licence", "time_signature", "key", "chords")
OBJECTS = ("lead_sheet", "arrangement")
MISSPELT = 0.75  # a genre so like one of ours (difflib's ratio) is held for that one, misspelt
SURE = 0.5  # confidence from which on the genre that analysis hears counts
_FILE_NAME = re.compile(r'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")')


@dataclass(frozen=True)
class MetadataRow:
    """What one row of metadata says of one file.

    Attributes:
        fields: By name, as the module's docstring lists them.
        location: Path and line of the row, for messages.
        fault: Why the row cannot be used; None where it can.
    """

    fields: JsonObject
    location: str
    fault: str | None = None

    @property
    def digest(self) -> str:
        """A hash of what the row says, 16 hex digits."""
        content = json.dumps([self.fields, self.fault], sort_keys=True)
        return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class MusicFindings:
    """What metadata and analysis say of one recording.

    Attributes:
        sheet: Chords, beats, key, and the genre where it is one of GENRES.
        genre: A word for the genre, of metadata or, where it is sure, of analysis; None where it is unknown.
        guess: The genre that analysis heard; None where it was not asked or cannot say.
        confidence: Of the guess, 0…1; None where there is none.
        bars: How surely each bar of the sheet is right; 1 where metadata says what is played.
    """

    sheet: LeadSheet
    genre: str | None
    guess: str | None = None
    confidence: float | None = None
    bars: tuple[BarConfidence, ...] = ()


def read_metadata(source: Path) -> dict[str, JsonObject]:
    """Read the metadata of a folder and its subfolders, all of which must be right.

    Args:
        source: Holds audio and, in any depth, metadata.jsonl or metadata.csv.

    Returns:
        Fields of each file, by its path relative to `source`.

    Raises:
        ValueError: A row is wrong; the message names file and line.
    """
    rows, faults = scan_metadata(source)
    faults += [f"{row.location}: {row.fault}" for row in rows.values() if row.fault]
    if faults:
        raise ValueError(faults[0])
    return {name: row.fields for name, row in rows.items()}


def scan_metadata(source: Path) -> tuple[dict[str, MetadataRow], list[str]]:
    """Read the metadata of a folder and its subfolders, with what is wrong in it.

    Args:
        source: Holds audio and, in any depth, metadata.jsonl or metadata.csv.

    Returns:
        The row of each file, by its path relative to `source`; and, for rows of which one cannot say which file they
        mean, what
        is wrong with them, with file and line.
    """
    rows: dict[str, MetadataRow] = {}
    faults: list[str] = []
    for folder, folders, files in os.walk(source):
        folders.sort()
        for kind, read in (("metadata.jsonl", _json_rows), ("metadata.csv", _csv_rows)):
            path = Path(folder, kind)
            if kind not in files:
                continue
            if not path.is_file():  # a FIFO would be waited for
                faults.append(f"{path} is not a file: it is left out")
                continue
            try:
                for number, fields, fault in read(path.read_bytes()):
                    if "license" in fields:
                        fields.setdefault("licence", fields.pop("license"))
                    row = MetadataRow(fields, f"{path}, line {number}", fault or _fault(fields))
                    name = _name_of(row, path.parent.relative_to(source))
                    if name is None:
                        faults.append(f"{row.location}: {row.fault or _no_file(fields)}")
                    elif name in rows and rows[name].fields != row.fields:
                        both = f"{rows[name].location} says something else of the same file: keep one of them"
                        rows[name] = replace(row, fault=row.fault or both)
                    else:
                        rows[name] = row
            except OSError as error:
                faults.append(f"{path} cannot be read: {error.strerror}")
    return rows, faults


def _json_rows(content: bytes) -> Iterator[tuple[int, JsonObject, str | None]]:
    """(line, fields, fault) of JSON lines, which end at "\\n" alone: U+2028 and the like may stand in a string."""
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        text = line.decode("utf-8", "surrogateescape")
        try:
            line.decode("utf-8")
            record = json.loads(text)
        except UnicodeDecodeError as error:
            yield number, _guess(text), f"is not UTF-8: {error.reason} at byte {error.start}"
        except RecursionError:
            yield number, _guess(text), "is nested too deeply to be read"
        except ValueError as error:
            yield number, _guess(text), f"is no JSON: {error}"
        else:
            if isinstance(record, dict):
                yield number, {name: value for name, value in record.items() if value is not None}, None
            else:
                yield number, {}, 'is no object: write {"file_name": "song.mp3", …}'


def _guess(text: str) -> JsonObject:
    """The file that a broken line of JSON means, where that much of it can be read."""
    match = _FILE_NAME.search(text)
    try:
        return {"file_name": json.loads(match[1])} if match else {}
    except ValueError:
        return {}


def _csv_rows(content: bytes) -> Iterator[tuple[int, JsonObject, str | None]]:
    """(line, fields, fault) of a CSV file with a head."""
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    head: list[str] | None = None
    while True:
        number = lines.line_num + 1  # where the row begins
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, {}, f"is no CSV: {error}"
            continue
        if not any(cells):
            continue
        if head is None:
            head = [cell.strip() for cell in cells]
            if "file_name" not in head:
                yield (
                    lines.line_num,
                    {},
                    "has no column file_name: the first line names the columns, as file_name,text,genre",
                )
                return
            continue
        fields: JsonObject = {name: cell for name, cell in zip(head, cells) if cell.strip()}
        fault = None if len(cells) <= len(head) else f"has {len(cells)} cells, the head {len(head)}"
        try:
            if "bpm" in fields:
                fields["bpm"] = float(fields["bpm"])
            fields |= {name: json.loads(fields[name]) for name in OBJECTS if name in fields}
        except RecursionError:
            fault = "has a cell that is nested too deeply to be read"
        except ValueError as error:
            fault = f"has a cell that cannot be read: {error}"
        yield number, fields, fault


def _fault(fields: JsonObject) -> str | None:
    """What is wrong with a row's values; None for nothing."""
    for name in TEXTS:
        value = fields.get(name, "")
        if not isinstance(value, str):
            return f"{name} is {value!r:.60}: give a string"
        try:
            value.encode()
        except UnicodeEncodeError:
            return f"{name} has characters that are not UTF-8"
    if "genre" in fields and (fault := genre_fault(fields["genre"])):
        return fault
    for name in OBJECTS:
        if not isinstance(fields.get(name, {}), dict):
            return f"{name} is {fields[name]!r:.60}: give an object, as to_json() writes it"
    bpm = fields.get("bpm", 120)
    if isinstance(bpm, bool) or not isinstance(bpm, (int, float)) or not 0 < bpm < 10_000:
        return f"bpm is {bpm!r:.60}: give a number over 0"
    return None


def _name_of(row: MetadataRow, folder: Path) -> str | None:
    """Path relative to the source of the file that a row in `folder` means; None where it names none within."""
    name = row.fields.get("file_name")
    if not isinstance(name, str) or not name or name.startswith("/"):
        return None
    name = posixpath.normpath((folder / name).as_posix())
    return None if name.startswith("../") else name


def _no_file(fields: JsonObject) -> str:
    if "file_name" not in fields:
        return 'has no file_name: write {"file_name": "song.mp3", …}'
    return f"file_name is {fields['file_name']!r:.60}: give a path relative to the metadata's folder"


def genre_fault(genre: str) -> str | None:
    """What is wrong with a word for a genre; None for nothing. Other words than GENRES are right unless they are nearly
    one of those.
    """
    near = difflib.get_close_matches(genre, GENRES, n=1, cutoff=MISSPELT)
    if genre in GENRES or not near:
        return None
    return f"genre is {genre!r:.60}: write {near[0]!r}, if that is meant, or a word that is less like it"


def lead_sheet(meta: JsonObject, wave: np.ndarray, rate: int) -> LeadSheet:
    """The lead sheet of `wave` (samples,) at `rate` Hz, of which `meta` says some or all."""
    return findings(meta, wave, rate).sheet


def findings(meta: JsonObject, wave: np.ndarray, rate: int) -> MusicFindings:
    """What is played in a recording.

    Args:
        meta: What metadata says, by the names in the module's docstring.
        wave: Mono, (samples,).
        rate: Hertz.

    Returns:
        The lead sheet and the genre: as metadata says, else as analysis hears.

    Raises:
        ValueError: Metadata says what cannot be.
    """
    guess, confidence = None, None
    analysis: Analysis | None = None
    if "lead_sheet" in meta:
        sheet = LeadSheet.from_json(meta["lead_sheet"])
    elif "chords" in meta and "bpm" in meta and "key" in meta:
        meter = meta.get("time_signature", "4/4")
        sheet = LeadSheet.parse(
            meta["chords"],
            key=meta["key"],
            bpm=meta["bpm"],
            time_signature=meter,
            duration_seconds=len(wave) / rate,
        )
    else:
        analysis = analyse_wave(meta, wave, rate)
        sheet, guess = analysis.lead_sheet, analysis.genre
        confidence = None if guess is None else float(analysis.genre_analysis.get("confidence") or 0)
        if confidence is not None and confidence >= SURE:
            sheet = replace(sheet, genre=guess)
        if "time_signature" in meta:
            sheet = in_other_meter(sheet, Meter.parse(meta["time_signature"]))
        if "key" in meta:
            sheet = replace(sheet, keys=(KeySpan(Fraction(0), Key.parse(meta["key"])),))
        if "chords" in meta:
            sheet = with_chords(sheet, meta["chords"])
    if "genre" in meta:
        sheet = replace(sheet, genre=meta["genre"] if meta["genre"] in GENRES else None)
    bars = bar_confidence(
        sheet,
        None if analysis is None or "chords" in meta else analysis.chord_confidence,
        None if analysis is None else analysis.bpm_confidence,
    )
    return MusicFindings(sheet, meta.get("genre", sheet.genre), guess, confidence, bars)


def arrangement(meta: JsonObject, sheet: LeadSheet) -> Arrangement | None:
    """The notes that `meta` gives, if any, on the grid of the lead sheet that it gives."""
    if "arrangement" not in meta:
        return None
    if "lead_sheet" not in meta:
        raise ValueError("has an arrangement without the lead_sheet whose beats it counts: give both")
    return Arrangement.from_json(meta["arrangement"], sheet.grid)


def analyse_wave(meta: JsonObject, wave: np.ndarray, rate: int) -> Analysis:
    """What analysis hears, at the tempo that metadata gives."""
    from musetune.analysis import analyze

    bpm = float(meta["bpm"]) if "bpm" in meta else None
    analysis = analyze(wave, rate, tempo_hint=bpm)
    if bpm is not None and abs(analysis.lead_sheet.bpm / bpm - 1) > 0.04:  # deaf to the hint: lay the beats
        first, seconds = analysis.lead_sheet.grid.time_at(0), len(wave) / rate
        analysis = analyze(wave, rate, beats=np.arange(first % (60 / bpm), seconds, 60 / bpm))
    return analysis


def in_other_meter(sheet: LeadSheet, meter: Meter) -> LeadSheet:
    """The sheet in another meter; where bars get another length, they start where most chords do."""
    bar, first = meter.beats_per_bar, sheet.first_downbeat
    if bar != sheet.meter.beats_per_bar and sheet.chords:
        first = Counter(span.start % bar for span in sheet.chords).most_common(1)[0][0]
    return replace(sheet, meters=(MeterSpan(first, meter),), first_downbeat=first)


def with_chords(sheet: LeadSheet, chords: str) -> LeadSheet:
    """Other chords on the sheet's beats, from its first bar line to its end."""
    first = sheet.first_downbeat
    beats = math.ceil(sheet.length - first)  # at 60 bpm as many seconds
    chart = LeadSheet.parse(chords, key=sheet.key, bpm=60, time_signature=sheet.meter, duration_seconds=beats)
    spans = [replace(span, start=first + span.start) for span in chart.chords if first + span.start < sheet.length]
    return replace(sheet, chords=tuple(replace(s, beats=min(s.beats, sheet.length - s.start)) for s in spans))
