"""A folder whose lead sheets become audio beside them: a bridge to any program that saves and reloads files."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from musetune.audio.mixing import SUFFIX as MIX_SUFFIX
from musetune.symbols import LeadSheet

MARK = ".musetune."  # in the name of every file that is written here; such a file is never read
SUFFIXES = (".json", ".mid", ".midi", ".musicxml", ".xml", ".mxl", ".jams")
SETTLE_S = 0.3  # a file that did not change for so long is whole
LONGEST_WRITE_S = 60.0
ROUND_MS = 500  # the watch looks up so often, changed or not


class Renderer(Protocol):
    """Makes files of a lead sheet."""

    def __call__(self, sheet: LeadSheet, folder: Path, name: str) -> list[Path]:
        """Write files whose names begin with ``name`` into ``folder``, and return them."""


class FolderWatch:
    """Renders each lead sheet of a folder that appears or changes.

    What is written has ``.musetune.`` in its name and replaces what was there at once, when it is whole. An error is
    written as text beside the file, and the watch goes on; the text goes when the file is right.

    Args:
        folder: watched without its subfolders.
        render: makes the files.
        say: told of each file.
        settle_s: seconds for which a file must not change before it is read.

    Raises:
        ValueError: where there is no such folder.
    """

    def __init__(
        self,
        folder: str | Path,
        render: Renderer,
        say: Callable[[str], None] = lambda text: None,
        settle_s: float = SETTLE_S,
    ) -> None:
        self.folder = Path(folder).resolve()  # watchfiles names files by their whole paths
        if not self.folder.is_dir():
            raise ValueError(f"{folder} is no folder: make it first, then put lead sheets into it")
        self._render, self._say, self._settle_s = render, say, settle_s
        self._seen: dict[Path, str] = {}  # what each file held when it was rendered

    def run(self, stop: threading.Event) -> None:
        """Render what waits, then what appears or changes, until ``stop`` is set."""
        from watchfiles import watch

        def wanted(change: object, path: str) -> bool:
            return is_source(Path(path))

        first = True  # watching begins with the first round, so that nothing is missed while the folder is read
        for batch in watch(
            self.folder,
            watch_filter=wanted,
            stop_event=stop,
            recursive=False,
            raise_interrupt=False,
            yield_on_timeout=True,
            rust_timeout=ROUND_MS,
        ):
            changed = {Path(path) for _, path in batch}
            self.update(sorted(changed | set(self.waiting()) if first else changed))
            first = False
            if stop.is_set():
                break

    def waiting(self) -> list[Path]:
        """Return the lead sheets that were not rendered since they were saved."""
        sources = sorted(path for path in self.folder.iterdir() if is_source(path))
        return [path for path in sources if not _is_rendered(path)]

    def update(self, paths: Iterable[Path]) -> None:
        """Render files that were not rendered as they are now."""
        for path in paths:
            if not self._is_whole(path):
                continue
            try:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                if self._seen.get(path) == digest:
                    continue
                self._seen[path] = digest
                names = self._write(path)
            except FileNotFoundError:
                if path.exists():
                    raise
                continue  # it was taken away
            except Exception as error:
                self._seen.pop(path, None)  # saved again it is tried again, also where it holds the same as before
                self._complain(path, error)
            else:
                output(path, "error.txt").unlink(missing_ok=True)
                self._say(f"{path.name}: {', '.join(names)}")

    def _write(self, path: Path) -> list[str]:
        """Render a file in a folder apart, and put all of it in its place."""
        others = [other for other in self.folder.glob("*") if is_source(other) and other.stem == path.stem]
        if (first := min(others, default=path)) != path:
            raise ValueError(f"{first.name} has the same name and would be written over: rename one of them")
        sheet = LeadSheet.load(path)
        if not any(span.chord.root for span in sheet.chords):
            raise ValueError(f"{path.name} has no chords: a MIDI file needs them as markers, such as Am7")
        with tempfile.TemporaryDirectory(prefix=".musetune-", dir=self.folder) as apart:
            files = self._render(sheet, Path(apart), f"{path.stem}{MARK[:-1]}")
            names = {file.name for file in files}
            for file in sorted(files, key=lambda file: file.suffix == ".wav"):  # the sound last: it says all is there
                os.replace(file, self.folder / file.name)
        for old in self.folder.glob("*"):
            if old.name.startswith(path.stem + MARK) and old.name not in names and old.suffix in (".wav", ".mid"):
                old.unlink(missing_ok=True)  # of a player who is no longer there
        return sorted(names)

    def _complain(self, path: Path, error: Exception) -> None:
        """Write an error beside its file."""
        text = " ".join(str(error).split()) or type(error).__name__
        self._say(f"{path.name}: {text}")
        target = output(path, "error.txt")
        part = target.with_name(f".{target.name}.part")
        part.write_text(text + "\n", encoding="utf-8")
        os.replace(part, target)

    def _is_whole(self, path: Path) -> bool:
        """Wait until a file no longer grows; False where it is gone."""
        deadline = time.monotonic() + LONGEST_WRITE_S
        before = None
        while time.monotonic() < deadline:
            try:
                stat = path.stat()
            except FileNotFoundError:
                return False
            now = (stat.st_size, stat.st_mtime_ns)
            if now == before:
                return True
            before = now
            time.sleep(self._settle_s)
        self._say(f"{path.name}: it still grows after {LONGEST_WRITE_S:.0f} s; it is read when it changes next")
        return False


def is_source(path: Path) -> bool:
    """Whether a file is a lead sheet by its name, and none that was written here, nor the levels of a mix.

    Example:
        >>> [is_source(Path(name)) for name in ("song.mid", "song.musetune.mid", ".song.mid", "song.wav")]
        [True, False, False, False]
        >>> is_source(Path("song.mix.json"))  # which `musetune mix` reads
        False
    """
    name = path.name.lower()
    return name.endswith(SUFFIXES) and MARK not in name and not name.startswith(".") and not name.endswith(MIX_SUFFIX)


def output(path: Path, ending: str) -> Path:
    """Return the file that is written beside a source.

    Example:
        >>> output(Path("songs/blues.mid"), "drums.wav").name
        'blues.musetune.drums.wav'
    """
    return path.with_name(f"{path.stem}{MARK}{ending}")


def _is_rendered(path: Path) -> bool:
    sound = output(path, "wav")
    return sound.exists() and sound.stat().st_mtime_ns >= path.stat().st_mtime_ns
