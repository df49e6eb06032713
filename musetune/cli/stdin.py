"""Standard input in the place of a file, written `-`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DASH = Path("-")
MOST_BYTES = 2**31  # more than any song: twelve hours of MP3 are a quarter of it
# what a file begins with → its suffix; the decoder of other audio looks for itself
MARKS = (
    (b"MThd", ".mid"),
    (b"PK\x03\x04", ".mxl"),
    (b"<", ".musicxml"),
    (b"\xef\xbb\xbf<", ".musicxml"),
    (b"RIFF", ".wav"),
    (b"ID3", ".mp3"),
    (b"\xff\xfb", ".mp3"),
    (b"\xff\xf3", ".mp3"),
    (b"fLaC", ".flac"),
    (b"OggS", ".ogg"),
)


@contextmanager
def stdin_file() -> Iterator[Path]:
    """A file with all that standard input holds, for as long as the context lasts: `stdin` with the fitting suffix.

    Raises:
        ValueError: Standard input is a terminal, empty, or larger than MOST_BYTES.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise ValueError("- reads standard input, which is the keyboard here: pipe a file in, as in `cat song.mp3 |`")
    with tempfile.TemporaryDirectory(prefix="musetune-stdin-") as folder:
        path = Path(folder) / "stdin"
        size = 0
        with path.open("wb") as file:
            while block := sys.stdin.buffer.read(2**20):
                if (size := size + len(block)) > MOST_BYTES:
                    raise ValueError(f"standard input holds more than {MOST_BYTES // 2**30} GiB: give a file")
                file.write(block)
        if not size:
            raise ValueError("standard input is empty: pipe a file in, as in `cat song.mp3 |`")
        yield path.rename(path.with_suffix(_suffix(path)))


def stdin_text() -> str:
    """All of standard input as text. Raises ValueError as `stdin_file` does, and for what is not UTF-8."""
    with stdin_file() as path:
        try:
            return path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise ValueError(f"standard input is no text at byte {error.start}: write it in UTF-8") from None


def _suffix(path: Path) -> str:
    """The suffix by which the file's kind is known elsewhere: `.audio` where it is not known."""
    with path.open("rb") as file:
        head = file.read(4096).lstrip()
    if head.startswith(b"{"):  # a JAMS file has annotations; a lead sheet has none
        return ".jams" if b'"annotations"' in path.read_bytes() else ".json"
    return next((suffix for mark, suffix in MARKS if head.startswith(mark)), ".audio")
