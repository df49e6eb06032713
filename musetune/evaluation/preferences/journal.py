"""Files of JSON lines that only grow: a line that was written is there after a kill, and no line is ever half there."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from musetune.symbols.json_values import JsonObject

try:
    import fcntl
except ImportError:  # not on Windows, where one process at a time has to write
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)
_TAIL = 2**20  # bytes at the end of a file that are searched for its last line


def append_line(path: Path, record: JsonObject) -> None:
    """Append a record as one line, and return when it is on the disk.

    Several processes may append to one file. What a killed process has left of a line is removed first.

    Args:
        path: The file; made, with its folder, where it is not there.
        record: What the line holds.

    Raises:
        ValueError: The record holds what JSON has not.

    Example:
        >>> from pathlib import Path
        >>> append_line(Path("log.jsonl"), {"n": 1})
        >>> [record for _, record in read_lines(Path("log.jsonl"))]
        [{'n': 1}]
    """
    line = json.dumps(record, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # the system gives it free when the file is closed
        _mend_end(descriptor, path)
        while line:
            line = line[os.write(descriptor, line) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if new:
        sync(path.parent)


def read_lines(path: Path) -> Iterator[tuple[int, JsonObject]]:
    """Read the records of a file and their line numbers, from 1 on; nothing where there is no file.

    The last line does not count until it is whole.

    Raises:
        ValueError: A line is no object of JSON; the message names file and line.
    """
    if not path.exists():
        return
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as error:
            if number == len(lines):  # half a line, which another process is writing or a kill has left
                return
            raise ValueError(f"{path} line {number} is no JSON ({error}): mend the line or take it out") from None
        if not isinstance(record, dict):
            raise ValueError(f"{path} line {number} is no object of JSON, but {str(record)[:40]!r}")
        yield number, record


def sync(path: Path) -> None:
    """Return when a file, or a folder's list of names, is on the disk."""
    if path.is_dir() and os.name != "posix":
        return  # a folder cannot be opened there
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _mend_end(descriptor: int, path: Path) -> None:
    """End the last line; remove it where it is half a line."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - _TAIL)
    os.lseek(descriptor, start, os.SEEK_SET)
    tail = os.read(descriptor, size - start)
    if not tail or tail.endswith(b"\n"):
        return
    rest = tail[tail.rfind(b"\n") + 1 :]
    try:
        json.loads(rest)
    except ValueError:
        log.warning("%s ended in half a line, which is removed: %s", path, rest[:80])
        os.ftruncate(descriptor, size - len(rest))
    else:
        os.write(descriptor, b"\n")
