"""How well the analyser hears, beside the listeners that install here, on songs and soundfonts that its training never
saw.

    python benchmarks/analysis.py --data ../shared/data [--fluid FluidR3Mono_GM.sf3] [--songs 15] [--others 10] [--peers
    chordino,madmom]

Three sets, in this order in each cell: POP909 songs (numbers that end in 5, tens even) as written on FluidR3, the
same on TimGM6mb, and OpenEWLD tunes accompanied by MMA on FluidR3 (see songs.py; left out where mma is not
installed). Every listener hears the same samples in the same run, each on one core; scores by mir_eval in per cent
(beats at ±70 ms without trimming), and how much faster than real time (by processor time). Peers: see peers.py; those
that cannot run are named as absent. Then how far the analyser's confidences can be believed: expected calibration error
(Guo et al., ICML 2017) over ten bins, and the reliability table.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core, as the peers
import mir_eval
import numpy as np
from peers import PEERS
from songs import accompanied, mma_missing, pop909
from tqdm import tqdm

from musetune.analysis import analyze, hear
from musetune.audio.source import RATE
from musetune.datasets.band import render
from musetune.datasets.corpus import AnnotatedSong
from musetune.symbols.estimate import Estimate

COLUMNS = ("root", "majmin", "sevenths", "inversions", "beat F", "AMLt", "downbeat F", "tempo", "key", "× real time")
FIELDS = ("intervals", "labels", "beats", "downbeats", "bpm", "key")
BINS = 10


def ours(wave: np.ndarray) -> tuple[dict, Estimate]:
    """What the analyser says, in the terms of the peers."""
    began = time.process_time()
    heard = hear(wave, RATE)
    seconds = time.process_time() - began
    values = (heard.intervals_s, heard.labels, heard.beats_s, heard.downbeats_s, heard.bpm, heard.key)
    return dict(zip(FIELDS, values, strict=True)) | {"cpu_seconds": seconds}, heard


def sets(args: argparse.Namespace) -> Iterator[tuple[int, AnnotatedSong, np.ndarray]]:
    """(set, song, sound) of all songs."""
    for number, font in enumerate((args.fluid, timgm6mb())):
        for song in pop909(args.data / "pop909", args.songs, args.seconds):
            yield number, song, render(song, font)
    if (reason := mma_missing()) is None:
        for song in accompanied(args.data / "openewld", args.others, args.seconds):
            yield 2, song, render(song, args.fluid)
    else:
        print(f"third set left out: {reason}")


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
        if said.get("key"):
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
    same = key is not None and mir_eval.key.weighted_score(_mir_key(song.key), str(key)) == 1
    return {
        "tempo": (found.bpm_confidence, float(near), 1.0),
        "meter": (found.meter_confidence, float(str(sheet.meter) == song.meter), 1.0),
        "key": (found.key_confidence, float(same), 1.0),
    }


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


def cells(rows: dict[int, list[dict[str, float]]], column: str) -> str:
    """Means of the sets, as 93.8 / 95.1 / 76.0."""
    values = [[row[column] for row in rows[number] if column in row] for number in sorted(rows)]
    if not any(values):
        return "—"
    return " / ".join(f"{np.mean(some):.0f}" if column.startswith("×") else f"{np.mean(some):.1f}" for some in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=Path(__file__).parents[1] / "../shared/data", help="pop909 and openewld lie in it"
    )
    parser.add_argument("--fluid", type=Path, default=None, help="FluidR3 as .sf2 or .sf3; default $MUSETUNE_SOUNDFONT")
    parser.add_argument("--songs", type=int, default=15, help="of POP909")
    parser.add_argument("--others", type=int, default=10, help="tunes accompanied by MMA")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--peers", default=",".join(PEERS), help="names, comma between; '' for none")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    names = [name for name in args.peers.split(",") if name]
    absent = {name: reason for name in names if (reason := PEERS[name].missing())}
    rows: dict[str, dict[int, list]] = {name: {} for name in ("musetune", *(n for n in names if n not in absent))}
    chords: list[tuple[float, float, float]] = []
    others: dict[str, list[tuple[float, float, float]]] = {"tempo": [], "meter": [], "key": []}
    ours(np.random.default_rng(0).normal(0, 0.1, 5 * RATE))  # first calls compile and load
    for number, song, wave in tqdm(list(sets(args)), desc="listening"):
        said, heard = ours(wave)
        chords += told(song, heard)
        for name, row in judged(song, wave).items():
            others[name].append(row)
        rows["musetune"].setdefault(number, []).append(score(song, said))
        for name in rows.keys() - {"musetune"}:
            rows[name].setdefault(number, []).append(score(song, PEERS[name].listen(wave)))
    print(
        f"{args.songs} POP909 songs on FluidR3 / the same on TimGM6mb / tunes by MMA on FluidR3; {args.seconds:.0f} s "
        f"each; means"
    )
    print("| | " + " | ".join(COLUMNS) + " |\n|" + "---|" * (len(COLUMNS) + 1))
    for name, per_set in rows.items():
        print(f"| {name} | " + " | ".join(cells(per_set, column) for column in COLUMNS) + " |")
    for name, reason in absent.items():
        print(f"\nabsent: {name}: {reason}")
    print("\nchord confidence against sevenths, by time:", reliability(chords))
    for name, said in others.items():
        print(f"\n{name} confidence, by song:", reliability(said))


if __name__ == "__main__":
    main()
