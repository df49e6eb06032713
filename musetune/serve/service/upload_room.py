"""How much disk and memory all that clients send may take together: bodies under way, and files that jobs wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MEGABYTE = 2**20
SMALL = 2**16  # bytes of a body that are let in always: a room full of songs must not stop all else


class UploadsFullError(Exception):
    """What clients sent fills all the room there is for it."""


class UploadRoom:
    """Counts what clients send.

    Args:
        folder: Where files lie that came with jobs, a folder a job.
        limit: Bytes of bodies under way and of these files together.

    Example:
        >>> room = UploadRoom(Path("uploads"), limit=MEGABYTE)
        >>> with room.body() as count:
        ...     count(1000)
        ...     room.used
        1000
        >>> room.used
        0
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self._under_way = 0
        self._lock = threading.Lock()
        self._kept = 0
        self.measure()

    @property
    def used(self) -> int:
        """Bytes."""
        return self._under_way + self._kept

    def measure(self) -> None:
        """Count the files anew."""
        kept = sum(_size(file) for file in self.folder.rglob("*")) if self.folder.is_dir() else 0
        with self._lock:
            self._kept = kept

    def keep(self, size: int) -> None:
        """Count a file that was written, until `measure` finds it gone."""
        with self._lock:
            self._kept += size

    @contextmanager
    def body(self) -> Iterator[Callable[[int], None]]:
        """A context of one request: what it gives counts bytes of the body that have come.

        What it gives raises UploadsFullError where there is no room for them.
        """
        own = 0

        def count(size: int) -> None:
            nonlocal own
            if own + size > SMALL:
                with self._lock:
                    if self._under_way + self._kept + size > self.limit:
                        raise UploadsFullError(
                            f"uploads fill the {self.limit / MEGABYTE:g} MB that there are for them: ask again when "
                            "some jobs have ended"
                        )
            with self._lock:
                own += size
                self._under_way += size

        try:
            yield count
        finally:
            with self._lock:
                self._under_way -= own


def _size(file: Path) -> int:
    try:
        return file.stat().st_size if file.is_file() else 0
    except FileNotFoundError:  # its job ended a moment ago
        return 0
