"""Figures of real songs, group by group, that plans are held against; writes benchmarks/plans_data.json.

    python benchmarks/plans_data.py SONGS.jsonl --openewld FOLDER [--charts JazzStandards.json]

SONGS.jsonl is what recipes/planner/collect_songs.py wrote (POP909, OpenEWLD, Bach's chorales); OpenEWLD's index.csv
tells styles. --charts takes the chord charts of the repository mikeoliphant/JazzStandards (1,382 charts of the iReal
Pro players' database, each with its rhythm: bossa nova, ballad, …); only the figures below are kept of them.

A group's figures: songs; chord changes a bar (quartiles); share of the time with sevenths, dominant sevenths and triads
(5th and 95th percentile); share of songs that end on the tonic or turn around, and of sections (found from the chords,
or the charts' own) that close by the rules that plans are judged by: what a rule makes of real songs.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
import plans_measures as measures

from musetune.datasets.planner.examples import sections_of
from musetune.datasets.planner.songs import read as read_songs
from musetune.symbols import BeatGrid, Chord, ChordSpan, Key, KeySpan, LeadSheet, Meter, MeterSpan, Section

OUT = Path(__file__).with_name("plans_data.json")
LEAST = 12  # songs of a group
SLOW = 85  # beats a minute: POP909's ballads are below
RHYTHMS = {
    "Medium Swing": "swing", "Medium Up Swing": "swing", "Slow Swing": "swing", "Up Tempo Swing": "uptempo",
    "Ballad": "ballad", "Waltz": "jazzwaltz", "Bossa Nova": "bossa", "Latin": "latinjazz", "Afro": "latinjazz",
    "Samba": "latinjazz", "Latin-Swing": "latinjazz", "Calypso": "latinjazz",
}  # fmt: skip
TAGS = {
    "oldjazz": r"Dixieland|Ragtime|Big Band|Swing",
    "stage": r"Musical|Soundtrack|Theme|Score|Operetta|Music Hall",
}


class RealSong(NamedTuple):
    """A song of a group; ``test``: the planner never learned from it."""

    name: str
    source: str
    test: bool
    sheet: LeadSheet


def groups(songs: Path, openewld: Path | None, charts: Path | None) -> dict[str, list[RealSong]]:
    """The songs of each group; one song may be in several."""
    out: dict[str, list[RealSong]] = defaultdict(list)
    index = csv.DictReader((openewld / "index.csv").open()) if openewld else ()
    tags = {row["path"]: f"{row['genres']} {row['styles']}" for row in index}
    for song in read_songs(songs):
        sheet = with_sections(song.sheet, sections_of(song))
        real = RealSong(song.name, song.source, song.test, sheet)
        if song.source == "pop909":
            out["popballad" if sheet.bpm < SLOW else "pop"].append(real)
        elif song.source == "chorales":
            out["chorale"].append(real)
        else:
            for name, pattern in TAGS.items():
                if re.search(pattern, tags.get(song.name, "")):
                    out[name].append(real)
            if str(sheet.meter) == "3/4":
                out["waltz"].append(real)
    for name, rhythm, sheet in read_charts(charts) if charts else ():
        if rhythm in RHYTHMS:
            out[RHYTHMS[rhythm]].append(RealSong(name, "charts", True, sheet))
    return out


def with_sections(sheet: LeadSheet, parts: list) -> LeadSheet:
    """A song's sheet with the sections found in it."""
    bar, at, found = sheet.meter.beats_per_bar, 0, []
    for label, bars in parts:
        found.append(Section(Fraction(at * bar), Fraction(len(bars) * bar), label))
        at += len(bars)
    return replace(sheet, sections=tuple(found))


def read_charts(path: Path) -> Iterator[tuple[str, str, LeadSheet]]:
    """(title, rhythm, sheet) of each chart that can be read: sections with their endings written out."""
    for row in json.loads(path.read_text()):
        meter, key = row.get("TimeSignature"), row.get("Key")
        if not meter or not key:
            continue
        try:
            yield str(row.get("Title")), str(row.get("Rhythm")), chart_sheet(row, Meter.parse(meter), chart_key(key))
        except ValueError:  # a sign that is no chord of ours
            continue


def chart_key(text: str) -> Key:
    """``Dmin`` or ``Bb`` as a key."""
    return Key(text.removesuffix("min"), "minor") if text.endswith("min") else Key(text, "major")


def chart_sheet(row: dict, meter: Meter, key: Key) -> LeadSheet:
    """One chart as a lead sheet.

    Raises:
        ValueError: A chord cannot be read, or there are none.
    """
    spans: list[ChordSpan] = []
    parts: list[Section] = []
    bar, at = meter.beats_per_bar, 0
    for section in row["Sections"]:
        endings = [one["Chords"] for one in section.get("Endings", ())] or [""]
        for last in endings:
            text = "|".join(filter(None, (section["MainSegment"]["Chords"], last)))
            begin = at
            for one in text.split("|"):
                chords = [c for c in re.sub(r"\(.*?\)", "", one).split(",") if c.strip()]
                for i, name in enumerate(chords):
                    start = at * bar + Fraction(bar * i, len(chords))
                    chord = Chord.parse(re.sub(r"^([A-G][b#]?)0", r"\1dim", name.strip()))
                    spans.append(ChordSpan(start, Fraction(bar, len(chords)), chord))
                at += 1
            parts.append(Section(Fraction(begin * bar), Fraction((at - begin) * bar), str(section.get("Label") or "A")))
    if len(spans) < 4:
        raise ValueError("fewer than 4 chords")
    length, zero = Fraction(at * bar), Fraction(0)
    return LeadSheet(
        tuple(spans), (KeySpan(zero, key),), (MeterSpan(zero, meter),), BeatGrid.constant(120, int(length)), length,
        tuple(parts), "jazz",
    )  # fmt: skip


def figures(sheets: list[LeadSheet]) -> dict:
    """The figures of one group."""
    rhythm = np.percentile([measures.changes_a_bar(sheet) for sheet in sheets], [25, 50, 75])
    kinds = [measures.shares(sheet) for sheet in sheets]
    out: dict = {"songs": len(sheets), "rhythm": [round(float(x), 3) for x in rhythm]}
    for name in kinds[0]:
        out[name] = [round(float(x), 3) for x in np.percentile([kind[name] for kind in kinds], [5, 95])]
    for kind in ("cadence", "either", "loop"):
        out[f"ends: {kind}"] = round(float(np.mean([measures.ending(sheet, kind) for sheet in sheets])), 3)
    out["sections close"] = round(float(np.mean([measures.sections_close(sheet) for sheet in sheets])), 3)
    return out


def main(arguments: list[str] | None = None) -> dict:
    """Measure the groups; what --out gets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("songs", type=Path)
    parser.add_argument("--openewld", type=Path)
    parser.add_argument("--charts", type=Path)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args(arguments)
    found = groups(args.songs, args.openewld, args.charts)
    out = {
        name: figures([song.sheet for song in songs]) for name, songs in sorted(found.items()) if len(songs) >= LEAST
    }
    args.out.write_text("{\n" + ",\n".join(f' "{k}": {json.dumps(v)}' for k, v in out.items()) + "\n}\n")
    for name, row in out.items():
        print(name, row)
    return out


if __name__ == "__main__":
    main()
