"""Which recordings a network learns from and which measure it: whole albums apart, never songs of one album.

Songs of an album share players, room and mastering. A network that heard one of them knows how the others sound, so
that a song held out of a known album measures memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

SHARE = 1 / 6  # of the music that is held out
MOST = 1 / 2  # of the music that may be


@dataclass(frozen=True)
class AlbumSplit:
    """Files to learn from and files held out.

    Attributes:
        train: Files, sorted.
        held_out: Files, sorted; no album has files in both.
        albums: The albums held out, sorted.
    """

    train: tuple[str, ...]
    held_out: tuple[str, ...]
    albums: tuple[str, ...]


def album_of(file: str) -> str:
    """The folder that a file lies in, as "artist/album"; a file in no folder is an album of its own.

    Example:
        >>> album_of("artist/album/song.ogg"), album_of("song.ogg")
        ('artist/album', 'song.ogg')
    """
    parent = PurePosixPath(file).parent.as_posix()
    return file if parent == "." else parent


def split_by_album(
    minutes: Mapping[str, float], albums: Collection[str] | None = None, share: float = SHARE
) -> AlbumSplit:
    """Hold whole albums out.

    Args:
        minutes: Of each file, relative to the folder of music.
        albums: Those to hold out; None: in an order that depends on their names alone, until `share` is reached,
            skipping what would bring it above half of the music.
        share: Of the minutes, above 0 and at most 0.5.

    Returns:
        The split.

    Raises:
        ValueError: There is one album only, `albums` names one that is not there or all of them, or `share` is out of
            range.

    Example:
        >>> split_by_album({"a/1.ogg": 4.0, "a/2.ogg": 3.0, "b/1.ogg": 3.0}, ["b"]).train
        ('a/1.ogg', 'a/2.ogg')
    """
    if not 0 < share <= MOST:
        raise ValueError(f"share={share!r} is not above 0 and at most {MOST}")
    sizes: dict[str, float] = {}
    for file, length in minutes.items():
        sizes[album_of(file)] = sizes.get(album_of(file), 0.0) + length
    if len(sizes) < 2:
        raise ValueError(
            f"{len(minutes)} files in {len(sizes)} album: a split by album needs two; give each album a folder"
        )
    if albums is None:
        chosen, total, held = [], sum(sizes.values()), 0.0
        for album in sorted(sizes, key=_lot):
            if held < share * total and held + sizes[album] <= MOST * total:
                chosen.append(album)
                held += sizes[album]
        albums = chosen or [min(sizes, key=lambda album: sizes[album])]
    if strange := sorted(set(albums) - sizes.keys()):
        raise ValueError(f"no album is called {', '.join(strange)}: there are {', '.join(sorted(sizes))}")
    if not albums or sizes.keys() <= set(albums):
        raise ValueError(
            f"{len(set(albums))} of {len(sizes)} albums held out: leave one to learn from, and one to measure"
        )
    held_out = tuple(sorted(file for file in minutes if album_of(file) in albums))
    return AlbumSplit(tuple(sorted(minutes.keys() - set(held_out))), held_out, tuple(sorted(set(albums))))


def draw_songs(minutes: Mapping[str, float], limit: float) -> tuple[str, ...]:
    """Songs of about `limit` minutes in all; a larger limit takes the same songs and more.

    Args:
        minutes: Of each file that may be taken.
        limit: Minutes, above 0; the song that passes it is the last one.

    Returns:
        Files, sorted; all of them where they last no longer.

    Example:
        >>> len(draw_songs({"a/1.ogg": 4.0, "a/2.ogg": 4.0, "b/1.ogg": 4.0}, 8.0))
        2
    """
    if limit <= 0:
        raise ValueError(f"limit={limit!r} minutes is not above 0")
    taken, total = [], 0.0
    for file in sorted(minutes, key=_lot):
        if total >= limit:
            break
        taken.append(file)
        total += minutes[file]
    return tuple(sorted(taken))


def _lot(name: str) -> str:
    return hashlib.sha1(name.encode()).hexdigest()
