"""How much disk and memory all that clients send may take together: bodies under way, and files that jobs wait for."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
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

    def remove(self, job_id: str) -> None:
        """Remove the files of a job that there is not going to be; the room is free at once."""
        place = self.folder / job_id
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
            self.measure()

    @contextmanager
    def body(self) -> Iterator[BodyCount]:
        """A context of one request, whose body counts until the context or the count ends."""
        count = BodyCount(self)
        try:
            yield count
        finally:
            count.end()


class BodyCount:
    """Counts the bytes of one body as they come.

    Args:
        room: Where they count.
    """

    def __init__(self, room: UploadRoom) -> None:
        self.room, self._own = room, 0

    def __call__(self, size: int) -> None:
        """Count bytes that have come. Raises UploadsFullError where there is no room for them."""
        room = self.room
        with room._lock:
            if self._own + size > SMALL and room.used + size > room.limit:
                raise UploadsFullError(
                    f"uploads fill the {room.limit / MEGABYTE:g} MB that there are for them: ask again when some jobs "
                    "have ended"
                )
            self._own += size
            room._under_way += size

    def end(self) -> None:
        """Count them no more: the body is read and let go."""
        with self.room._lock:
            self.room._under_way -= self._own
            self._own = 0


def _size(file: Path) -> int:
    try:
        return file.stat().st_size if file.is_file() else 0
    except FileNotFoundError:  # its job ended a moment ago
        return 0
