"""What is to be annotated: a manifest in JSON lines or Parquet, or a folder; and what its files' bytes are."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from musetune.analysis.service.batch import find_files
from musetune.analysis.service.worker import check_file
from musetune.audio.source import sha256_of
from musetune.datasets.music_files import readable
from musetune.symbols.json_values import JsonObject

COLUMN = "file_name"  # as in AudioFolder's metadata
HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ManifestSong:
    """One file of a collection.

    Attributes:
        path: Where it lies.
        file: Its name in the data set: relative to the manifest or folder, readable.
        fields: What the manifest says of it beside its name.
        sha256: Of its bytes, 64 hexadecimal digits; None until it is known.
        bytes: Its size when that was found; so is ``mtime_ns``, when it was last changed.
    """

    path: str
    file: str
    fields: JsonObject = field(default_factory=dict)
    sha256: str | None = None
    bytes: int = -1
    mtime_ns: int = -1

    @property
    def mark(self) -> tuple[str, int, int]:
        """What stays while nobody touches the file: path, size and time of change."""
        return self.path, self.bytes, self.mtime_ns


def read_manifest(source: str | os.PathLike) -> list[ManifestSong]:
    """The songs of a manifest, or of a folder at any depth.

    Args:
        source: A folder; or a file .jsonl or .parquet with the column `file_name`, relative to where it lies, and any
            others, which go on into the data set. A column `sha256` saves reading every file once.

    Returns:
        Songs in order, each path once.

    Raises:
        FileNotFoundError: There is no such folder or file.
        ValueError: It holds no music, is of another kind, or a line of it is wrong.

    Example:
        >>> _ = Path("songs.jsonl").write_text('{"file_name": "a.flac", "licence": "CC0-1.0"}')
        >>> [(song.file, song.fields) for song in read_manifest("songs.jsonl")]
        [('a.flac', {'licence': 'CC0-1.0'})]
    """
    source = Path(source)
    if source.is_dir():
        pairs = find_files([source])
        return [ManifestSong(os.path.abspath(path), readable(path.relative_to(source))) for path, _ in pairs]
    if not source.exists():
        raise FileNotFoundError(f"no such manifest or folder: {source}")
    readers = {".jsonl": _json_rows, ".parquet": _parquet_rows}
    if source.suffix.lower() not in readers:
        raise ValueError(f"{source}: a manifest is {' or '.join(readers)}, or give a folder of music")
    songs: dict[str, ManifestSong] = {}
    for place, row in readers[source.suffix.lower()](source):
        song = _song(source, place, row)
        songs.setdefault(song.path, song)
    if not songs:
        raise ValueError(f"{source} names no file")
    return list(songs.values())


def _json_rows(path: Path) -> Iterator[tuple[str, JsonObject]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f'{path}, line {number}: is no object: write {{"{COLUMN}": "song.mp3", …}}')
        yield f"{path}, line {number}", row


def _parquet_rows(path: Path) -> Iterator[tuple[str, JsonObject]]:
    import pyarrow.parquet

    number = 0
    for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
        for row in batch.to_pylist():
            number += 1
            yield f"{path}, row {number}", row


def _song(source: Path, place: str, row: JsonObject) -> ManifestSong:
    """The song of a row. Raises ValueError with its place."""
    fields = {name: value for name, value in row.items() if value is not None}
    name, sha256 = fields.pop(COLUMN, None), fields.pop("sha256", None)
    if not isinstance(name, str) or not name:
        raise ValueError(f"{place}: {COLUMN} is {name!r:.60}: give a path, relative to {source.parent}")
    if sha256 is not None and not (isinstance(sha256, str) and HASH.fullmatch(sha256)):
        raise ValueError(f"{place}: sha256 is {sha256!r:.80}: give 64 hexadecimal digits in small letters, or leave it")
    try:
        json.dumps(fields, allow_nan=False)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{place}: a value cannot be kept as JSON: {error}") from error
    path = os.path.abspath(source.parent / name)
    return ManifestSong(path, readable(Path(os.path.normpath(name))), fields, sha256)


def hash_songs(
    songs: Iterable[ManifestSong], known: Mapping[tuple[str, int, int], str], threads: int
) -> Iterator[ManifestSong | tuple[ManifestSong, str]]:
    """Songs with their hashes, in order; or a song and why it cannot be read.

    Args:
        songs: With or without hashes.
        known: Hashes of files that were read before, by `ManifestSong.mark`.
        threads: Files that are read at once.
    """

    def look(song: ManifestSong) -> ManifestSong | tuple[ManifestSong, str]:
        try:
            check_file(Path(song.path))
            state = os.stat(song.path)
            song = replace(song, bytes=state.st_size, mtime_ns=state.st_mtime_ns)
            return replace(song, sha256=song.sha256 or known.get(song.mark) or sha256_of(song.path))
        except (OSError, ValueError) as error:
            return song, " ".join(str(error).split()).replace(song.path, song.file)

    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(look, songs)
