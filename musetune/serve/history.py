"""The takes of one visitor: which there are, what they are called, and which one or two are shown. No gradio here."""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from musetune.serve.work import Take

NAME = 60  # characters of a take's name


@dataclass(frozen=True)
class NamedTake:
    """A take with its number, from 1 on and never given twice, and a name that can be changed."""

    number: int
    name: str
    take: Take


@dataclass(frozen=True)
class TakeHistory:
    """Takes, the newest last. Immutable: each change gives a new history.

    Attributes:
        takes: all takes that are kept.
        shown: number of the take that is shown; None: none.
        other: number of the take that it is compared with; None: none.
        made: how many there have been.
    """

    takes: tuple[NamedTake, ...] = ()
    shown: int | None = None
    other: int | None = None
    made: int = 0

    def get(self, number: int | None) -> NamedTake | None:
        """The take of a number; None where there is none."""
        return next((take for take in self.takes if take.number == number), None)

    def add(self, take: Take) -> TakeHistory:
        """Put a new take at the end and show it; takes whose files are gone go."""
        number = self.made + 1
        order = take.order
        name = f"{' '.join(order.chords.split())[:40]} · {order.genre or 'any genre'} · seed {order.seed:.0f}"
        takes = tuple(one for one in self.takes if one.take.files["WAV"].is_file())
        other = self.other if any(one.number == self.other for one in takes) else None
        return TakeHistory((*takes, NamedTake(number, name, take)), number, other, number)

    def show(self, number: int) -> TakeHistory:
        """Show a take; comparing ends where it is the other one."""
        if self.get(number) is None:
            return self
        return replace(self, shown=number, other=None if self.other == number else self.other)

    def compare(self, number: int) -> TakeHistory:
        """Compare the take that is shown with another one, or no more with it."""
        if self.get(number) is None or number == self.shown:
            return self
        return replace(self, other=None if self.other == number else number)

    def rename(self, number: int, name: str) -> TakeHistory:
        """Give a take another name, of up to NAME characters; an empty one changes nothing."""
        short = " ".join(str(name).split())[:NAME]
        return replace(
            self, takes=tuple(replace(t, name=short) if short and t.number == number else t for t in self.takes)
        )

    def delete(self, number: int) -> TakeHistory:
        """Delete a take and its files; the newest one left is shown in its place."""
        gone = self.get(number)
        if gone is None:
            return self
        shutil.rmtree(gone.take.files["WAV"].parent, ignore_errors=True)
        takes = tuple(take for take in self.takes if take.number != number)
        other = None if self.other == number else self.other
        visible = self.shown
        if visible == number:
            visible = other or (takes[-1].number if takes else None)
            other = None
        return replace(self, takes=takes, shown=visible, other=other)

    def zip(self, folder: Path) -> Path:
        """Write all takes into one zip file in a new folder below ``folder``: a folder a take, by number and name."""
        path = Path(tempfile.mkdtemp(prefix="take-all-", dir=folder)) / "musetune-takes.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for one in self.takes:
                for file in _files(one.take.files):
                    archive.write(file, f"{one.number:02d} {_file_name(one.name)}/{file.name}")
        return path


def _files(files: Mapping[str, Path]) -> list[Path]:
    """The files of a take that are still there, its report too."""
    report = files["WAV"].with_name("report.json")
    return [file for file in (*files.values(), report) if file.is_file()]


def _file_name(name: str) -> str:
    """A name that every file system takes."""
    return re.sub(r"[^\w .#()+-]+", "-", name).strip(" .-") or "take"
