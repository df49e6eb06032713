"""Pairs, and verdicts on them, from elsewhere: a folder of sounds with a table, CSV or JSON lines.

`docs/reference/preferences.md` describes the columns.
"""

from __future__ import annotations

import csv
import difflib
import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from musetune.evaluation.preferences.batch import Pair, PairBatch, Side, check_side, file_hash
from musetune.evaluation.preferences.verdicts import REASONS, VERDICTS, Judge, Verdict, read_verdicts
from musetune.symbols.json_values import JsonObject

NEEDED = ("audio_a", "audio_b", "origin_a", "origin_b")
OF_SIDES = tuple(f"{name}_{side}" for name in ("audio", "origin", "chart", "midi", "seed", "adapter") for side in "ab")
OF_VERDICT = ("verdict", "judge", "reasons", "time")
COLUMNS = (*OF_SIDES, "pair", "prompt", "question", *OF_VERDICT)
SEVERAL = 5  # problems that a message names


class ImportCounts(NamedTuple):
    """What an import brought: new pairs, new verdicts, and how many pairs were there already."""

    pairs: int
    verdicts: int
    present: int


class _Row(NamedTuple):
    number: int
    cells: dict[str, str]

    @property
    def about_pair(self) -> list[tuple[str, str]]:
        """What the row says of the pair, not of the verdict."""
        return sorted((name, value) for name, value in self.cells.items() if name not in OF_VERDICT)


def import_pairs(table: str | Path, folder: str | Path) -> ImportCounts:
    """Take pairs, and verdicts where the table has some, into a batch.

    Nothing is taken before all rows are right. Rows that were imported before are passed over.

    Args:
        table: A .csv or .jsonl file, or a folder that holds one; paths in it are relative to where it lies.
        folder: The batch.

    Returns:
        How many pairs and verdicts are new, and how many pairs were there already.

    Raises:
        ValueError: A row is wrong; the message names row, column, value and how to mend it.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("pairs.csv").write_text("audio_a,audio_b,origin_a\\nx.wav,y.wav,old\\n")
        >>> import_pairs("pairs.csv", "batch")
        Traceback (most recent call last):
        ValueError: pairs.csv: column origin_b is missing; audio_a, audio_b, origin_a, origin_b are needed
    """
    path = _table_of(Path(table))
    rows = list(_rows(path))
    batch = PairBatch(folder)
    present = batch.pairs()
    problems: list[str] = []
    fresh: list[tuple[str, Side, Side, JsonObject, str]] = []
    verdicts: list[tuple[str, _Row]] = []
    ids: dict[str, _Row] = {}
    for row in rows:
        found = list(_problems(path, row))
        if found:
            problems += found
            continue
        first, second = (_side(path, row, side) for side in "ab")
        id = row.cells.get("pair") or hashlib.sha256(repr(row.about_pair).encode()).hexdigest()[:12]
        if id in ids and row.about_pair != ids[id].about_pair:
            problems.append(f"{_at(path, row, 'pair')}: {id!r} is another pair in row {ids[id].number}; rename one")
            continue
        if id in present and [s.sha256 for s in present[id].sides] != [file_hash(s.audio) for s in (first, second)]:
            problems.append(f"{_at(path, row, 'pair')}: {id!r} is another pair in {batch.folder}; give another name")
            continue
        if id not in present and id not in ids:
            fresh.append((id, first, second, {"prompt": row.cells.get("prompt", "")}, row.cells.get("question", "")))
        ids.setdefault(id, row)
        if row.cells.get("verdict"):
            verdicts.append((id, row))
    if problems:
        more = f" (and {len(problems) - SEVERAL} more problems)" if len(problems) > SEVERAL else ""
        raise ValueError(";\n".join(problems[:SEVERAL]) + more)
    for one in fresh:
        batch.add(*one)
    pairs = batch.pairs()
    known = {verdict.id for verdict in read_verdicts(batch.preferences)}
    said = [_verdict(pairs[id], row, batch.folder) for id, row in verdicts]
    new = [verdict for verdict in said if verdict.id not in known]
    for verdict in new:
        verdict.append(batch.preferences)
    return ImportCounts(len(fresh), len(new), len(ids) - len(fresh))


def _table_of(path: Path) -> Path:
    """The table itself; of a folder the one that it holds."""
    if not path.is_dir():
        return path
    found = sorted(one for one in path.iterdir() if one.suffix.lower() in (".csv", ".jsonl"))
    if len(found) != 1:
        names = ", ".join(one.name for one in found) or "none"
        raise ValueError(f"{path} holds {names} of the tables (.csv, .jsonl) to import: name the table itself")
    return found[0]


def _rows(path: Path) -> Iterator[_Row]:
    """The rows of a table, with the number of the line where each ends, and no empty cells."""
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; give a table, .csv or .jsonl")
    if path.suffix.lower() not in (".csv", ".jsonl"):
        raise ValueError(f"{path} has suffix {path.suffix!r}; give a table, .csv or .jsonl")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 at byte {error.start}; save it as UTF-8") from None
    rows = list(_csv_rows(path, text) if path.suffix.lower() == ".csv" else _json_rows(path, text))
    if not rows:
        raise ValueError(f"{path} holds no rows; it needs the columns {', '.join(NEEDED)}")
    for number, cells in rows:
        yield _Row(number, {name: value.strip() for name, value in cells.items() if value.strip()})


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        _check_columns(str(path), reader.fieldnames or ())
        for cells in reader:
            if None in cells or None in cells.values():
                raise ValueError(
                    f"{path} row {reader.line_num}: it has another number of cells than the first row, which names "
                    f"{len(reader.fieldnames or ())} columns; put a cell that holds a comma into quotes"
                )
            yield reader.line_num, cells
    except csv.Error as error:
        raise ValueError(f"{path} row {reader.line_num} is no CSV: {error}") from None


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path} row {number} is no JSON: {error}") from None
        if not isinstance(record, dict):
            raise ValueError(f"{path} row {number} is no object of JSON: {line[:40]}")
        _check_columns(f"{path} row {number}", record)
        words = {name: " ".join(value) if isinstance(value, list) else value for name, value in record.items()}
        yield number, {name: "" if value is None else str(value) for name, value in words.items()}


def _check_columns(location: str, names: Iterable[str]) -> None:
    names = list(names)
    for name in names:
        if name not in COLUMNS:
            close = difflib.get_close_matches(str(name), COLUMNS, 1)
            hint = f"; is it {close[0]}?" if close else f"; there are {', '.join(COLUMNS)}"
            raise ValueError(f"{location}: column {name!r} is unknown{hint}")
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise ValueError(f"{location}: column {missing[0]} is missing; {', '.join(NEEDED)} are needed")


def _problems(path: Path, row: _Row) -> Iterator[str]:
    """What is wrong with a row."""
    cells = row.cells
    for name in NEEDED:
        if name not in cells:
            yield f"{_at(path, row, name)} is empty; {', '.join(NEEDED)} are needed"
    for name in ("audio_a", "audio_b", "chart_a", "chart_b", "midi_a", "midi_b"):
        if name in cells:
            yield from _file_problems(path, row, name)
    for name in ("seed_a", "seed_b"):
        if name in cells and not cells[name].removeprefix("-").isdecimal():
            yield f"{_at(path, row, name)}: {cells[name]!r} is no whole number"
    if "verdict" in cells and cells["verdict"] not in VERDICTS:
        yield f"{_at(path, row, 'verdict')}: {cells['verdict']!r} is none of {', '.join(VERDICTS)}"
    if "verdict" in cells and "judge" not in cells:
        yield f"{_at(path, row, 'judge')} is empty; say whose verdict it is"
    for reason in cells.get("reasons", "").replace(",", " ").split():
        if reason not in REASONS:
            yield f"{_at(path, row, 'reasons')}: {reason!r} is none of {', '.join(REASONS)}"
    try:
        datetime.fromisoformat(cells.get("time", "2000-01-01"))
    except ValueError:
        yield f"{_at(path, row, 'time')}: {cells['time']!r} is no time; write 2026-01-31T12:00:00+00:00"


def _file_problems(path: Path, row: _Row, name: str) -> Iterator[str]:
    import soundfile

    file = path.parent / row.cells[name]
    location = _at(path, row, name)
    if not file.is_file():
        yield f"{location}: {row.cells[name]} is not there; give a path relative to the table's folder"
        return
    kind, _, _ = name.partition("_")
    try:
        if kind == "audio":
            check_side(Side(file, {"name": "x"}), location)
            soundfile.info(file)
            other = path.parent / row.cells.get("audio_a", "")
            if name == "audio_b" and other.is_file() and file_hash(other) == file_hash(file):
                yield f"{location}: {row.cells[name]} is the same sound as audio_a; give two takes"
        elif kind == "chart":
            from musetune.symbols import LeadSheet

            LeadSheet.load(file)
    except (ValueError, OSError, soundfile.LibsndfileError) as error:
        yield f"{location}: {row.cells[name]} cannot be read ({error})"


def _side(path: Path, row: _Row, letter: str) -> Side:
    cell = lambda name: row.cells.get(f"{name}_{letter}")  # noqa: E731
    origin: JsonObject = {"name": cell("origin")}
    if (seed := cell("seed")) is not None:
        origin["seed"] = int(seed)
    if (adapter := cell("adapter")) is not None:
        origin["adapters"] = {adapter: 1.0}
    chart, midi = cell("chart"), cell("midi")
    return Side(
        path.parent / str(cell("audio")),
        origin,
        None if chart is None else path.parent / chart,
        None if midi is None else path.parent / midi,
    )


def _verdict(pair: Pair, row: _Row, folder: Path) -> Verdict:
    """The verdict of a row; its id follows from what it says, so that it is imported once."""
    cells = row.cells
    said = [pair.id, *(cells.get(name, "") for name in ("judge", "verdict", "reasons", "time"))]
    return Verdict(
        pair.id,
        Judge("person", cells["judge"]),
        cells["verdict"],
        pair.sides[0].to_json(folder),
        pair.sides[1].to_json(folder),
        tuple(dict.fromkeys(cells.get("reasons", "").replace(",", " ").split())),
        pair.request,
        id=hashlib.sha256("\0".join(said).encode()).hexdigest()[:32],
        time=cells.get("time", ""),
    )


def _at(path: Path, row: _Row, column: str) -> str:
    return f"{path} row {row.number}, column {column}"
