"""The music files in a folder, by names that any text file can hold."""

from __future__ import annotations

import os
import stat
from pathlib import Path

AUDIO = {".mp3", ".wav", ".flac", ".ogg"}
MIDI = {".mid", ".midi"}


def find_music(source: Path) -> tuple[dict[str, Path], list[str]]:
    """The music in a folder, by readable path relative to it, in order; and remarks on what was left out.

    A name that is not UTF-8 is written with escapes, as `caf\\xe9.wav`.
    """
    files: dict[str, Path] = {}
    remarks: list[str] = []
    apple: list[str] = []

    def unreadable(error: OSError) -> None:
        remarks.append(f"left out the folder {readable(Path(error.filename))}: {error.strerror}")

    for folder, folders, names in os.walk(source, onerror=unreadable):
        folders.sort()
        for path in (Path(folder, name) for name in names):
            name = readable(path.relative_to(source))
            if path.suffix.lower() not in AUDIO | MIDI:
                continue
            if path.name.startswith("._"):
                apple.append(name)
            elif not path.is_file():
                remarks.append(f"left out {name}: {_kind(path)}, not a file")
            else:
                files[name] = path
    if apple:
        remarks.append(f"left out {len(apple)} files that macOS writes beside the real ones, such as {min(apple)}")
    return {name: files[name] for name in sorted(files)}, sorted(remarks)


def readable(path: Path) -> str:
    """The path with forward slashes, in characters that UTF-8 has."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _kind(path: Path) -> str:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return f"a link to nothing ({error.strerror})" if path.is_symlink() else str(error.strerror)
    kinds = {stat.S_ISFIFO: "a FIFO", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}
    return next((kind for test, kind in kinds.items() if test(mode)), "something else")
