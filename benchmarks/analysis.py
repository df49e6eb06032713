"""How well the analyser hears, beside the listeners that install here, on known and on unknown music.

    python benchmarks/analysis.py --data ../shared/data [--materials .cache/materials] [--sets pop-fluid,bands,mp3]
        [--songs 15] [--others 10] [--recast 20] [--meters 6/8,3/4,4/4] [--peers Chordino,madmom]
        [--out docs/results/analyser.json]

No set holds a song that training heard. Known timbre: `pop-fluid`, POP909 songs (numbers that end in 5, tens even) as
written on FluidR3; `mma-fluid`, OpenEWLD tunes accompanied by MMA on FluidR3 (left out where mma is not installed).
Unknown: `pop-timgm`, the POP909 songs on TimGM6mb, the soundfont that no training may hear; with the drum kit that none
may hear (both unpacked by recipes/analyzer/materials.py) `bands`, POP909 with a band; `grooves`, the tunes accompanied
by MMA; `others`, MIDI files that others arranged; `mp3`, `bands` through MP3 at 64 kbit/s; `recast`, 60 songs with a
band recast in 6/8, 3/4 and 4/4; and `recordings`, eight songs of Frets on Fire as their bands recorded them
(recordings.py). Where the kit is missing the soundfont's own drums play, and the table says so. Known means that
training may hear the timbre: weights trained before FluidR3 was let in (until 2026-11-29) do not know it.

Every listener hears the same samples in the same run, each on one core; scores by mir_eval in per cent (beats at ±70 ms
without trimming; chords weigh as long as they are known; level: tempo within a quarter of an octave, so neither half
nor double; meter: the analyser's by name, a peer's by how many beats its bars have), and how much faster than real time
(by processor time). `recast` and `recordings` are heard by the peers that hear bars. Peers: see peers.py; those that
cannot run are named as absent. Then how far the analyser's confidences can be believed, on known and on unknown music:
expected calibration error (Guo et al., ICML 2017) over ten bins, and the reliability table. `--out` writes all of it
for tools/docs_results.py; sets that were not heard this time stay there as they were.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core, as the peers
import mir_eval
import numpy as np
from peers import PEERS
from recordings import missing as recordings_missing
from recordings import recordings
from songs import (
    HeldOutSound,
    accompanied,
    half_bar_agreement,
    meter_songs,
    mma_missing,
    others,
    pop909,
    with_bands,
)
from tqdm import tqdm

from musetune.analysis import Analysis, analyze, hear
from musetune.analysis.listening.vocabulary import BEATS
from musetune.audio.source import RATE
from musetune.datasets.band import render
from musetune.datasets.corpus import AnnotatedSong
from musetune.symbols.estimate import Estimate

COLUMNS = (
    "root", "majmin", "sevenths", "inversions", "beat F", "AMLt", "downbeat F", "tempo", "level", "meter", "key",
    "× real time",
)  # fmt: skip
CHORD_COLUMNS = ("root", "majmin", "sevenths", "inversions")
KNOWN_S = "known s"  # in a song's row: seconds whose chord is known
FIELDS = ("intervals", "labels", "beats", "downbeats", "bpm", "key")
BINS = 10
BAR_PEERS = ("madmom", "BeatNet")  # they hear bars; the only ones that hear the sets without chords


def ours(wave: np.ndarray) -> tuple[dict, Estimate]:
    """What the analyser says, in the terms of the peers."""
    began = time.process_time()
    heard = hear(wave, RATE)
    seconds = time.process_time() - began
    values = (heard.intervals_s, heard.labels, heard.beats_s, heard.downbeats_s, heard.bpm, heard.key)
    return dict(zip(FIELDS, values, strict=True)) | {"cpu_seconds": seconds}, heard


@dataclass(frozen=True)
class ListeningSet:
    """`known`: whether training may hear its soundfont; `chords`, `beats`: where their truth comes from and how sure it
    is, in words; `bars_only`: only BAR_PEERS hear it."""

    name: str
    known: bool
    chords: str
    beats: str
    songs: Callable[[], Iterator[tuple[AnnotatedSong, np.ndarray, float]]]  # song, sound, certainty of its chords 0…1
    missing: Callable[[], str | None] = lambda: None
    bars_only: bool = False

    @property
    def truth(self) -> str:
        """How sure its truth is."""
        return f"chords {self.chords}; beats and bar lines {self.beats}"


ANNOTATED = "by POP909's authors from its notes"
TEMPO_MAP = "by the file's tempo map; files with over a quarter of their notes off its grid are left out"
IN_THE_GAME = (
    "by the game's tempo map, checked by onsets to 20 ms; bar lines by where harmony changes, in seven songs of eight"
)


def all_sets(args: argparse.Namespace, odd: bool = False, sound: HeldOutSound | None = None) -> list[ListeningSet]:
    """Every set; nothing is rendered before its songs are asked for. `odd`: other songs, for tuning; `sound`:
    plays them instead of the sound that is held out."""
    sound, folder = sound or HeldOutSound.find(args.materials), args.data / "pop909"

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

    def meters() -> Iterator[tuple[AnnotatedSong, np.ndarray, float]]:
        names = tuple(args.meters.split(","))
        for song in meter_songs(folder, args.recast, args.seconds, names, odd):
            yield song, sound.render(song), 1.0

    def recorded() -> Iterator[tuple[AnnotatedSong, np.ndarray, float]]:
        return ((song, wave, 1.0) for song, wave in recordings(args.materials, args.seconds))

    pop_truth, chart = (ANNOTATED, ANNOTATED), ("and all are the chart that is played", "by construction")
    rule, cut = "by half bars from the notes", "by POP909's authors, bars then cut by rule"
    return [
        ListeningSet("pop-fluid", True, *pop_truth, lambda: pop(args.fluid)),
        ListeningSet("pop-timgm", False, *pop_truth, lambda: pop(timgm6mb())),
        ListeningSet("mma-fluid", True, *chart, lambda: tunes(lambda s: render(s, args.fluid)), mma_missing),
        ListeningSet("bands", False, *pop_truth, lambda: bands(False)),
        ListeningSet("grooves", False, *chart, lambda: tunes(sound.render), mma_missing),
        ListeningSet("others", False, rule, TEMPO_MAP, foreign, lambda: others_missing(args.materials)),
        ListeningSet("mp3", False, *pop_truth, lambda: bands(True)),
        ListeningSet("recast", False, ANNOTATED, cut, meters, bars_only=True),
        ListeningSet(
            "recordings",
            False,
            "unknown",
            IN_THE_GAME,
            recorded,
            lambda: recordings_missing(args.materials),
            bars_only=True,
        ),
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
        if said.get("labels") and song.labels:
            found = mir_eval.chord.evaluate(song.intervals_s, song.labels, said["intervals"], list(said["labels"]))
            row |= {name: found[name] for name in ("root", "majmin", "sevenths")}
            row["inversions"] = found["majmin_inv"]
        spans = zip(song.intervals_s, song.labels, strict=True)
        row[KNOWN_S] = float(sum(end - start for (start, end), label in spans if label != "X"))
        for column, field, truth in (("beat F", "beats", song.beats_s), ("downbeat F", "downbeats", song.downbeats_s)):
            if said.get(field) is not None and len(truth):
                row[column] = mir_eval.beat.f_measure(truth, np.asarray(said[field], float))
        if said.get("beats") is not None:
            row["AMLt"] = mir_eval.beat.continuity(song.beats_s, np.asarray(said["beats"], float))[3]
        if said.get("bpm") and said.get("beats") is not None:
            row["tempo"] = float(abs(said["bpm"] / song.bpm - 1) < 0.04)
            row["level"] = float(abs(np.log2(said["bpm"] / song.bpm)) < 0.25)
        if (meter := name_meter(said)) is not None and len(song.downbeats_s):
            row["meter"] = float(meter in (song.meter, *BARS_OF[song.meter]))
        if said.get("key") and song.key != "none":
            row["key"] = mir_eval.key.weighted_score(_mir_key(song.key), said["key"])
    return {name: 100 * value for name, value in row.items()} | {"× real time": song.duration_s / said["cpu_seconds"]}


BARS_OF = {meter: (f"{beats} beats",) for meter, beats in BEATS.items()}
BARS_OF["6/8"] += ("6 beats",)  # who counts its eighths is right


def name_meter(said: dict) -> str | None:
    """The analyser's meter, such as "6/8"; of others how many beats most bars have, such as "4 beats"."""
    if said.get("meter") is not None:
        return str(said["meter"])
    beats, lines = said.get("beats"), said.get("downbeats")
    if beats is None or lines is None or len(lines) < 2:
        return None
    sizes = Counter(np.diff(np.searchsorted(np.asarray(beats) + 0.01, lines)).tolist())
    return f"{sizes.most_common(1)[0][0]} beats"


def _mir_key(label: str) -> str:
    tonic, mode = label.split(":")
    return f"{tonic} {'major' if mode.startswith('maj') else 'minor'}"


def chord_beliefs(song: AnnotatedSong, heard: Estimate) -> list[tuple[float, float, float]]:
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


def judged(song: AnnotatedSong, found: Analysis) -> dict[str, tuple[float, float, float]]:
    """(confidence, whether right, 1) of the record's tempo, meter and key, as far as they are known."""
    sheet, key = found.lead_sheet, found.key
    near = abs(sheet.bpm / song.bpm - 1) < 0.04
    rows = {"tempo": (found.bpm_confidence, float(near), 1.0)}
    if len(song.downbeats_s):
        rows["meter"] = (found.meter_confidence, float(str(sheet.meter) == song.meter), 1.0)
    if song.key != "none":
        same = key is not None and mir_eval.key.weighted_score(_mir_key(song.key), str(key)) == 1
        rows["key"] = (found.key_confidence, float(same), 1.0)
    return rows


def reliability(rows: list[tuple[float, float, float]]) -> tuple[float, list[tuple[float, float, float]]]:
    """Expected calibration error; (mean confidence, share right, share of all in per cent) of each bin."""
    sure, right, weight = np.array(rows).T
    bins = np.minimum((sure * BINS).astype(int), BINS - 1)
    table, error = [], 0.0
    for number in range(BINS):
        here = bins == number
        if share := weight[here].sum() / weight.sum():
            said, was = (float(np.average(column[here], weights=weight[here])) for column in (sure, right))
            error += share * abs(said - was)
            table.append((said, was, 100 * share))
    return float(error), table


def reliability_text(rows: list[tuple[float, float, float]]) -> str:
    """The table, and the expected calibration error above it."""
    error, table = reliability(rows)
    lines = [f"  {said:9.2f} {was:9.2f} {share:8.1f} %" for said, was, share in table]
    return f"expected calibration error {error:.3f}\n       said       was     share\n" + "\n".join(lines)


def mean_of(rows: list[dict[str, float]], column: str) -> float:
    """Of a set's songs; chords weigh as long as they are known, as MIREX has it; NaN where no song has the column."""
    some = [row for row in rows if column in row]
    weights = [row.get(KNOWN_S, 1.0) if column in CHORD_COLUMNS else 1.0 for row in some]
    return float(np.average([row[column] for row in some], weights=weights)) if sum(weights) else float("nan")


def cell(rows: list[dict[str, float]], column: str) -> str:
    """Mean of a set's songs, as 93.8."""
    mean = mean_of(rows, column)
    return "—" if np.isnan(mean) else f"{mean:.0f}" if column.startswith("×") else f"{mean:.1f}"


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


class Belief:
    """What the analyser said with which confidence, and whether it was right: of chords, tempo, meter and key."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[float, float, float]]] = {}

    def add(self, song: AnnotatedSong, heard: Estimate, found: Analysis) -> None:
        """One song."""
        if song.labels:
            self.rows.setdefault("chord", []).extend(chord_beliefs(song, heard))
        for name, row in judged(song, found).items():
            self.rows.setdefault(name, []).append(row)


@dataclass
class Findings:
    """All that a run found.

    Attributes:
        rows: Of each listener and set, the scores of each song.
        meters: Of each listener, what it heard of each meter of `recast`.
        beliefs: On known (True) and unknown timbre.
        certainty: Of each set, how certain the chords of each song are.
    """

    rows: dict[str, dict[str, list[dict[str, float]]]]
    meters: dict[str, dict[str, Counter[str]]]
    beliefs: dict[bool, Belief]
    certainty: dict[str, list[float]]

    def add(self, some: ListeningSet, song: AnnotatedSong, name: str, said: dict) -> None:
        """What a listener said of a song."""
        self.rows[name].setdefault(some.name, []).append(score(song, said))
        if some.name == "recast" and (meter := name_meter(said)):
            self.meters.setdefault(name, {}).setdefault(song.meter, Counter())[meter] += 1

    def record(self, sets: list[ListeningSet], truths: dict[str, str]) -> dict:
        """As JSON has it: means rounded to 0.01."""
        means: dict[str, dict[str, dict[str, float]]] = {}
        for name, per in self.rows.items():
            for of, rows in per.items():
                columns = [column for column in COLUMNS if any(column in row for row in rows)]
                means.setdefault(name, {})[of] = {column: round(mean_of(rows, column), 2) for column in columns}
        calibration = {
            f"{name}, {'known' if known else 'unknown'} timbre": round(reliability(rows)[0], 3)
            for known, belief in self.beliefs.items()
            for name, rows in belief.rows.items()
        }
        about = {
            some.name: {"known": some.known, "songs": len(self.certainty[some.name]), "truth": truths[some.name]}
            for some in sets
        }
        return {"sets": about, "means": means, "meters": self.meters, "calibration": calibration}


def write_record(path: Path, record: dict) -> None:
    """Put a run's record into the file, whose other entries stay; so do the sets that were not heard this time."""
    old = json.loads(path.read_text()) if path.is_file() else {}
    means = old.get("means", {})
    for name, per in record["means"].items():
        means[name] = means.get(name, {}) | per
    record = record | {
        "sets": old.get("sets", {}) | record["sets"],
        "means": means,
        "meters": old.get("meters", {}) | record["meters"],
        "calibration": old.get("calibration", {}) | record["calibration"],
    }
    kept = {name: value for name, value in old.items() if name not in ("columns", "rows")}
    path.write_text(json.dumps(kept | record, indent=1, ensure_ascii=False) + "\n")


def truths_of(sets: list[ListeningSet], certainty: dict[str, list[float]], args: argparse.Namespace) -> dict[str, str]:
    """How sure the truth of each set is; of `others` with the agreement of its rule with POP909's authors."""
    truths = {some.name: some.truth for some in sets}
    if "others" in truths:
        agreement = half_bar_agreement(args.data / "pop909", args.songs, args.seconds)
        truths["others"] += (
            f"; mean certainty of its chords {np.mean(certainty['others']):.2f}; on POP909 the rule is sure "
            f"{agreement['share']:.0f} % of the time and then agrees with its authors in {agreement['majmin']:.0f} % "
            f"(majmin), {agreement['sevenths']:.0f} % (sevenths); what it is unsure of (right in "
            f"{agreement['unsure']:.0f} %) is not counted"
        )
    return truths


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).parents[1]
    parser.add_argument("--data", type=Path, default=root / "../shared/data", help="pop909 and openewld lie in it")
    parser.add_argument("--fluid", type=Path, default=None, help="FluidR3 as .sf2 or .sf3; default $MUSETUNE_SOUNDFONT")
    parser.add_argument("--materials", type=Path, default=root / ".cache/materials", help="what materials.py unpacked")
    parser.add_argument("--sets", default="", help="names, comma between; '' for all")
    parser.add_argument("--songs", type=int, default=15, help="of POP909")
    parser.add_argument("--others", type=int, default=10, help="tunes accompanied by MMA, and MIDI files of others")
    parser.add_argument("--recast", type=int, default=20, help="songs in each of --meters")
    parser.add_argument("--meters", default="6/8,3/4,4/4", help="of the set recast; also 2/4, 5/4, 7/8")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--peers", default=",".join(PEERS), help="names, comma between; '' for none")
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
    for known, belief in found.beliefs.items():
        for name, rows in belief.rows.items():
            print(f"\n{name} confidence on {'known' if known else 'unknown'} timbre:", reliability_text(rows))


def main() -> None:
    args = arguments()
    import torch

    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sets = choose(all_sets(args), args.sets)
    names = [name for name in args.peers.split(",") if name]
    absent = {name: reason for name in names if (reason := PEERS[name].missing())}
    found = Findings(
        {name: {} for name in ("musetune", *(n for n in names if n not in absent))},
        {},
        {True: Belief(), False: Belief()},
        {some.name: [] for some in sets},
    )
    ours(np.random.default_rng(0).normal(0, 0.1, 5 * RATE))  # first calls compile and load
    for some in sets:
        for song, wave, sure in tqdm(some.songs(), desc=some.name):
            said, heard = ours(wave)
            try:
                analysis = analyze(wave, RATE)
                found.beliefs[some.known].add(song, heard, analysis)
                meter = str(analysis.lead_sheet.meter)
            except ValueError as error:  # it hears no pulse: its meter is wrong, and the other songs go on
                print(f"{song.name}: {error}", file=sys.stderr)
                meter = "none"
            found.certainty[some.name].append(sure)
            found.add(some, song, "musetune", said | {"meter": meter})
            for name in found.rows.keys() - {"musetune"}:
                if name in BAR_PEERS or not some.bars_only:
                    found.add(some, song, name, PEERS[name].listen(wave))
    truths = truths_of(sets, found.certainty, args)
    print(f"Means in per cent; songs of {args.seconds:.0f} s. Unknown timbre: {HeldOutSound.find(args.materials)}\n")
    report(found, sets, truths)
    for name, reason in absent.items():
        print(f"\nabsent: {name}: {reason}")
    if args.out:
        write_record(args.out, found.record(sets, truths))


if __name__ == "__main__":
    main()
