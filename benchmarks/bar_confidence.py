"""Can a bar's confidence be believed, and how sure should a bar be to be trained on?

    python benchmarks/bar_confidence.py --data ../shared/data --fluid FluidR3_GM.sf3 [--materials .cache/materials]
        [--sets pop-fluid,bands] [--songs 15] [--others 10] [--fit]

The sets are those of analysis.py, none heard in training. What makes a bar right is said in
musetune/analysis/bar_confidence.py. Printed are the reliability of the bars' confidence in each set (expected
calibration error, Guo et al., ICML 2017, over ten bins), and for each `min_confidence` the share of bars that stay and
the share of these that are right; last the same of single chords, for the mark of an unsure chord.

`--fit` learns the calibration anew from songs for tuning (POP909's numbers that end in 5, tens odd; the tunes and MIDI
files between those that measure), all sets alike, played by the soundfonts and kits that training may hear, and writes
it to musetune/analysis/bar_confidence.json. Do so after training the analyser's networks, then run it again without.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
import mir_eval
import numpy as np
from listening_sets import ListeningSet, all_sets, choose
from reliability import chord_beliefs, reliability_text
from scipy.optimize import minimize
from songs import training_sounds
from tqdm import tqdm

from musetune.analysis import analyze
from musetune.analysis.bar_confidence import BEATS, CALIBRATION, CHORDS, bar_edges, chord_evidence, log_odds
from musetune.analysis.record import Analysis
from musetune.audio.source import RATE
from musetune.datasets.corpus import AnnotatedSong
from musetune.symbols.estimate import Estimate

WINDOW_S = 0.07  # as beats are counted
RIGHT = 0.75  # share of a bar's time
LEVELS = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
RIDGE = 1e-2  # on the weights: few songs are heard at a wrong pace, and they must not say all of it
COLUMNS = ("mean", "least", "tempo", "chords", "beats", "confidence")  # of a bar's row


def right_chords(song: AnnotatedSong, found: Analysis) -> Iterator[float]:
    """For each bar the share of its time whose chord has the right root and third; NaN where the truth is unsure for
    more than a quarter.
    """
    sheet = found.lead_sheet
    intervals, labels = mir_eval.util.adjust_intervals(
        np.asarray(sheet.chord_intervals_s, float), list(sheet.chord_labels), 0, song.duration_s, "N", "N"
    )
    truth, names = mir_eval.util.adjust_intervals(song.intervals_s, song.labels, 0, song.duration_s, "X", "X")
    both, asked, heard = mir_eval.util.merge_labeled_intervals(truth, names, intervals, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        right = mir_eval.chord.thirds(asked, heard)
    counted = right >= 0
    for low, high in zip(*bar_edges(sheet), strict=True):
        seconds = np.maximum(np.minimum(both[:, 1], high) - np.maximum(both[:, 0], low), 0.0)
        sure = seconds[counted].sum()
        yield float((right * seconds)[counted].sum() / sure) if sure >= 0.75 * (high - low) else float("nan")


def right_beats(song: AnnotatedSong, found: Analysis) -> Iterator[bool]:
    """For each bar whether its beats are those of the song, each of them and no others."""
    heard, truth = found.lead_sheet.beats_s, song.beats_s
    for low, high in zip(*bar_edges(found.lead_sheet), strict=True):
        ours = heard[(heard > low - 1e-3) & (heard < high - 1e-3)]
        theirs = truth[(truth > low - WINDOW_S) & (truth < high - WINDOW_S)]
        yield _all_near(ours, truth) and _all_near(theirs, heard)


def _all_near(times_s: np.ndarray, others_s: np.ndarray) -> bool:
    return not len(times_s) or (
        len(others_s) > 0 and bool((np.abs(times_s[:, None] - others_s).min(axis=1) <= WINDOW_S).all())
    )


def rows_of(song: AnnotatedSong, found: Analysis) -> np.ndarray:
    """(bars, COLUMNS): the evidence, whether chords and beats are right, and the confidence of the bar; bars of unsure
    truth are left out.
    """
    sheet = found.lead_sheet
    low, high = bar_edges(sheet)
    share, beats = np.array(list(right_chords(song, found))), np.array(list(right_beats(song, found)))
    tempo = np.full(len(low), found.bpm_confidence)
    sure = np.array([bar.confidence for bar in found.bars])
    table = np.column_stack([*chord_evidence(sheet, found.chord_confidence), tempo, share >= RIGHT, beats, sure])
    return table[np.isfinite(share) & (low < song.duration_s - 0.5) & (high - low > 0.1)]


def as_estimate(found: Analysis) -> Estimate:
    """The chords of a record, as `analysis.chord_beliefs` takes them."""
    sheet = found.lead_sheet
    return Estimate(
        np.asarray(sheet.chord_intervals_s, float),
        list(sheet.chord_labels),
        np.asarray(found.chord_confidence),
        sheet.beats_s,
        sheet.downbeats_s,
        None,
        sheet.bpm,
    )


def collect(sets: Sequence[ListeningSet]) -> tuple[dict[str, np.ndarray], list[tuple[float, float, float]]]:
    """Each set's bars as `rows_of`, and all chords as `analysis.chord_beliefs`."""
    bars: dict[str, list[np.ndarray]] = {}
    chords: list[tuple[float, float, float]] = []
    for some in sets:
        for song, wave, _ in tqdm(some.songs(), desc=some.name, disable=None):
            try:
                found = analyze(wave, RATE)
            except ValueError as error:  # prepare sets such a song aside
                print(f"{some.name}: left out {song.name}: {error}", file=sys.stderr)
                continue
            bars.setdefault(some.name, []).append(rows_of(song, found))
            chords.extend(chord_beliefs(song, as_estimate(found)))
    return {name: np.concatenate(rows) for name, rows in bars.items()}, chords


def column(rows: np.ndarray, name: str) -> np.ndarray:
    """One of COLUMNS (bars,)."""
    values: np.ndarray = rows[:, COLUMNS.index(name)]
    return values


def fit(bars: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """The weights of `probability`, by logistic regression; each set counts alike."""
    rows = np.concatenate(list(bars.values()))
    weight = np.concatenate([np.full(len(some), 1 / len(some)) for some in bars.values()])
    return {
        CHORDS: regress([column(rows, "mean"), column(rows, "least")], column(rows, "chords"), weight),
        BEATS: regress([column(rows, "tempo")], column(rows, "beats"), weight),
    }


def regress(evidence: Sequence[np.ndarray], right: np.ndarray, weight: np.ndarray) -> list[float]:
    """Bias and weights of the log-odds of `evidence`, each (n,), that make `right` (n,) likeliest; none below 0."""
    inputs = np.column_stack([np.ones(len(right)), *map(log_odds, evidence)])
    share = weight / weight.sum()

    def loss(values: np.ndarray) -> float:
        total = inputs @ values
        return float(share @ (np.logaddexp(0, total) - right * total) + RIDGE * (values[1:] ** 2).sum())

    bounds = [(None, None), *[(0.0, None)] * len(evidence)]
    found = minimize(loss, np.zeros(inputs.shape[1]), method="L-BFGS-B", bounds=bounds)
    return [round(float(value), 4) for value in found.x]


def kept(bars: dict[str, np.ndarray]) -> str:
    """For each `min_confidence` the share of bars that stay, of these the share that is right, and of the others; each
    set counts alike.
    """
    lines = ["| min_confidence | bars that stay, % | of these right, % | of the others right, % |", "|---|---|---|---|"]
    rows = np.concatenate(list(bars.values()))
    weight = np.concatenate([np.full(len(some), 1 / len(some)) for some in bars.values()])
    right = column(rows, "chords") * column(rows, "beats")
    for level in LEVELS:
        stays = column(rows, "confidence") >= level
        shares = [
            f"{100 * np.average(right[which], weights=weight[which]):.1f}" if which.any() else "—"
            for which in (stays, ~stays)
        ]
        lines.append(f"| {level:.1f} | {100 * weight[stays].sum() / weight.sum():.1f} | {' | '.join(shares)} |")
    return "\n".join(lines)


def sets_of(args: argparse.Namespace) -> list[ListeningSet]:
    """The sets with a truth of their chords that measure; for --fit the others, by every sound of training."""
    if not args.fit:
        sets = [choose(all_sets(args), args.sets)]
    else:
        sounds = training_sounds(args.materials)
        sets = [choose(all_sets(args, odd=True, sound=sound), args.sets) for sound in sounds]
    return [some for chosen in sets for some in chosen if not some.bars_only]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = Path(__file__).parents[1]
    parser.add_argument("--data", type=Path, default=root / "../shared/data", help="pop909 and openewld lie in it")
    parser.add_argument("--fluid", type=Path, default=None, help="FluidR3 as .sf2 or .sf3; default $MUSETUNE_SOUNDFONT")
    parser.add_argument("--materials", type=Path, default=root / ".cache/materials", help="what materials.py unpacked")
    parser.add_argument("--sets", default="pop-fluid,bands,grooves,others", help="names, comma between; '' for all")
    parser.add_argument("--songs", type=int, default=15, help="of POP909")
    parser.add_argument("--others", type=int, default=10, help="tunes accompanied by MMA")
    parser.add_argument("--files", type=int, default=10, help="MIDI files of others, at most")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--fit", action="store_true", help="learn the calibration anew instead")
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    if args.fit:
        bars, _ = collect(sets_of(args))
        counts = {name: len(rows) for name, rows in bars.items()}
        CALIBRATION.write_text(json.dumps({"weights": fit(bars), "bars": counts}, indent=1) + "\n")
        print(f"wrote {CALIBRATION} from {counts} bars")
        return
    bars, chords = collect(sets_of(args))
    for name, rows in bars.items():
        right = column(rows, "chords") * column(rows, "beats")
        beliefs = [(float(sure), float(so), 1.0) for sure, so in zip(column(rows, "confidence"), right, strict=True)]
        print(
            f"{name}: {len(rows)} bars, chords right {100 * column(rows, 'chords').mean():.1f} %, beats "
            f"{100 * column(rows, 'beats').mean():.1f} %, both {100 * right.mean():.1f} %; bars:",
            reliability_text(beliefs),
        )
    every = np.concatenate(list(bars.values()))
    right = column(every, "chords") * column(every, "beats")
    pairs = zip(column(every, "confidence"), right, strict=True)
    print("\nall sets; bars:", reliability_text([(float(sure), float(so), 1.0) for sure, so in pairs]))
    print("\n" + kept(bars))
    print("\nsingle chords, right as sevenths are counted:", reliability_text(chords))


if __name__ == "__main__":
    main()
