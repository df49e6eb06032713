"""Are the analyser's confidences in chords, tempo, meter and key the probabilities that they should be?

    python benchmarks/certainty.py --data ../shared/data --materials .cache/materials [--songs 8] [--recast 12]
        [--sets bands,recast] [--rows out/heard.jsonl]
    python benchmarks/certainty.py … --fit [--rows out/fit.jsonl]

The sets are those of analysis.py. A row of the table for each quantity, on known and on unknown timbre: how many
statements, their mean confidence, how many of them are right, and the expected calibration error (Guo et al., ICML
2017; ten bins): of the shares before calibration, of the confidences, and in brackets what chance alone gives so many
statements whose confidence is perfect. Chords are weighed by their time, and right as sevenths are counted; a tempo
within 4 %. Last, how many meters are stated, and how many of these are right.

`--fit` learns the calibration anew and writes musetune/analysis/certainty.json: from other songs (POP909's numbers that
end in 5, tens odd; the tunes and MIDI files between those that measure), played by the soundfonts and kits that
training may hear; nothing of what measures. Run it after training the analyser's networks.

What was heard goes to `--rows`, a line for each statement; where that file is there already nothing is heard again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np
from bar_confidence import as_estimate
from listening_sets import ListeningSet, all_sets, choose
from reliability import chord_beliefs, judged, reliability
from scipy.optimize import minimize
from songs import training_sounds
from tqdm import tqdm

from musetune.analysis import analyze
from musetune.analysis.certainty import FILE, Calibration, Certainty, certainty, log_odds, uncalibrated
from musetune.audio.source import RATE

QUANTITIES = ("chord", "tempo", "meter", "key")
FITTED = "pop-fluid,mma-fluid,bands,others,mp3,recast"
RIGHT = 0.95  # share of the meters stated that shall be right
RIDGE = 0.002  # nats a statement for a slope or an intercept 1 off 1 and 0
FLATTEST = 0.05  # slope: a higher share never means a lower probability
DRAWS = 200


@dataclass(frozen=True)
class Statement:
    """One thing that the analyser said.

    Attributes:
        set: Of analysis.py.
        known: Whether training may hear its timbre.
        quantity: One of QUANTITIES.
        share: What the analyser gave it before calibration, 0…1.
        right: 1 or 0; of a chord the mean over its time.
        weight: Seconds of a chord, 1 of the others.
    """

    set: str
    known: bool
    quantity: str
    share: float
    right: float
    weight: float


def listen(sets: Sequence[ListeningSet]) -> Iterator[Statement]:
    """What the analyser says of every song."""
    for some in sets:
        for song, wave, _ in tqdm(some.songs(), desc=some.name, disable=None):
            try:
                with uncalibrated():
                    found = analyze(wave, RATE)
            except ValueError as error:  # no pulse: nothing is said
                print(f"{song.name}: {error}", file=sys.stderr)
                continue
            chords = chord_beliefs(song, as_estimate(found)) if song.labels else []
            rows = [("chord", *row) for row in chords if row[0] > 0]  # 0 before the first beat: nothing is said
            rows += [(name, *row) for name, row in judged(song, found).items()]
            for name, share, right, weight in rows:
                yield Statement(some.name, some.known, name, float(share), float(right), float(weight))


def columns(rows: Sequence[Statement]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(n,) shares, whether right, weights."""
    share, right, weight = np.array([(row.share, row.right, row.weight) for row in rows]).T
    return share, right, weight


def fit(rows: Sequence[Statement]) -> Certainty:
    """The calibration of each quantity by maximum likelihood, and from which probability on meters are stated."""
    parts = {name: fit_line([row for row in rows if row.quantity == name]) for name in QUANTITIES}
    meters = [row for row in rows if row.quantity == "meter"]
    share, right, _ = columns(meters)
    return Certainty(**parts, meter_stated_from=threshold(parts["meter"].probability(share), right))


def fit_line(rows: Sequence[Statement]) -> Calibration:
    """Slope and intercept that make what was right likeliest, drawn to 1 and 0 a little."""
    share, right, weight = columns(rows)
    odds, weight = log_odds(share), weight / weight.sum()

    def loss(pair: np.ndarray) -> float:
        total = pair[0] * odds + pair[1]
        return float(weight @ (np.logaddexp(0, total) - right * total) + RIDGE * ((pair - (1, 0)) ** 2).sum())

    slope, intercept = minimize(loss, np.array([1.0, 0.0]), bounds=[(FLATTEST, None), (None, None)]).x
    return Calibration(round(float(slope), 3), round(float(intercept), 3))


def threshold(sure: np.ndarray, right: np.ndarray) -> float:
    """The lowest probability from which on `RIGHT` of what is stated is right."""
    steps = np.arange(0.3, 0.99, 0.01)
    for step in steps:
        stated = sure >= step
        if stated.any() and right[stated].mean() >= RIGHT:
            return round(float(step), 2)
    return round(float(steps[-1]), 2)


def chance_error(sure: np.ndarray, weight: np.ndarray) -> float:
    """The expected calibration error, on average, where each confidence is exactly the probability to be right."""
    rng = np.random.default_rng(0)
    draws = ((rng.random(len(sure)) < sure).astype(float) for _ in range(DRAWS))
    return float(np.mean([reliability(list(zip(sure, right, weight, strict=True)))[0] for right in draws]))


def table(rows: Sequence[Statement], numbers: Certainty) -> str:
    """A row for each quantity and kind of timbre, the unknown first."""
    lines = [
        "| confidence in | timbre | statements | mean confidence | right | error before | error (by chance) |",
        "|---|---|---|---|---|---|---|",
    ]
    for known in (False, True):
        for name in QUANTITIES:
            some = [row for row in rows if row.quantity == name and row.known == known]
            if not some:
                continue
            share, right, weight = columns(some)
            sure = getattr(numbers, name).probability(share)
            before, after = (reliability(list(zip(c, right, weight, strict=True)))[0] for c in (share, sure))
            mean, was = (np.average(column, weights=weight) for column in (sure, right))
            lines.append(
                f"| {name} | {'known' if known else 'unknown'} | {len(some)} | {mean:.2f} | {was:.2f} | {before:.3f} | "
                f"{after:.3f} ({chance_error(sure, weight):.3f}) |"
            )
    return "\n".join(lines)


def meters_stated(rows: Sequence[Statement], numbers: Certainty) -> str:
    """How many meters of unknown timbre are stated, and how many of these are right."""
    some = [row for row in rows if row.quantity == "meter" and not row.known]
    if not some:
        return "no meter of unknown timbre"
    share, right, _ = columns(some)
    stated = numbers.meter.probability(share) >= numbers.meter_stated_from
    return (
        f"meters of unknown timbre: {stated.sum()} of {len(some)} stated (from {numbers.meter_stated_from:g}), "
        f"{int(right[stated].sum())} of these right; of the others {int(right[~stated].sum())}"
    )


def sets_of(args: argparse.Namespace) -> list[ListeningSet]:
    """The sets that measure; for --fit the others, by every sound of training."""
    if not args.fit:
        return choose(all_sets(args), args.sets)
    sounds = training_sounds(args.materials)
    return [some for sound in sounds for some in choose(all_sets(args, odd=True, sound=sound), args.sets or FITTED)]


def remembered(args: argparse.Namespace) -> list[Statement]:
    """What was heard, from `--rows` where that is there."""
    if args.rows and args.rows.is_file():
        return [Statement(**json.loads(line)) for line in args.rows.read_text().splitlines()]
    rows = list(listen(sets_of(args)))
    if args.rows:
        args.rows.parent.mkdir(parents=True, exist_ok=True)
        args.rows.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).parents[1]
    parser.add_argument("--data", type=Path, default=root / "../shared/data", help="pop909 and openewld lie in it")
    parser.add_argument("--fluid", type=Path, default=None, help="FluidR3 as .sf2 or .sf3; default $MUSETUNE_SOUNDFONT")
    parser.add_argument("--materials", type=Path, default=root / ".cache/materials", help="what materials.py unpacked")
    parser.add_argument("--sets", default="", help="names, comma between; '' for all that measure, or fit")
    parser.add_argument("--songs", type=int, default=15, help="of POP909")
    parser.add_argument("--others", type=int, default=10, help="tunes accompanied by MMA")
    parser.add_argument("--files", type=int, default=10, help="MIDI files of others, at most")
    parser.add_argument("--recast", type=int, default=12, help="songs in each of --meters")
    parser.add_argument("--meters", default="6/8,3/4,4/4", help="of the set recast; also 2/4, 5/4, 7/8")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rows", type=Path, default=None, help="JSON lines of what was heard, written or read")
    parser.add_argument("--fit", action="store_true", help="learn the calibration anew")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    rows = remembered(args)
    if args.fit:
        numbers = fit(rows)
        FILE.write_text(json.dumps(asdict(numbers), indent=2) + "\n", encoding="utf-8")
        print(f"wrote {FILE}: {numbers}")
        return
    print(table(rows, certainty()))
    print(meters_stated(rows, certainty()))


if __name__ == "__main__":
    main()
