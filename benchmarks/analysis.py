"""How well the analyser hears, beside the listeners that install here, on known and on unknown music.

    python benchmarks/analysis.py --data ../shared/data [--materials .cache/materials] [--sets pop-fluid,bands,mp3]
        [--songs 15] [--others 10] [--files 40] [--recast 20] [--meters 6/8,3/4,4/4] [--peers Chordino,madmom]
        [--out docs/results/analyser.json]

No set holds a song that training heard. Known timbre: `pop-fluid`, POP909 songs (numbers that end in 5, tens even) as
written on FluidR3; `mma-fluid`, OpenEWLD tunes accompanied by MMA on FluidR3 (left out where mma is not installed).
Unknown: `pop-timgm`, the POP909 songs on TimGM6mb, the soundfont that no training may hear; with the drum kit that none
may hear (both unpacked by recipes/analyzer/materials.py) `bands`, POP909 with a band; `grooves`, the tunes accompanied
by MMA; `others`, MIDI files that others arranged; `mp3`, `bands` through MP3 at 64 kbit/s; `recast`, 20 songs with a
band, each recast in 6/8, 3/4 and 4/4; and `recordings`, eight songs of Frets on Fire as their bands recorded them
(recordings.py). Where the kit is missing the soundfont's own drums play, and the table says so. Known means that
training may hear the timbre: weights trained before FluidR3 was let in (until 2026-11-29) do not know it.

Every listener hears the same samples in the same run, each on one core; scores by mir_eval in per cent (beats at ±70 ms
without trimming; a song's chords weigh as many seconds as the measure can compare: majmin and sevenths compare no power
chord and no suspension; level: tempo within a quarter of an octave, so neither half nor double; meter: the analyser's
by name, a peer's by how many beats its bars have), with 95 % bootstrap intervals over songs, and how much faster than
real time (by processor time). `recast` and `recordings` are heard by the peers that hear bars. Peers: see peers.py;
those that cannot run are named as absent. Then how far the analyser's confidences can be believed, on known and on
unknown music: expected calibration error (Guo et al., ICML 2017) over ten bins, and the reliability table. `--out`
writes all of it for tools/docs_results.py after each set, with the digest of the weights that heard it. Sets that were
not heard this time stay there as they were. A set heard anew forgets what was heard of it before, whoever heard it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core, as the peers
import numpy as np
from listening_record import Findings, write_record
from listening_scores import COLUMNS, Row, cell, comparable_seconds
from listening_sets import BAR_PEERS, ListeningSet, all_sets, choose, truths_of
from peers import PEERS, PeerMemory
from reliability import Belief, reliability_text
from songs import HeldOutSound
from tqdm import tqdm

from musetune.analysis import analyze, hear
from musetune.audio.source import RATE
from musetune.symbols.estimate import Estimate

FIELDS = ("intervals", "labels", "beats", "downbeats", "bpm", "key")


def ours(wave: np.ndarray) -> tuple[dict, Estimate]:
    """What the analyser says, in the terms of the peers."""
    began = time.process_time()
    heard = hear(wave, RATE)
    seconds = time.process_time() - began
    values = (heard.intervals_s, heard.labels, heard.beats_s, heard.downbeats_s, heard.bpm, heard.key)
    return dict(zip(FIELDS, values, strict=True)) | {"cpu_seconds": seconds}, heard


def tables(sets: list[ListeningSet], rows: dict[str, dict[str, list[Row]]]) -> Iterator[str]:
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


def confusion(heard: dict[str, dict[str, Counter[str]]]) -> str:
    """A row for each meter played, a column for each listener: what it said, and how often."""
    meters = list(dict.fromkeys(meter for counts in heard.values() for meter in counts))
    lines = [f"| meter played | {' | '.join(f'{name} heard' for name in heard)} |", "|" + "---|" * (len(heard) + 1)]
    for meter in meters:
        cells = [
            ", ".join(f"{n} {c}" for n, c in counts.get(meter, Counter()).most_common()) for counts in heard.values()
        ]
        lines.append(f"| {meter} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).parents[1]
    parser.add_argument("--data", type=Path, default=root / "../shared/data", help="pop909 and openewld lie in it")
    parser.add_argument("--fluid", type=Path, default=None, help="FluidR3 as .sf2 or .sf3; default $MUSETUNE_SOUNDFONT")
    parser.add_argument("--materials", type=Path, default=root / ".cache/materials", help="what materials.py unpacked")
    parser.add_argument("--sets", default="", help="names, comma between; '' for all")
    parser.add_argument("--songs", type=int, default=15, help="of POP909")
    parser.add_argument("--others", type=int, default=10, help="tunes accompanied by MMA")
    parser.add_argument("--files", type=int, default=40, help="MIDI files of others, at most")
    parser.add_argument("--recast", type=int, default=20, help="songs in each of --meters")
    parser.add_argument("--meters", default="6/8,3/4,4/4", help="of the set recast; also 2/4, 5/4, 7/8")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--peers", default=",".join(PEERS), help="names, comma between; '' for none")
    parser.add_argument(
        "--memory", type=Path, default=None, help="keeps what peers said of each sound, to go on or repeat"
    )
    parser.add_argument("--out", type=Path, default=None, help="the record as JSON, for tools/docs_results.py")
    return parser.parse_args()


def report(found: Findings, sets: list[ListeningSet], truths: dict[str, str]) -> None:
    """Print what was found."""
    for some in sets:
        print(f"- {some.name}: {len(found.certainty[some.name])} songs; truth: {truths[some.name]}")
    for table in tables(sets, found.rows):
        print("\n" + table)
    if found.meters:
        print("\n" + confusion(found.meters))
    for some in sets:
        if seconds := comparable_seconds(found.rows["musetune"].get(some.name, [])):
            print(
                f"\n{some.name}, seconds compared:", ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())
            )
    for known in (False, True):
        beliefs = [found.beliefs[some.name].rows for some in sets if some.known == known]
        for name in dict.fromkeys(name for rows in beliefs for name in rows):
            rows = [row for belief in beliefs for row in belief.get(name, [])]
            print(f"\n{name} confidence on {'known' if known else 'unknown'} timbre:", reliability_text(rows))


def listen(found: Findings, some: ListeningSet, memory: PeerMemory) -> None:
    """Every listener hears a set."""
    belief = found.beliefs[some.name] = Belief()
    certainty = found.certainty[some.name] = []
    for song, wave, sure in tqdm(some.songs(), desc=some.name):
        said, heard = ours(wave)
        try:
            analysis = analyze(wave, RATE)
            belief.add(song, heard, analysis)
            meter = str(analysis.lead_sheet.meter)
        except ValueError as error:  # it hears no pulse: its meter is wrong, and the other songs go on
            print(f"{song.name}: {error}", file=sys.stderr)
            meter = "none"
        certainty.append(sure)
        found.add(some, song, "musetune", said | {"meter": meter})
        for name in found.rows.keys() - {"musetune"}:
            if name in BAR_PEERS or not some.bars_only:
                found.add(some, song, name, memory.listen(name, wave))


def main() -> None:
    args = arguments()
    import torch

    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sets = choose(all_sets(args), args.sets)
    names = [name for name in args.peers.split(",") if name]
    absent = {name: reason for name in names if (reason := PEERS[name].missing())}
    found = Findings.of(("musetune", *(name for name in names if name not in absent)))
    ours(np.random.default_rng(0).normal(0, 0.1, 5 * RATE))  # first calls compile and load
    truths = {}
    for some in sets:
        listen(found, some, PeerMemory(args.memory))
        truths |= truths_of([some], found.certainty, args)
        if args.out:
            write_record(args.out, found.record([of for of in sets if of.name in truths], truths))
    print(f"Means in per cent; songs of {args.seconds:.0f} s. Unknown timbre: {HeldOutSound.find(args.materials)}\n")
    report(found, sets, truths)
    for name, reason in absent.items():
        print(f"\nabsent: {name}: {reason}")


if __name__ == "__main__":
    main()
