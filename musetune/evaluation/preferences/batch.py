"""A folder of pairs to be compared: two sounds each, perhaps with charts and MIDI, and where each comes from.

`docs/reference/preferences.md` describes the files. Names of files say nothing of where a sound comes from.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from musetune.evaluation.preferences.journal import append_line, read_lines, sync
from musetune.symbols.json_values import JsonObject

SCHEMA = 1
PAIRS, VERDICT_FILE = "pairs.jsonl", "preferences.jsonl"
SOUNDS = (".wav", ".flac", ".mp3", ".ogg")  # what browsers play
CHARTS = (".json", ".mid", ".midi", ".musicxml", ".xml", ".mxl", ".jams")
MIDI = (".mid", ".midi")
_FOLDERS = {"audio": ("sounds", SOUNDS), "chart": ("charts", CHARTS), "midi": ("midi", MIDI)}


@dataclass(frozen=True)
class Side:
    """One of the two takes of a pair.

    Attributes:
        audio: The sound, a file of one of SOUNDS.
        origin: Where it comes from, never shown before the verdict. `name` is what results are counted by; more is
            welcome, such as `seed`, `adapters`, `versions`.
        chart: Its lead sheet, a file that `LeadSheet.load` reads; None: the request's, where that has one.
        midi: Its notes; None: there are none.
        sha256: Hash of the sound's file, 64 hexadecimal digits; "" where it is not computed yet.

    Example:
        >>> from pathlib import Path
        >>> Side(Path("take.wav"), {"name": "theory", "seed": 3}).origin["name"]
        'theory'
    """

    audio: Path
    origin: JsonObject
    chart: Path | None = None
    midi: Path | None = None
    sha256: str = ""

    def to_json(self, folder: Path) -> JsonObject:
        """The record of a side, its files relative to `folder`."""
        files = {name: getattr(self, name) for name in _FOLDERS}
        paths = {name: os.path.relpath(path, folder) for name, path in files.items() if path is not None}
        return {name: Path(path).as_posix() for name, path in paths.items()} | {
            "sha256": self.sha256,
            "origin": self.origin,
        }


@dataclass(frozen=True)
class Pair:
    """Two takes of one request.

    Attributes:
        id: Its name in the batch.
        sides: The takes; which of them is shown as A is drawn when they are shown.
        request: What both answer: `prompt`, perhaps `sheet` (a lead sheet's JSON) and more.
        question: What the listener is asked; "": which is better.
    """

    id: str
    sides: tuple[Side, Side]
    request: JsonObject = field(default_factory=dict)
    question: str = ""


class PairBatch:
    """The pairs in a folder, and the file of verdicts beside them.

    Adding is safe while others read: a pair is in the list when all of its files are on the disk.

    Args:
        folder: Holds pairs.jsonl, the files that it names, and preferences.jsonl; made when the first pair is added.

    Example:
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from musetune.audio import save_audio
        >>> sounds = [save_audio(Path(f"{name}.wav"), np.sin(np.arange(8000) * x), 16000) for name, x in
        ...           (("low", 0.1), ("high", 0.3))]
        >>> batch = PairBatch("batch")
        >>> sides = [Side(path, {"name": path.stem}) for path in sounds]
        >>> pair = batch.add("1", sides[0], sides[1], {"prompt": "a sine"})
        >>> [side.origin["name"] for side in batch.pairs()["1"].sides]
        ['low', 'high']
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.preferences = self.folder / VERDICT_FILE

    def pairs(self) -> dict[str, Pair]:
        """Read all pairs, by id.

        Raises:
            ValueError: A line of pairs.jsonl is wrong; the message names it.
        """
        path = self.folder / PAIRS
        pairs: dict[str, Pair] = {}
        for number, record in read_lines(path):
            try:
                pair = self._read(record)
            except (KeyError, TypeError, ValueError) as error:
                reason = f"{error} is missing" if isinstance(error, KeyError) else error
                raise ValueError(f"{path} line {number}: {reason}") from None
            if pair.id in pairs and pair != pairs[pair.id]:
                raise ValueError(f"{path} line {number}: another pair is called {pair.id!r}; take one of them out")
            pairs[pair.id] = pair
        return pairs

    def add(
        self, id: str, first: Side, second: Side, request: Mapping[str, object] | None = None, question: str = ""
    ) -> Pair:
        """Copy the files of a pair into the folder, and put it into the list.

        Args:
            id: Its name, not taken yet.
            first: A take.
            second: Another take.
            request: What both answer: `prompt`, perhaps `sheet` (a lead sheet's JSON) and more.
            question: What the listener is asked; "": which is better.

        Returns:
            The pair, its files in the folder.

        Raises:
            ValueError: The id is taken, an origin has no name, a file is missing or of no kind that is taken, or both
                sounds are the same.
        """
        for name, side in (("first", first), ("second", second)):
            check_side(side, f"pair {id!r}, {name} side")
        if file_hash(first.audio) == file_hash(second.audio):
            names = " and ".join(f"{side.origin['name']} ({side.audio.name})" for side in (first, second))
            raise ValueError(f"pair {id!r}: {names} are the same sound, bit for bit; give two takes that differ")
        if not id or id in self.pairs():
            raise ValueError(f"pair id {id!r} is {'taken in ' + str(self.folder) if id else 'empty'}: give another")
        pair = Pair(id, (self._keep(first), self._keep(second)), dict(request or {}), question)
        sides = [side.to_json(self.folder) for side in pair.sides]
        append_line(
            self.folder / PAIRS,
            {"schema": SCHEMA, "pair": id, "question": question, "request": pair.request, "sides": sides},
        )
        return pair

    def _keep(self, side: Side) -> Side:
        audio = self._copy("audio", side.audio)
        chart, midi = (
            None if path is None else self._copy(kind, path)
            for kind, path in (("chart", side.chart), ("midi", side.midi))
        )
        return Side(audio, side.origin, chart, midi, file_hash(audio))

    def _copy(self, kind: str, source: Path) -> Path:
        """A file's copy in the folder, named by its content."""
        target = self.folder / _FOLDERS[kind][0] / f"{file_hash(source)[:20]}{source.suffix.lower()}"
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            scratch = target.with_name(f"{target.name}.{os.getpid()}.tmp")
            shutil.copyfile(source, scratch)
            sync(scratch)
            os.replace(scratch, target)
            sync(target.parent)
        return target

    def _read(self, record: JsonObject) -> Pair:
        if record.get("schema") != SCHEMA:
            raise ValueError(f"schema is {record.get('schema')!r}, this version reads {SCHEMA}")
        if not isinstance(record["pair"], str) or not record["pair"]:
            raise ValueError(f"pair is {record['pair']!r}, not a text")
        if not isinstance(record["sides"], list) or len(record["sides"]) != 2:
            raise ValueError(f"sides holds {str(record['sides'])[:40]!r}, not two takes")
        first, second = (self._read_side(side) for side in record["sides"])
        request, question = record.get("request") or {}, record.get("question") or ""
        return Pair(record["pair"], (first, second), dict(request), str(question))

    def _read_side(self, record: JsonObject) -> Side:
        paths = {name: self.folder / record[name] if record.get(name) else None for name in _FOLDERS}
        if paths["audio"] is None:
            raise KeyError("audio")
        for kind, path in paths.items():
            if path is not None and not path.resolve().is_relative_to(self.folder.resolve()):
                raise ValueError(
                    f"{kind} {record[kind]!r} is not in {self.folder}; `musetune compare --import` copies it"
                )
            if path is not None and path.suffix.lower() not in _FOLDERS[kind][1]:
                raise ValueError(f"{kind} {record[kind]!r} is none of {', '.join(_FOLDERS[kind][1])}")
        return Side(paths["audio"], dict(record["origin"]), paths["chart"], paths["midi"], record.get("sha256") or "")


def check_side(side: Side, name: str) -> None:
    """Raise ValueError, which begins with `name`, for a side that cannot be in a batch."""
    if not isinstance(side.origin.get("name"), str) or not side.origin["name"].strip():
        raise ValueError(f"{name}: origin {side.origin!r} has no name; results are counted by it")
    for kind, (_, suffixes) in _FOLDERS.items():
        path = getattr(side, kind)
        if path is None:
            continue
        if not path.is_file():
            raise ValueError(f"{name}: {kind} {path} is not there")
        if path.suffix.lower() not in suffixes:
            raise ValueError(f"{name}: {kind} {path.name} has suffix {path.suffix!r}; give {', '.join(suffixes)}")


def file_hash(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
