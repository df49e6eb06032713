"""Roman numerals from notes, against hand-made analyses; prints a table of per cent of the sounding time.

    python benchmarks/numerals.py --data shared/data/when_in_rome [--split test] [--seed 3] [--limit 60]

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

The analyses are When in Rome's (Gotham et al., https://github.com/MarkGotham/When-in-Rome, CC BY-SA 4.0), here for
evaluation only. The split is by piece, drawn with --seed, stratified by collection: `test` pieces, then development.
"""

from __future__ import annotations

import argparse
import random
import re
import time
import warnings
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from music21 import converter
from music21.exceptions21 import Music21Exception
from tqdm import tqdm

from musetune.formats.musicxml_reader import notation_bytes
from musetune.formats.scores import read_score
from musetune.symbols import Key
from musetune.symbols.qualities import QUALITY_INTERVALS
from musetune.symbols.remarks import collected
from musetune.symbols.score import Score
from musetune.symbols.timeline import quarters_of
from musetune.theory.numerals import resolve_roman
from musetune.theory.numerals.frames import frames_of
from musetune.theory.numerals.score_analysis import analyse

MEASURES = ("key", "degree", "quality", "inversion", "full")
TEST = 60
HARMONY = re.compile(rb"<harmony\b[^>]*?(?:/>|>.*?</harmony>)", re.DOTALL)
SIXTHS = ("It", "Ger", "Fr")
SETS = {
    tuple(sorted(i % 12 for i in v)): k for k, v in QUALITY_INTERVALS.items() if k not in ("maj6", "min6", "5", "N")
}
FOLD = {"9": "7", "maj9": "maj7", "min9": "min7", "minmaj7": "min7", "maj6": "maj", "min6": "min"}


@dataclass(frozen=True)
class Label:
    """A numeral from quarter ``start`` on: ``key`` (tonic, mode), ``degree`` (root above the tonicised tonic, that
    above the tonic).
    """

    start: Fraction
    key: tuple[int, str]
    degree: tuple[int, int]
    quality: str
    inversion: int


def pieces(data: Path, seed: int) -> dict[str, list[Path]]:
    """Folders of the test and the development pieces; the same share of each collection goes to the test."""
    groups: dict[str, list[Path]] = {}
    for path in sorted(data.rglob("analysis.txt")):
        groups.setdefault(path.relative_to(data).parts[0], []).append(path.parent)
    total = sum(map(len, groups.values()))
    test: list[Path] = []
    rest: list[Path] = []
    for folders in groups.values():
        random.Random(seed).shuffle(folders)
        share = round(len(folders) * TEST / total)
        test += folders[:share]
        rest += folders[share:]
    return {"test": test, "development": rest}


def read_piece(folder: Path) -> tuple[Score, list[Label]]:
    """The score and the analysis of a folder of When in Rome, places in quarters of the score."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = HARMONY.sub(b"", notation_bytes(folder / "score.mxl"))  # music21 gives up on symbols it cannot read
        part = converter.parse(text, format="musicxml", forceSource=True).parts[0]
        bars = {m.measureNumberWithSuffix(): m for m in part.getElementsByClass("Measure")}
        with collected():
            score = read_score(folder / "score.mxl", repeats=False)  # as the analysis counts
        return score, truth(folder / "analysis.txt", bars)


def truth(path: Path, bars: dict) -> list[Label]:  # type: ignore[type-arg]
    """The labels of an analysis in RomanText, placed by the numbers of the score's bars; second readings ("var") are
    left out.
    """
    from music21.meter import TimeSignature
    from music21.romanText import rtObjects

    written: dict[str, list[tuple[Fraction, tuple[str, str]]]] = {}
    time_signature, key = TimeSignature("4/4"), "C"
    for line in path.read_text().splitlines():
        if line.lower().startswith("time signature:"):
            time_signature = TimeSignature(line.split(":")[1].strip())
        if not re.match(r"m\d", line) or "var" in line.split()[0]:
            continue
        token = rtObjects.RTMeasure(line.strip())
        number = f"{token.number[0]}{token.repeatLetter[0]}"
        if token.isCopyDefinition:
            first, last = token.getCopyTarget()[0][0], token.getCopyTarget()[0][-1]
            for n in range(first, last + 1):
                written[str(token.number[0] + n - first)] = list(written.get(str(n), []))
                key = written[str(n)][-1][1][1] if written.get(str(n)) else key
        else:
            written[number], key = bar_of(token, time_signature, key)
    return placed(written, bars)


def bar_of(token, time_signature, key: str) -> tuple[list[tuple[Fraction, tuple[str, str]]], str]:  # type: ignore[no-untyped-def]
    """[(quarters from the bar line, reading)] of one line of RomanText, and the key at its end."""
    from music21.romanText import rtObjects

    out, offset = [], Fraction(0)
    for atom in rtObjects.RTHandler().tokenizeAtoms(token.data, container=token):
        if isinstance(atom, rtObjects.RTBeat):
            offset = Fraction(atom.getOffset(time_signature)).limit_denominator(96)
        elif isinstance(atom, rtObjects.RTKeyTypeAtom):
            name = atom.src.rstrip(":;")
            key = name[0] + name[1:].replace("b", "-")
        elif isinstance(atom, rtObjects.RTChord):
            out.append((offset, (atom.src, key)))
    return out, key


def placed(written: dict[str, list[tuple[Fraction, tuple[str, str]]]], bars: dict) -> list[Label]:  # type: ignore[type-arg]
    """The readings at their places in the score; bars that the score lacks are left out. In a pick-up bar, beats
    count from its full length.
    """
    out: list[Label] = []
    for number, readings in written.items():
        bar = bars.get(number) or bars.get(number.rstrip("abcd"))
        if bar is None:
            continue
        full, held = bar.barDuration.quarterLength, bar.highestTime
        missing = bar.paddingLeft or (full - held if bar.number == 0 and held < full else 0)
        start = bar.getOffsetBySite(bar.activeSite) - missing
        for offset, reading in readings:
            label = label_of(reading)
            if label is not None:
                at = max(start + offset, bar.getOffsetBySite(bar.activeSite))
                out.append(replace(label, start=Fraction(at).limit_denominator(96)))
    return sorted(out, key=lambda label: label.start)


@cache
def label_of(reading: tuple[str, str]) -> Label | None:
    """A reading (figure, key; "f#" is minor) as a label at 0, by music21; None where it stands for no chord."""
    from music21 import key, roman

    figure = re.sub(r"\[.*?\]", "", reading[0])
    caution = roman.Minor67Default.CAUTIONARY  # RomanText's own rule for vi and vii in minor
    try:
        numeral = roman.RomanNumeral(figure, key.Key(reading[1]), sixthMinor=caution, seventhMinor=caution)
    except (Music21Exception, ValueError):
        return None
    if not numeral.pitches:
        return None
    start = Fraction(0)
    home = numeral.key
    applied = numeral.secondaryRomanNumeralKey or home
    target = (applied.tonic.pitchClass - home.tonic.pitchClass) % 12
    tonic, root, bass = applied.tonic.pitchClass, numeral.root().pitchClass, numeral.bass().pitchClass
    key = (home.tonic.pitchClass, home.mode)
    sixth = next((s for s in SIXTHS if figure.startswith(s)), None)
    if sixth:
        return Label(start, key, (8, target), sixth, 0 if (bass - tonic) % 12 == 8 else 1)
    steps = tuple(sorted({(p.pitchClass - root) % 12 for p in numeral.pitches}))
    quality = SETS.get(steps, "other")
    return Label(start, key, ((root - tonic) % 12, target), FOLD.get(quality, quality), numeral.inversion())


def misplaced(score: Score, true: Sequence[Label]) -> bool:
    """Whether the analysis numbers the bars otherwise than the score: moved by a bar or two, the chords of its first
    or second half hold at least 10 % more of what sounds under them than where the numbers put them.
    """
    frames = frames_of(score)
    sums = np.vstack([np.zeros(12), np.cumsum(frames.classes, axis=0)])
    meter, end = score.meters[0].meter, float(frames.places[-1])
    edges = [float(label.start) for label in true] + [end]
    chords = [[(sum(x.degree) + x.key[0] + i) % 12 for i in QUALITY_INTERVALS.get(x.quality, (0, 4, 10))] for x in true]

    def held(bars: int, half: int) -> float:
        shift, inside, total = bars * float(meter.beats_per_bar * meter.beat_quarters), 0.0, 1e-9
        for a, b, tones in zip(edges, edges[1:], chords):
            if (a >= end / 2) == bool(half):
                first, last = np.clip(np.searchsorted(frames.places, [a + shift, b + shift]), 0, len(sums) - 1)
                sounding = sums[last] - sums[first]
                inside, total = inside + sounding[tones].sum(), total + sounding.sum()
        return inside / total

    return any(held(bars, half) > held(0, half) + 0.1 for bars in (-2, -1, 1, 2) for half in (0, 1))


def heard(score: Score) -> list[Label]:
    """The labels that the analyser gives."""
    sheet, names = analyse(score)
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


def report(data: Path, folders: list[Path]) -> None:
    """Print the table of these pieces."""
    results: list[tuple[str, np.ndarray]] = []
    left_out: list[int] = []
    seconds = np.zeros(2)
    for folder in tqdm(folders, unit="piece"):
        began = time.perf_counter()
        score, true = read_piece(folder)
        read = time.perf_counter()
        found = heard(score)
        seconds += read - began, time.perf_counter() - read
        if misplaced(score, true):
            left_out.append(len(results))
        end = quarters_of(score.meters)(score.length)
        results.append((str(folder.relative_to(data)), compare(found, true, end)))
    print("seconds a piece: {:.2f} to read with music21, {:.2f} to analyse".format(*seconds / len(folders)))
    print("bars numbered otherwise in the analysis:", ", ".join(results[i][0] for i in left_out) or "no piece")
    print("| collection | pieces | " + " | ".join(MEASURES) + " |\n" + "|---" * 7 + "|")
    for name in sorted({name.split("/")[0] for name, _ in results}):
        print(row(name, [r for n, r in results if n.split("/")[0] == name]))
    print(row("all", [r for _, r in results]))
    print(row("all but those numbered otherwise", [r for i, (_, r) in enumerate(results) if i not in left_out]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder when_in_rome")
    parser.add_argument("--split", choices=["test", "development"], default="test")
    parser.add_argument("--seed", type=int, default=3, help="of the split")
    parser.add_argument("--limit", type=int, help="pieces at most")
    args = parser.parse_args()
    print(f"{args.split} split, seed {args.seed}; analyses: When in Rome (Gotham et al., CC BY-SA 4.0)")
    report(args.data, pieces(args.data, args.seed)[args.split][: args.limit])


if __name__ == "__main__":
    main()
