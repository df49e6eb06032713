"""How well the analyser hears, beside the listeners that install here, on known and on unknown music.

    python benchmarks/analysis.py --data ../shared/data [--materials .cache/materials] [--sets pop-fluid,bands,mp3]
        [--songs 15] [--others 10] [--peers Chordino,madmom]

No set holds a song that training heard. Known timbre: `pop-fluid`, POP909 songs (numbers that end in 5, tens even) as
written on FluidR3; `mma-fluid`, OpenEWLD tunes accompanied by MMA on FluidR3 (left out where mma is not installed).
Unknown: `pop-timgm`, the POP909 songs on TimGM6mb, the soundfont that no training may hear; with the drum kit that none
may hear (both unpacked by recipes/analyzer/materials.py) `bands`, POP909 with a band; `grooves`, the tunes accompanied
by MMA; `others`, MIDI files that others arranged; `mp3`, `bands` through MP3 at 64 kbit/s. Where the kit is missing the
soundfont's own drums play, and the table says so. Known means that training may hear the timbre: weights trained before
FluidR3 was let in (until 2026-11-29) do not know it.

Every listener hears the same samples in the same run, each on one core; scores by mir_eval in per cent (beats at ±70 ms
without trimming; level: tempo within a quarter of an octave, so neither half nor double), and how much faster than real
time (by processor time). Peers: see peers.py; those that cannot run are named as absent. Then how far the analyser's
confidences can be believed, on known and on unknown music: expected calibration error (Guo et al., ICML 2017) over ten
bins, and the reliability table.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core, as the peers
import mir_eval
import numpy as np
from peers import PEERS
from songs import HeldOutSound, accompanied, mma_missing, others, pop909, with_bands
from tqdm import tqdm

from musetune.analysis import analyze, hear
from musetune.audio.source import RATE
from musetune.datasets.band import render
from musetune.datasets.corpus import AnnotatedSong
from musetune.symbols.estimate import Estimate

COLUMNS = (
    "root", "majmin", "sevenths", "inversions", "beat F", "AMLt", "downbeat F", "tempo", "level", "key", "× real time"
)  # fmt: skip
FIELDS = ("intervals", "labels", "beats", "downbeats", "bpm", "key")
BINS = 10


def ours(wave: np.ndarray) -> tuple[dict, Estimate]:
    """What the analyser says, in the terms of the peers."""
    began = time.process_time()
    heard = hear(wave, RATE)
    seconds = time.process_time() - began
    values = (heard.intervals_s, heard.labels, heard.beats_s, heard.downbeats_s, heard.bpm, heard.key)
    return dict(zip(FIELDS, values, strict=True)) | {"cpu_seconds": seconds}, heard


@dataclass(frozen=True)
class ListeningSet:
    """`known`: whether training may hear its soundfont; `truth`: how sure its truth is, in words."""

    name: str
    known: bool
    truth: str
    songs: Callable[[], Iterator[tuple[AnnotatedSong, np.ndarray, float]]]  # song, sound, certainty of its chords 0…1
    missing: Callable[[], str | None] = lambda: None


def all_sets(args: argparse.Namespace, odd: bool = False) -> list[ListeningSet]:
    """Every set; nothing is rendered before its songs are asked for. `odd`: other songs, for tuning."""
    sound, folder = HeldOutSound.find(args.materials), args.data / "pop909"

    def pop(font: Path) -> Iterator[tuple[AnnotatedSong, np.ndarray, float]]:
        return ((song, render(song, font), 1.0) for song in pop909(folder, args.songs, args.seconds, odd))

    def bands(through_mp3: bool) -> Iterator[tuple[AnnotatedSong, np.ndarray, float]]:
        for song in with_bands(pop909(folder, args.songs, args.seconds, odd)):
            yield song, sound.render(song, mp3_kbit=64 if through_mp3 else None), 1.0

    def tunes(play: Callable[[AnnotatedSong], np.ndarray]) -> Iterator[tuple[AnnotatedSong, np.ndarray, float]]:
        tunes = accompanied(args.data / "openewld", args.others, args.seconds, odd)
        return ((song, play(song), 1.0) for song in tunes)

    def foreign() -> Iterator[tuple[AnnotatedSong, np.ndarray, float]]:
        files = islice(others(args.materials, (1 + odd) * args.others, args.seconds), odd * args.others, None)
        return ((song, sound.render(song), certainty) for song, certainty in files)

    annotated, by_construction = "annotated by POP909's authors from its notes", "the chart that is played"
    return [
        ListeningSet("pop-fluid", True, annotated, lambda: pop(args.fluid)),
        ListeningSet("pop-timgm", False, annotated, lambda: pop(timgm6mb())),
        ListeningSet("mma-fluid", True, by_construction, lambda: tunes(lambda s: render(s, args.fluid)), mma_missing),
        ListeningSet("bands", False, annotated, lambda: bands(False)),
        ListeningSet("grooves", False, by_construction, lambda: tunes(sound.render), mma_missing),
        ListeningSet("others", False, "by half bars from the notes", foreign, lambda: others_missing(args.materials)),
        ListeningSet("mp3", False, annotated, lambda: bands(True)),
    ]


def others_missing(materials: Path) -> str | None:
    """Why there are no MIDI files of others, or None."""
    here = (materials / "midi").is_dir()
    return None if here else f"{materials} has no MIDI files: run recipes/analyzer/materials.py cache={materials}"


def choose(sets: list[ListeningSet], names: str) -> list[ListeningSet]:
    """The sets named, comma between, that can be rendered here; says which cannot.

    Raises:
        SystemExit: A name is unknown.
    """
    requests = [name for name in names.split(",") if name]
    if unknown := set(requests) - {some.name for some in sets}:
        raise SystemExit(f"no set is called {', '.join(sorted(unknown))}; they are {', '.join(s.name for s in sets)}")
    choice = [some for some in sets if not requests or some.name in requests]
    for some in choice:
        if reason := some.missing():
            print(f"{some.name} left out: {reason}")
    return [some for some in choice if some.missing() is None]


def timgm6mb() -> Path:
    """The soundfont that comes with pretty_midi."""
    import pretty_midi

    return Path(pretty_midi.__file__).parent / "TimGM6mb.sf2"


def score(song: AnnotatedSong, said: dict) -> dict[str, float]:
    """Per cent per quantity that the listener gave."""
    row: dict[str, float] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if said.get("labels"):
            found = mir_eval.chord.evaluate(song.intervals_s, song.labels, said["intervals"], list(said["labels"]))
            row |= {name: found[name] for name in ("root", "majmin", "sevenths")}
            row["inversions"] = found["majmin_inv"]
        for column, field, truth in (("beat F", "beats", song.beats_s), ("downbeat F", "downbeats", song.downbeats_s)):
            if said.get(field) is not None:
                row[column] = mir_eval.beat.f_measure(truth, np.asarray(said[field], float))
        if said.get("beats") is not None:
            row["AMLt"] = mir_eval.beat.continuity(song.beats_s, np.asarray(said["beats"], float))[3]
        if said.get("bpm") and said.get("beats") is not None:
            row["tempo"] = float(abs(said["bpm"] / song.bpm - 1) < 0.04)
            row["level"] = float(abs(np.log2(said["bpm"] / song.bpm)) < 0.25)
        if said.get("key") and song.key != "none":
            row["key"] = mir_eval.key.weighted_score(_mir_key(song.key), said["key"])
    return {name: 100 * value for name, value in row.items()} | {"× real time": song.duration_s / said["cpu_seconds"]}


def _mir_key(label: str) -> str:
    tonic, mode = label.split(":")
    return f"{tonic} {'major' if mode.startswith('maj') else 'minor'}"


def told(song: AnnotatedSong, heard: Estimate) -> list[tuple[float, float, float]]:
    """(confidence, whether right, seconds) of each chord heard: right as sevenths are counted, weighed by time."""
    intervals, labels = mir_eval.util.adjust_intervals(
        heard.intervals_s, list(heard.labels), 0, song.duration_s, "N", "N"
    )
    sure = mir_eval.util.adjust_intervals(
        heard.intervals_s, [str(c) for c in heard.confidence], 0, song.duration_s, "0", "0"
    )[1]
    truth, names = mir_eval.util.adjust_intervals(song.intervals_s, song.labels, 0, song.duration_s, "N", "N")
    both, one, other = mir_eval.util.merge_labeled_intervals(truth, names, intervals, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        right = mir_eval.chord.sevenths(one, other)
    at = np.searchsorted(intervals[:, 0], both.mean(axis=1), side="right") - 1
    lengths = np.diff(both, axis=1)[:, 0]
    return [(float(sure[i]), float(r), float(s)) for i, r, s in zip(at, right, lengths, strict=True) if r >= 0]


def judged(song: AnnotatedSong, wave: np.ndarray) -> dict[str, tuple[float, float, float]]:
    """(confidence, whether right, 1) of the record's tempo, meter and key."""
    found = analyze(wave, RATE)
    sheet, key = found.lead_sheet, found.key
    near = abs(sheet.bpm / song.bpm - 1) < 0.04
    rows = {
        "tempo": (found.bpm_confidence, float(near), 1.0),
        "meter": (found.meter_confidence, float(str(sheet.meter) == song.meter), 1.0),
    }
    if song.key != "none":
        same = key is not None and mir_eval.key.weighted_score(_mir_key(song.key), str(key)) == 1
        rows["key"] = (found.key_confidence, float(same), 1.0)
    return rows


def reliability(rows: list[tuple[float, float, float]]) -> str:
    """The table, and the expected calibration error above it."""
    sure, right, weight = np.array(rows).T
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    lines, error = [], 0.0
    for number in range(BINS):
        here = bins == number
        if share := weight[here].sum() / weight.sum():
            said, was = (np.average(column[here], weights=weight[here]) for column in (sure, right))
            error += share * abs(said - was)
            lines.append(f"  {said:9.2f} {was:9.2f} {100 * share:8.1f} %")
    return f"expected calibration error {error:.3f}\n       said       was     share\n" + "\n".join(lines)


def cell(rows: list[dict[str, float]], column: str) -> str:
    """Mean of a set's songs, as 93.8."""
    values = [row[column] for row in rows if column in row]
    if not values:
        return "—"
    return f"{np.mean(values):.0f}" if column.startswith("×") else f"{np.mean(values):.1f}"


def tables(sets: list[ListeningSet], rows: dict[str, dict[str, list[dict[str, float]]]]) -> Iterator[str]:
    """A table for each quantity: a row for each listener, a column for each set, the unknown sets first."""
    order = sorted(sets, key=lambda some: some.known)
    heads = [f"{some.name} ({'known' if some.known else 'unknown'} timbre)" for some in order]
    for column in COLUMNS:
        speakers = {
            name: per for name, per in rows.items() if any(column in row for some in per.values() for row in some)
        }
        lines = [
            f"| {name} | " + " | ".join(cell(per.get(some.name, []), column) for some in order) + " |"
            for name, per in speakers.items()
        ]
        yield "\n".join([f"| {column} | " + " | ".join(heads) + " |", "|" + "---|" * (len(order) + 1), *lines])


class Belief:
    """What the analyser said with which confidence, and whether it was right: of chords, tempo, meter and key."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[float, float, float]]] = {}

    def add(self, song: AnnotatedSong, wave: np.ndarray, heard: Estimate) -> None:
        """One song."""
        self.rows.setdefault("chord", []).extend(told(song, heard))
        for name, row in judged(song, wave).items():
            self.rows.setdefault(name, []).append(row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).parents[1]
    parser.add_argument("--data", type=Path, default=root / "../shared/data", help="pop909 and openewld lie in it")
    parser.add_argument("--fluid", type=Path, default=None, help="FluidR3 as .sf2 or .sf3; default $MUSETUNE_SOUNDFONT")
    parser.add_argument("--materials", type=Path, default=root / ".cache/materials", help="what materials.py unpacked")
    parser.add_argument("--sets", default="", help="names, comma between; '' for all")
    parser.add_argument("--songs", type=int, default=15, help="of POP909")
    parser.add_argument("--others", type=int, default=10, help="tunes accompanied by MMA, and MIDI files of others")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--peers", default=",".join(PEERS), help="names, comma between; '' for none")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sets = choose(all_sets(args), args.sets)
    names = [name for name in args.peers.split(",") if name]
    absent = {name: reason for name in names if (reason := PEERS[name].missing())}
    rows: dict[str, dict[str, list]] = {name: {} for name in ("musetune", *(n for n in names if n not in absent))}
    beliefs, certainty = {True: Belief(), False: Belief()}, {some.name: [] for some in sets}
    ours(np.random.default_rng(0).normal(0, 0.1, 5 * RATE))  # first calls compile and load
    for some in sets:
        for song, wave, sure in tqdm(some.songs(), desc=some.name):
            said, heard = ours(wave)
            beliefs[some.known].add(song, wave, heard)
            certainty[some.name].append(sure)
            rows["musetune"].setdefault(some.name, []).append(score(song, said))
            for name in rows.keys() - {"musetune"}:
                rows[name].setdefault(some.name, []).append(score(song, PEERS[name].listen(wave)))
    print(f"Means in per cent; songs of {args.seconds:.0f} s. Unknown timbre: {HeldOutSound.find(args.materials)}\n")
    for some in sets:
        sure = f", mean certainty {np.mean(certainty[some.name]):.2f}" if some.name == "others" else ""
        print(f"- {some.name}: {len(certainty[some.name])} songs; truth of the chords: {some.truth}{sure}")
    for table in tables(sets, rows):
        print("\n" + table)
    for name, reason in absent.items():
        print(f"\nabsent: {name}: {reason}")
    for known, belief in beliefs.items():
        for name, said in belief.rows.items():
            print(f"\n{name} confidence on {'known' if known else 'unknown'} timbre:", reliability(said))


if __name__ == "__main__":
    main()
