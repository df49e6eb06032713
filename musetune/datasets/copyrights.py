"""Who made a recording and under which licence: what the copyright file of its Debian package says.

Most packages have the machine-readable format (debian.org/doc/packaging-manuals/copyright-format/1.0): paragraphs with
Files, Copyright and License. Of the others the lines that say "copyright" count, for all files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

FIELD = re.compile(r"^([A-Za-z-]+):[ \t]*(.*)$")


@dataclass(frozen=True)
class CopyrightNotice:
    """What holds for files of a package.

    Attributes:
        patterns: of their paths in the source package; ``*`` also stands for folders.
        authors: as they are written there, years included.
        licence: its short name; "see the copyright file" where the file is for people only.
    """

    patterns: tuple[str, ...]
    authors: tuple[str, ...]
    licence: str

    def covers(self, path: str) -> bool:
        """Whether it holds for a file, whose outer folders may be others than in the source package."""
        return any(pattern == "*" or _fits(path, pattern) for pattern in self.patterns)


def _fits(path: str, pattern: str) -> bool:
    """Whether the end of a path is that of a pattern, a file's name at least; of ``folder/*`` the folder too."""
    parts = pattern.split("/")
    ends = ["/".join(parts[first:]) for first in range(len(parts)) if parts[first:] != ["*"]]
    return any(fnmatch(f"/{path}", f"*/{end}") for end in ends)


def read_notices(text: str) -> list[CopyrightNotice]:
    """The notices of a copyright file, in its order.

    Example:
        >>> notice, = read_notices("Files: music/a.ogg\\nCopyright: 2020 Ann\\nLicense: CC0\\n")
        >>> notice.authors, notice.licence, notice.covers("a.ogg")
        (('2020 Ann',), 'CC0', True)
    """
    notices = []
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, list[str]] = {}
        name = ""
        for line in paragraph.splitlines():
            found = FIELD.match(line)
            if found:
                name = found[1].lower()
                fields[name] = [found[2].strip()] if found[2].strip() else []
            elif name and line[:1] in " \t":
                fields[name].append(line.strip())
        if "files" in fields and "license" in fields:
            patterns = tuple(" ".join(fields["files"]).split())
            licence = fields["license"][0] if fields["license"] else "see the copyright file"
            notices.append(CopyrightNotice(patterns, tuple(fields.get("copyright", ())), licence))
    if notices:
        return notices
    joined = " ".join(text.split())
    authors = re.findall(r"[Cc]opyright \([cC]\) ([\d/,\- ]+[^<.(]{2,60}?)(?= <| License|\.| Permission|$)", joined)
    return [
        CopyrightNotice(("*",), tuple(dict.fromkeys(author.strip() for author in authors)), "see the copyright file")
    ]


def find_notice(notices: list[CopyrightNotice], path: str) -> CopyrightNotice | None:
    """The notice that holds for a file: the last that covers it, as the format has it; None for none."""
    return next((notice for notice in reversed(notices) if notice.covers(path)), None)


def package_notices(root: Path, package: str) -> list[CopyrightNotice]:
    """The notices of a package that is unpacked at a folder; [] where it has no copyright file."""
    path = root / "usr" / "share" / "doc" / package / "copyright"
    return read_notices(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else []
