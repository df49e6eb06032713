"""Does our report judge a clip's chords as Chordino and crema do, at least as well as these two agree?

    python benchmarks/report_agreement.py [--materials .cache/materials] [--limit 60] [--cache FOLDER]

For each lead sheet of the test set three renderings by the soundfont and the drum kit that no training may hear (both
unpacked by recipes/analyzer/materials.py), so no audio is nano's: the sheet itself, another song's sheet, and the sheet
with about half of its chords changed to near ones (relative, parallel, a fifth or a step away, another seventh). Each
rendering is held against the sheet itself. Our report (`musetune.evaluation.report`), Chordino and crema say of each
chord whether it is heard as requested, all by the report's rule: the label that lasts longest has the same root and
third. `score` is what the rule says of the chords that were really played.

Printed are Cohen's kappa of each pair of listeners with 95 % bootstrap intervals (sheets drawn again, with their three
renderings together), what our report's kappas are over that of Chordino and crema, and how many chords each listener
calls right. With `--cache` what the two hear is kept, so that a second run, after training the analyser say, asks our
report alone. Chordino needs the extra `judge`, crema $MUSETUNE_PEERS_PYTHON: see peers.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # one core, as the peers
import numpy as np
from peers import PEERS
from songs import HeldOutSound
from tqdm import tqdm

from musetune.audio.source import RATE
from musetune.datasets.corpus import AnnotatedSong
from musetune.evaluation import load_test_sheets, report
from musetune.evaluation.agreement import REPLICATES, same_and_kappa
from musetune.evaluation.obedience import mismatched_sheets
from musetune.evaluation.reports import chord_rows
from musetune.evaluation.testset import TestSheet
from musetune.planning.rules.orchestrate import orchestrate
from musetune.symbols import Chord, LeadSheet
from musetune.symbols.estimate import Estimate

OURS, SCORE, PEER_NAMES = "report", "score", ("Chordino", "crema")
KINDS = ("the sheet", "another song's", "chords changed")
CHANGED = 0.5  # share of chords
MINOR = ("min", "min7", "min6", "minmaj7", "min9", "dim", "hdim7", "dim7")


def change_chords(sheet: LeadSheet, seed: int) -> LeadSheet:
    """The sheet with each chord, by a share of `CHANGED`, another one near it."""
    rng = np.random.default_rng(seed)
    spans = tuple(
        replace(span, chord=near_chord(span.chord, rng)) if span.chord.root and rng.random() < CHANGED else span
        for span in sheet.chords
    )
    return replace(sheet, chords=spans, melody=())


def near_chord(chord: Chord, rng: np.random.Generator) -> Chord:
    """The relative, the parallel, the chord a fifth or a step above, or the same root with another seventh."""
    minor = chord.quality in MINOR
    way = rng.integers(5)
    if way == 0:
        return _moved(chord, 3 if minor else 9, "maj" if minor else "min")
    if way == 1:
        return _moved(chord, 0, "maj" if minor else "min")
    if way in (2, 3):
        return _moved(chord, 7 if way == 2 else 2, "min" if minor else "maj")
    return _moved(chord, 0, "min7" if minor else "7")


def _moved(chord: Chord, semitones: int, quality: str) -> Chord:
    """A chord of `quality` whose root is so far above."""
    return replace(chord, quality=quality, bass="1", intervals=()).transpose(semitones)


def play(sheet: LeadSheet, seed: int, sound: HeldOutSound) -> np.ndarray:
    """(samples,) at RATE: the sheet arranged by rule, on the held-out sound."""
    midi = orchestrate(sheet, seed=seed).arrangement.to_pretty_midi()
    times = np.asarray(sheet.chord_intervals_s, float), list(sheet.chord_labels), sheet.beats_s, sheet.downbeats_s
    return sound.render(AnnotatedSong("", midi, *times, "none", sheet.duration_s))


def renderings(tests: Sequence[TestSheet]) -> Iterator[tuple[TestSheet, str, LeadSheet]]:
    """Each test with the kinds of what is played, and the sheet that is."""
    for test, other in zip(tests, mismatched_sheets(tests, tests), strict=True):
        yield test, KINDS[0], test.sheet
        yield test, KINDS[1], other.sheet
        yield test, KINDS[2], change_chords(test.sheet, test.seed)


def ask_peer(name: str, wave: np.ndarray, cache: Path | None) -> tuple[np.ndarray, list[str]]:
    """Intervals (n, 2) and labels that a peer hears, from the cache where it heard this wave before."""
    digest = hashlib.blake2b(np.asarray(wave, "<f4").tobytes(), digest_size=8).hexdigest()
    path = None if cache is None else cache / f"{name}-{digest}.json"
    if path is not None and path.exists():
        said = json.loads(path.read_text())
        return np.array(said["intervals"]), said["labels"]
    heard = PEERS[name].listen(wave)
    intervals, labels = np.asarray(heard["intervals"], float), [str(label) for label in heard["labels"]]
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"intervals": intervals.tolist(), "labels": labels}))
    return intervals, labels


def verdicts_of(
    wave: np.ndarray, played: LeadSheet, sheet: LeadSheet, cache: Path | None = None
) -> dict[str, list[bool]]:
    """Listener → for each chord of `sheet` whether it is heard in a wave of `played`; and what the score says."""
    spans = {name: ask_peer(name, wave, cache) for name in PEER_NAMES}
    spans[SCORE] = np.asarray(played.chord_intervals_s, float), list(played.chord_labels)
    rows = {name: chord_rows(sheet, _estimate(*spoken)) for name, spoken in spans.items()}
    rows[OURS] = report(wave, RATE, sheet).to_json()["chords"]
    return {name: [row["match"] for row in chords] for name, chords in rows.items()}


def _estimate(intervals_s: np.ndarray, labels: list[str]) -> Estimate:
    return Estimate(intervals_s, labels, np.full(len(labels), np.nan), np.zeros(0), np.zeros(0), None, None)


def confusions(records: Sequence[tuple[str, str, dict[str, list[bool]]]], one: str, other: str) -> np.ndarray:
    """(sheets, 4): chords that both call right, `one` alone, `other` alone, neither, for each sheet."""
    sheets: dict[str, np.ndarray] = {}
    for sheet, _, said in records:
        a, b = np.array(said[one], bool), np.array(said[other], bool)
        counts = np.array([(a & b).sum(), (a & ~b).sum(), (~a & b).sum(), (~a & ~b).sum()], float)
        sheets[sheet] = sheets.get(sheet, np.zeros(4)) + counts
    return np.array(list(sheets.values()))


def kappas(counts: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """(1 + draws,): kappa of all sheets, and of each draw (draws, sheets)."""
    totals = np.concatenate([counts.sum(axis=0)[None], counts[draws].sum(axis=1)])
    kappa: np.ndarray = same_and_kappa(totals)[1]
    return kappa


def figure(values: np.ndarray) -> str:
    """0.91 (0.88–0.93)."""
    low, high = np.nanpercentile(values[1:], [2.5, 97.5])
    return f"{values[0]:.2f} ({low:.2f}–{high:.2f})"


def tables(records: Sequence[tuple[str, str, dict[str, list[bool]]]]) -> Iterator[str]:
    """Kappa of each pair; the difference that counts; how many chords each calls right."""
    names = (OURS, *PEER_NAMES, SCORE)
    sheets = len({sheet for sheet, _, _ in records})
    draws = np.random.default_rng(0).integers(0, sheets, (REPLICATES, sheets))
    pairs = {pair: kappas(confusions(records, *pair), draws) for pair in combinations(names, 2)}
    lines = [f"| {one} and {other} | {figure(values)} |" for (one, other), values in pairs.items()]
    yield "\n".join([f"| same verdict on a chord, {sheets} sheets | kappa |", "|---|---|", *lines])
    yardstick = pairs[PEER_NAMES]
    lines = [f"| {OURS} and {peer} | {figure(pairs[OURS, peer] - yardstick)} |" for peer in PEER_NAMES]
    yield "\n".join([f"| kappa over that of {' and '.join(PEER_NAMES)} | difference |", "|---|---|", *lines])
    rows = []
    for kind in KINDS:
        here = [said for _, which, said in records if which == kind]
        shares = [f"{100 * np.mean([v for said in here for v in said[name]]):.1f}" for name in names]
        rows.append(f"| {kind} | " + " | ".join(shares) + " |")
    yield "\n".join(["| chords called right, % | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).parents[1]
    parser.add_argument("--materials", type=Path, default=root / ".cache/materials", help="what materials.py unpacked")
    parser.add_argument("--limit", type=int, default=60, help="lead sheets, at least 3")
    parser.add_argument("--cache", type=Path, help="folder for what Chordino and crema hear")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    if absent := [f"{name}: {reason}" for name in PEER_NAMES if (reason := PEERS[name].missing())]:
        raise SystemExit("cannot compare without " + "; ".join(absent))
    sound, tests = HeldOutSound.find(args.materials), load_test_sheets()[: args.limit]
    records = [
        (test.id, kind, verdicts_of(play(played, test.seed, sound), played, test.sheet, args.cache))
        for test, kind, played in tqdm(list(renderings(tests)), disable=None)
    ]
    print(f"Played by {sound}; each kind has {sum(len(said[SCORE]) for _, _, said in records) // 3} chords.")
    for table in tables(records):
        print("\n" + table)


if __name__ == "__main__":
    main()
