"""What the Listen tab does, without the page: an analysis with its files, bars of it as an order. No gradio."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musetune.analysis.service.worker import AnalysisWorker
from musetune.serve.errand import Errand
from musetune.serve.song_work import clock
from musetune.serve.work import SECONDS, Order, check_number, hand_over, listen, new_folder
from musetune.symbols import GENRES, LeadSheet
from musetune.symbols.json_values import JsonObject

if TYPE_CHECKING:
    from musetune.serve.remote import RemoteAnalyser

WHOLE = "all of it"
OUTPUTS = ("json", "jams", "lab", "midi", "musicxml")  # what the analysis writes
FILES = {
    "Record (JSON)": ".json",
    "JAMS": ".jams",
    "Labels (.lab)": ".lab.zip",
    "MIDI": ".mid",
    "MusicXML": ".musicxml",
}


@dataclass(frozen=True)
class SongAnalysis:
    """What was recognised of a song: the record, the lead sheet with the recognised genre, and files by name."""

    record: JsonObject
    sheet: LeadSheet
    files: Mapping[str, Path]


@dataclass(frozen=True)
class SongPassage:
    """Bars of a song that are handed over.

    Attributes:
        first: the first bar, from 1 on.
        last: the last bar.
        fitting: the last bar that the page can make in one take; below ``last`` where the rest is left out.
        start_s: where they begin in the song, seconds.
        end_s: where the last fitting bar ends, seconds.
        sheet: the bars from ``first`` to ``fitting``.
    """

    first: int
    last: int
    fitting: int
    start_s: float
    end_s: float
    sheet: LeadSheet


def analyse_song(
    path: str | Path,
    folder: Path,
    worker: AnalysisWorker | RemoteAnalyser | None = None,
    errand: Errand[Any] | None = None,
) -> SongAnalysis:
    """Analyse a song and write what was recognised as files, in a new folder under ``folder``.

    Raises:
        ValueError: as `work.listen` does.
        StoppedError: where nobody waits any more.
    """
    name = Path(path).stem
    place = new_folder(folder)
    record, sheet = listen(path, worker, errand, outputs=OUTPUTS, stem=place / name)
    labels = sorted(place.glob("*.lab"))
    with zipfile.ZipFile(place / f"{name}.lab.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in labels:
            archive.write(file, file.name)
    return SongAnalysis(record, sheet, {title: place / f"{name}{suffix}" for title, suffix in FILES.items()})


def bars_of_song(sheet: LeadSheet) -> list[tuple[Fraction, Fraction]]:
    """First and last beat of each bar that begins with a bar line; the whole of a sheet without one."""
    edges = [max(line, Fraction(0)) for line in sheet.downbeats()] or [Fraction(0)]
    return list(zip(edges, [*edges[1:], sheet.length]))


def sections_of_song(sheet: LeadSheet) -> dict[str, tuple[int, int]]:
    """First and last bar of each section by a name to choose it by; and of the whole song."""
    bars = bars_of_song(sheet)
    passages = {WHOLE: (1, len(bars))}
    for part in sheet.sections:
        inside = [
            number for number, (start, _) in enumerate(bars, start=1) if part.start <= start < part.start + part.beats
        ]
        if inside:
            passages[f"{part.label} (bars {inside[0]}–{inside[-1]})"] = (inside[0], inside[-1])
    return passages


def passage(sheet: LeadSheet, first: float, last: float) -> SongPassage:
    """The bars that are to be handed over, and how many of them the page can make.

    Args:
        sheet: the song.
        first: first bar, from 1 on.
        last: last bar.

    Raises:
        ValueError: for bars that the song does not have.

    Example:
        >>> chosen = passage(LeadSheet.parse("C F " * 40, bpm=60), 3, 80)
        >>> chosen.first, chosen.fitting, chosen.start_s
        (3, 17, 8.0)
    """
    bars = bars_of_song(sheet)
    check_number("From bar", first, 1, len(bars))
    check_number("To bar", last, first, len(bars))
    low, high = int(first), int(last)
    time = lambda beat: float(sheet.grid.time_at(beat))  # noqa: E731
    start = bars[low - 1][0]
    fitting = [
        number for number in range(low, high + 1) if time(bars[number - 1][1]) - time(start) <= SECONDS[1] + 1e-6
    ]
    until = fitting[-1] if fitting else low
    end = bars[until - 1][1]
    return SongPassage(low, high, until, time(start), time(end), sheet.slice(start, end))


def passage_text(sheet: LeadSheet, passage: SongPassage) -> str:
    """What is handed over, in a sentence; and what is left out, where something is."""
    length = passage.end_s - passage.start_s
    places = f"{clock(passage.start_s)} to {clock(passage.end_s)}"
    if passage.fitting < passage.last:
        return (
            f"The page makes up to {SECONDS[1]:g} s: bars {passage.first}–{passage.fitting} ({places}) are handed "
            f"over, {clock(length)} of the song's {clock(sheet.duration_s)}; bars {passage.fitting + 1}–{passage.last} "
            f"are left out. Choose a later “From bar” to take those."
        )
    whole = passage.first == 1 and passage.last == len(bars_of_song(sheet))
    return f"{'The whole song is' if whole else f'Bars {passage.first}–{passage.last} are'} handed over: {places}."


def hand_over_bars(sheet: LeadSheet, first: float, last: float, genre: str | None) -> Order:
    """Bars of an analysed song as an order that can be changed, in a genre.

    Raises:
        ValueError: for bars that the song does not have, and for a genre that there is not.
    """
    if genre is not None and genre not in GENRES:
        raise ValueError(f"Genre: {str(genre)[:40]!r} is not one of {', '.join(GENRES)}")
    return replace(hand_over(passage(sheet, first, last).sheet), genre=genre)
