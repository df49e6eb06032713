"""The data set on disk: a plan that says which song belongs to which shard, shards, and a mark for each that is done.

    annotations.json        what all annotations share: schema, analyser, options
    plan.jsonl              a line a song: shard, sha256, file, path, size and time of change
    data/train-*.parquet    the rows of a shard, in the plan's order
    latents/*.safetensors   the arrays of a shard by SHA-256/name, where latents were asked for
    done/*.json             a shard's mark: its rows, the digests of its files, and the songs that were set aside
    quarantine.jsonl        all songs that were set aside, with the reason
    README.md               the card

A shard's files are written beside and renamed, its mark last: a shard without a mark does not exist. The plan only
grows, so that a run that is killed and goes on makes the same shards as one that is not.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from musetune.datasets.annotation.annotator import Annotation
from musetune.datasets.annotation.manifest import ManifestSong
from musetune.symbols.json_values import JsonObject

SCHEMA = 1
FINGERPRINT = "latents_fingerprint"  # of the base: its name may come to mean another; "" where it does not lie here
INFO, PLAN, QUARANTINE, CARD = "annotations.json", "plan.jsonl", "quarantine.jsonl", "README.md"
OWN = re.compile(r"\.?(train-\d{5}\.parquet|\d{5}\.safetensors)(\.part)?")  # names of files that a run leaves
COLUMNS = {
    "sha256": "string",
    "file": "string",
    "duration_s": "double",
    "key": "string",
    "bpm": "double",
    "time_signature": "string",
    "genre": "string",
    "genre_confidence": "double",
    "chords": "list<string>",
    "chord_starts_s": "list<double>",
    "record": "string",
    "lead_sheet": "string",
    "metadata": "string",
    "caption": "string",
    "clip_starts_s": "list<double>",
}


class AnnotationFolder:
    """A data set folder, new or begun.

    Args:
        folder: Made where it is missing.
        info: What all annotations share, as plain values.

    Raises:
        ValueError: The folder was begun with something else, or holds files of something else.
    """

    def __init__(self, folder: str | os.PathLike, info: JsonObject) -> None:
        self.folder = Path(folder)
        taken = [name for name in ("data", "latents", "done") if any((self.folder / name).glob("*"))]
        taken += [name for name in (PLAN, CARD) if (self.folder / name).exists()]
        if taken and not (self.folder / INFO).exists():
            raise ValueError(f"{self.folder} holds {', '.join(taken)} of something else: give a new folder")
        for name in ("data", "done"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        path = self.folder / INFO
        if path.exists():
            _check_info(path, info)
        else:
            _write(path, json.dumps(info, indent=2).encode())
        self.plan = [json.loads(line) for line in _whole_lines(self.folder / PLAN)]

    @property
    def known_hashes(self) -> dict[tuple[str, int, int], str]:
        """Hashes of the planned files, by `ManifestSong.mark`."""
        return {(row["path"], row["bytes"], row["mtime_ns"]): row["sha256"] for row in self.plan}

    def extend_plan(self, songs: Iterable[ManifestSong], shard_size: int) -> None:
        """Plan songs whose bytes are not planned yet, in order, in new shards; equal bytes are planned once."""
        known = {row["sha256"] for row in self.plan}
        new: dict[str, ManifestSong] = {}
        for song in songs:
            if song.sha256 not in known:
                new.setdefault(str(song.sha256), song)
        first = 1 + max((row["shard"] for row in self.plan), default=-1)
        rows = [asdict(song) | {"shard": first + place // shard_size} for place, song in enumerate(new.values())]
        with (self.folder / PLAN).open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
            file.flush()
            os.fsync(file.fileno())
        self.plan += rows

    def shards(self) -> dict[int, list[ManifestSong]]:
        """The songs of each shard, in order."""
        shards: dict[int, list[ManifestSong]] = defaultdict(list)
        for row in self.plan:
            shards[row["shard"]].append(ManifestSong(**{name: row[name] for name in row if name != "shard"}))
        return dict(shards)

    def mark(self, shard: int) -> JsonObject | None:
        """What a shard's mark says; None where it is not done."""
        try:
            return dict(json.loads(self._mark_path(shard).read_text()))
        except FileNotFoundError:
            return None

    def forget_quarantined(self) -> int:
        """Take away the marks of shards that hold songs that were set aside; how many."""
        faulty = [shard for shard in self.shards() if (mark := self.mark(shard)) and mark["quarantine"]]
        for shard in faulty:
            self._mark_path(shard).unlink()
        return len(faulty)

    def write_shard(self, shard: int, songs: Sequence[ManifestSong], annotations: Sequence[Annotation]) -> None:
        """Write a shard's files and then its mark."""
        good = [(song, one) for song, one in zip(songs, annotations, strict=True) if one.fault is None]
        digests: dict[str, str] = {}
        if good:
            digests |= self._write_rows(shard, [one.row for _, one in good])
        tensors = {f"{song.sha256}/{name}": array for song, one in good for name, array in one.tensors.items()}
        if tensors:
            digests |= self._write_tensors(shard, tensors)
        quarantine = [
            {"file": song.file, "sha256": song.sha256, "reason": one.fault}
            for song, one in zip(songs, annotations, strict=True)
            if one.fault is not None
        ]
        mark = {"rows": len(good), "files": digests, "quarantine": quarantine}
        _write(self._mark_path(shard), json.dumps(mark, indent=2, ensure_ascii=False).encode())

    def _mark_path(self, shard: int) -> Path:
        return self.folder / "done" / f"{shard:05d}.json"

    def _write_rows(self, shard: int, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        import pyarrow
        import pyarrow.parquet

        kinds = {
            "string": pyarrow.string(),
            "double": pyarrow.float64(),
            "list<string>": pyarrow.list_(pyarrow.string()),
            "list<double>": pyarrow.list_(pyarrow.float64()),
        }
        schema = pyarrow.schema([(name, kinds[kind]) for name, kind in COLUMNS.items()])
        table = pyarrow.Table.from_pylist([dict(row) for row in rows], schema=schema)
        sink = pyarrow.BufferOutputStream()
        pyarrow.parquet.write_table(table, sink, compression="zstd")
        return self._keep(f"data/train-{shard:05d}.parquet", sink.getvalue().to_pybytes())

    def _write_tensors(self, shard: int, tensors: Mapping[str, Any]) -> dict[str, str]:
        from safetensors.numpy import save

        return self._keep(f"latents/{shard:05d}.safetensors", save(dict(tensors)))

    def _keep(self, name: str, data: bytes) -> dict[str, str]:
        """Write a file; its digest by its name."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        _write(path, data)
        return {name: hashlib.sha256(data).hexdigest()}

    def finish(self, unreadable: Sequence[JsonObject], card: str) -> tuple[int, int]:
        """Write the quarantine and the card, and remove what no mark knows; rows and songs that were set aside."""
        marks = [mark for shard in self.shards() if (mark := self.mark(shard)) is not None]
        aside = [*(row for mark in marks for row in mark["quarantine"]), *unreadable]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in aside)
        _write(self.folder / QUARANTINE, text.encode())
        known = {self.folder / name for mark in marks for name in mark["files"]}
        for name in ("data", "latents"):
            for path in (self.folder / name).glob("*"):
                if path not in known and path.is_file() and OWN.fullmatch(path.name):
                    path.unlink()
        _write(self.folder / CARD, card.encode())
        return sum(mark["rows"] for mark in marks), len(aside)


def _check_info(path: Path, info: JsonObject) -> None:
    """Raise ValueError where a folder was begun with something else."""
    begun = json.loads(path.read_text())
    for name, now in info.items():
        if name == FINGERPRINT and not (begun.get(name) and now):
            continue  # it is not known of one of the two
        if begun.get(name) != now:
            raise ValueError(
                f"{path.parent} was begun with {name}={begun.get(name)!r}, not {now!r}: go on with that, or write to "
                "another folder for a data set that is alike throughout"
            )


def _whole_lines(path: Path) -> list[str]:
    """The lines of a file; half a line that a kill left at its end is cut off."""
    if not path.exists():
        return []
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        data = data[: data.rfind(b"\n") + 1]
        _write(path, data)
    return data.decode().split("\n")[:-1]


def _write(path: Path, data: bytes) -> None:
    """Write beside and rename over: a reader sees the old file or the new one."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
