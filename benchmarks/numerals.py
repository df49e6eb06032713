"""Roman numerals from notes, against analyses by people; prints a table of per cent of the sounding time.

    python benchmarks/numerals.py --data shared/data [--split test] [--reader auto] [--limit 60]

Time is counted from the first label of the analysis to the end of the piece, exactly (not in frames). A moment counts
for

- key: the local key has the tonic (as a pitch class) and the mode of the analysis;
- degree: the root is the same scale degree, accidentals included, of the same tonicised degree (V7/V is not V7, nor
II7);
- quality: major, minor, diminished or augmented triad, dominant, major, minor, half- or fully diminished seventh,
Italian,
  German or French sixth; ninths count as sevenths, added and missing tones are left out of the analysis;
- inversion: the same figure; an augmented sixth counts as upright with the flat sixth in the bass; Cad64 is I64;
- full: all four.

The analyses are When in Rome's (Gotham et al., https://github.com/MarkGotham/When-in-Rome, CC BY-SA 4.0; those of
Beethoven's quartets and Mozart's sonatas come from DCML and are for non-commercial use). The 60 test pieces are listed
in musetune/datasets/numerals/test_pieces.txt, drawn by lot, the same share of each collection. Of their works nothing
is in training or development.
"""

from __future__ import annotations

import argparse
import time
from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from tqdm import tqdm

from musetune.analysis.numerals.reader import READERS, Reader, read_numerals
from musetune.datasets.numerals.labels import FOLD, SIXTHS, Label, misplaced, read_piece
from musetune.datasets.numerals.pieces import AnalysedPiece, development_pieces, pieces_for_tests
from musetune.symbols import Key
from musetune.symbols.score import Score
from musetune.symbols.timeline import quarters_of
from musetune.theory.numerals import resolve_roman

MEASURES = ("key", "degree", "quality", "inversion", "full")


def heard(score: Score, reader: Reader) -> list[Label]:
    """The labels that the analyser gives."""
    sheet, names = read_numerals(score, reader)
    quarters = quarters_of(sheet.meters)
    spans = [span for span in sheet.chords if span.chord.root is not None]
    return [label_in(name, sheet.key_at(s.start), quarters(s.start)) for name, s in zip(names, spans, strict=True)]


def label_in(name: str, key: Key, start: Fraction) -> Label:
    """A numeral of ours as a label."""
    head, _, target = name.partition("/")
    applied = resolve_roman(target, key) if target and target.lstrip("b#")[0] in "IViv" else None
    tonic = key.tonic_pc if applied is None or applied.root_pc is None else applied.root_pc
    home = (key.tonic_pc, key.mode)
    sixth = next((s for s in SIXTHS if head.startswith(s)), None)
    if sixth:
        return Label(start, home, (8, (tonic - key.tonic_pc) % 12), sixth, 0)
    chord = resolve_roman(name, key)
    assert chord.root_pc is not None
    degree = ((chord.root_pc - tonic) % 12, (tonic - key.tonic_pc) % 12)
    return Label(start, home, degree, FOLD.get(chord.quality, chord.quality), chord.inversion)


def compare(found: Sequence[Label], true: Sequence[Label], end: Fraction) -> np.ndarray:
    """(6,) quarters: right key, degree, quality, inversion, all four, and in all."""
    edges = sorted({label.start for label in (*found, *true) if true[0].start <= label.start < end} | {end})
    out = np.zeros(6)
    starts, places = [label.start for label in found], [label.start for label in true]
    for a, b in pairwise(edges):
        mine, theirs = bisect_right(starts, a) - 1, true[bisect_right(places, a) - 1]
        same = [False] * 4
        if mine >= 0:
            same = [getattr(found[mine], m) == getattr(theirs, m) for m in MEASURES[:4]]
        out += float(b - a) * np.array([*same, all(same), True])
    return out


def row(name: str, results: list[np.ndarray]) -> str:
    """Mean over the time of all pieces, and the number of pieces."""
    total = np.sum(results, axis=0)
    return f"| {name} | {len(results)} | " + " | ".join(f"{100 * x / total[5]:.1f}" for x in total[:5]) + " |"


def report(pieces: list[AnalysedPiece], reader: Reader) -> None:
    """Print the table of these pieces."""
    results: list[tuple[str, np.ndarray]] = []
    left_out: list[int] = []
    seconds = np.zeros(2)
    for piece in tqdm(pieces, unit="piece"):
        began = time.perf_counter()
        score, true = read_piece(piece.score, piece.analysis)
        read = time.perf_counter()
        found = heard(score, reader)
        seconds += read - began, time.perf_counter() - read
        if misplaced(score, true):
            left_out.append(len(results))
        end = quarters_of(score.meters)(score.length)
        results.append((piece.name, compare(found, true, end)))
    print("seconds a piece: {:.2f} to read with music21, {:.2f} to analyse".format(*seconds / len(pieces)))
    print("bars numbered otherwise in the analysis:", ", ".join(results[i][0] for i in left_out) or "no piece")
    print("| collection | pieces | " + " | ".join(MEASURES) + " |\n" + "|---" * 7 + "|")
    for name in sorted({name.split("/")[0] for name, _ in results}):
        print(row(name, [r for n, r in results if n.split("/")[0] == name]))
    print(row("all", [r for _, r in results]))
    print(row("all but those numbered otherwise", [r for i, (_, r) in enumerate(results) if i not in left_out]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="When in Rome, or the folder that it lies in")
    parser.add_argument("--split", choices=["test", "development"], default="test")
    parser.add_argument("--reader", choices=READERS, default="auto", help="auto is the network here")
    parser.add_argument("--limit", type=int, help="pieces at most")
    args = parser.parse_args()
    pieces = pieces_for_tests(args.data) if args.split == "test" else list(development_pieces(args.data))
    print(f"{args.split} split, {args.reader}; analyses: When in Rome (Gotham et al.)")
    report(pieces[: args.limit], args.reader)


if __name__ == "__main__":
    main()
