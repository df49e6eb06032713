"""What a prepared data set holds, song by song, and which songs are kept for listening."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

from musetune.datasets.latent_dataset import Clip

SONGS_TO_HOLD_OUT = 3  # from so many songs on whole ones are held out, else clips
MOST_HELD_OUT = 4
FEWEST_CLIPS = 4


@dataclass(frozen=True)
class SongRow:
    """One song as the table shows it.

    Attributes:
        file: Relative to the folder of songs.
        seconds: Length.
        clips: How many clips, copies not counted.
        key: Such as A minor.
        bpm: Beats a minute.
        genre: The genre that its clips carry; None for none.
        guess: The genre that analysis heard; None where it cannot say or was not asked.
        confidence: Of the guess, 0…1.
        caption: The prompt.
    """

    file: str
    seconds: float
    clips: int
    key: str
    bpm: float
    genre: str | None
    guess: str | None
    confidence: float | None
    caption: str


def song_rows(clips: Sequence[Clip]) -> list[SongRow]:
    """One row a song of untransposed clips, in the order of the data set."""
    by_file: dict[str, list[Clip]] = {}
    for clip in clips:
        by_file.setdefault(clip.file, []).append(clip)
    rows = []
    for file, some in by_file.items():
        findings, first = some[0].provenance["findings"], some[0]
        rows.append(
            SongRow(
                file,
                findings["duration_s"],
                len(some),
                findings["key"],
                findings["bpm"],
                first.genre,
                findings["genre_guess"],
                findings["genre_confidence"],
                first.text,
            )
        )
    return rows


def song_table(rows: Sequence[SongRow]) -> str:
    """The songs in columns, as text."""
    head = ("file", "length", "clips", "key", "bpm", "genre", "guess", "confidence", "caption")
    cells = [
        (
            shorten_name(row.file),
            f"{int(row.seconds) // 60}:{int(row.seconds) % 60:02d}",
            str(row.clips),
            row.key,
            f"{row.bpm:.0f}",
            row.genre or "—",
            row.guess or "—",
            "—" if row.confidence is None else f"{100 * row.confidence:.0f} %",
            shorten(row.caption, 60, placeholder="…"),
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(head, *cells)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip() for line in (head, *cells))


def shorten_name(file: str, width: int = 32) -> str:
    """The end of a long path, which tells more than its beginning."""
    return file if len(file) <= width else "…" + file[1 - width :]


def rejected_files(data: Path) -> dict[str, str]:
    """Files that could not be used, with the reason."""
    path = data / "quarantine.jsonl"
    if not path.is_file():
        return {}
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    return {record["file"]: record["reason"] for record in records}


def choose_held_out(clips: Sequence[Clip]) -> list[str]:
    """Songs, or with fewer than three songs clips, that training shall not see.

    Args:
        clips: Untransposed, of all songs that would be trained on.

    Returns:
        Files, about one in six and at most four of them, with no more than a third of the clips; or, as `file@seconds`,
        the last quarter of the clips of the song that has most. The choice depends on the names alone.

    Raises:
        ValueError: There are fewer than four clips.
    """
    if len(clips) < FEWEST_CLIPS:
        raise ValueError(
            f"{len(clips)} clips of {clips[0].duration_s:.4g} s are too few: give at least {FEWEST_CLIPS} "
            f"({FEWEST_CLIPS * clips[0].duration_s:.0f} s of music); six songs of two minutes are a good beginning"
        )
    by_file: dict[str, list[Clip]] = {}
    for clip in clips:
        by_file.setdefault(clip.file, []).append(clip)
    if len(by_file) >= SONGS_TO_HOLD_OUT:
        wanted, room = min(max(1, round(len(by_file) / 6)), MOST_HELD_OUT), len(clips) / 3
        held_out: list[str] = []
        for file in sorted(by_file, key=lambda name: hashlib.sha1(name.encode()).hexdigest()):
            if len(held_out) < wanted and len(by_file[file]) <= room:
                held_out.append(file)
                room -= len(by_file[file])
        if held_out:
            return sorted(held_out)
    longest = max(by_file.values(), key=len)
    last = longest[-min(max(1, len(longest) // 4), MOST_HELD_OUT) :]
    return [f"{clip.file}@{clip.offset_s:.3f}" for clip in last]


def is_held_out(clip: Clip, held_out: Sequence[str]) -> bool:
    """Whether a clip belongs to what training does not see."""
    return clip.file in held_out or f"{clip.file}@{clip.offset_s:.3f}" in held_out
