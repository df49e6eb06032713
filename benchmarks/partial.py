"""Parts of a lead sheet, and lengths beyond training's: is what is asked obeyed, and is what is left free still music?

    python benchmarks/partial.py --sheets FOLDER [--long FOLDER] [--base nano] [--adapter theory] [--limit 24] [--out
    out/partial]

FOLDER holds lead sheets of 10 s for development, --long of 30 s (`recipes/evaluation/make_sheets.py … seconds=30`). Two
tables, left in OUT with all figures as JSON; killed, it goes on where it was.

Partial: each clip follows all of its sheet, chords alone, beats alone, the key alone, the first half, or nothing;
scored against the whole sheet, so that what was not asked for shows the level of chance. Of the clip itself: the share
of the time with chords whose notes all belong to the heard key; evenness of the heard beats (1 less the coefficient of
variation of their distances); chord changes a minute; Fréchet distance to renderings of the sheets, which are the last
row. Lengths: 5.12, 10.24 and 30 s of the same songs in one pass and in overlapping windows, with the scores of each
third: training's crops last 5.12 s, so what comes later shows whether positions carry over. Beats are matched over the
whole clip; a hit belongs to the half or third that it was asked in, any other heard beat to where it is heard.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import mir_eval
import numpy as np
from guidance import distance, heard_in, listen, load, made_with, options, renderings, take
from tqdm import tqdm

from musetune.evaluation import TestSheet, adherence, bootstrap_mean, load_test_sheets
from musetune.evaluation.adherence import WINDOW_S, chord_scores, inside
from musetune.evaluation.audio_similarity import timbre
from musetune.evaluation.bootstrap import cell
from musetune.evaluation.provenance import remember
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.symbols import Chord, Key, LeadSheet
from musetune.symbols.estimate import Estimate
from musetune.symbols.key import SCALES

MEASURES = ("majmin", "beat_f", "downbeat_f", "key")
REQUESTS: dict[str, Callable[[LeadSheet], dict[str, Any]]] = {
    "all": lambda sheet: {},
    "chords": lambda sheet: {"follow": ("chords",)},
    "beats": lambda sheet: {"follow": ("beats",)},
    "key": lambda sheet: {"follow": ("key",)},
    "first half": lambda sheet: {"follow_seconds": (0.0, sheet.duration_s / 2)},
    "nothing": lambda sheet: {"follow": ()},
}
LENGTHS = (
    (5.12, 5.12),
    (10.24, 10.24),
    (10.24, 5.12),
    (30.0, 30.0),
    (30.0, 10.24),
    (30.0, 5.12),
)  # seconds, of a window
FREE = ("diatonic", "evenness", "changes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options(parser, "out/partial")
    parser.add_argument("--long", help="folder of lead sheets of 30 s; without it there is no table of lengths")
    args = parser.parse_args()
    out, pipe = Path(args.out), load(args.base, args.adapter, args.device)
    every, chosen = load_test_sheets(args.sheets), {"steps": args.steps, "soundfont": args.soundfont}
    remember(out, made_with(pipe, every, **chosen))
    parts = requests(pipe, tests := every[: args.limit], args)
    record: dict[str, Any] = {"parts": parts}
    text = f"{len(tests)} lead sheets; % with 95 % bootstrap intervals.\n\n" + part_table(parts)
    if args.long:
        every = load_test_sheets(args.long)
        remember(out / "lengths", made_with(pipe, every, **chosen))
        record["lengths"] = lengths(pipe, long := every[: args.limit], args)
        text += f"\n{len(long)} lead sheets of 30 s and their beginnings.\n\n" + length_table(record["lengths"])
    (out / "partial.md").write_text(text)
    (out / "partial.json").write_text(json.dumps(record, indent=1, allow_nan=False, default=vars))
    print(text)


# -- parts
# -----------------------------------------------------------------------------------------------------------------


def requests(pipe: MuseTunePipeline, tests: list[TestSheet], args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Figures of every request, and of the renderings."""
    made: dict[str, list[dict[str, Any]]] = {name: [] for name in REQUESTS}
    for test, name in tqdm(list(product(tests, REQUESTS)), desc="parts", unit="clip"):
        call = REQUESTS[name](test.sheet) | {"num_inference_steps": args.steps}
        path = Path(args.out) / "parts" / name.replace(" ", "-") / f"{test.id}.json"
        made[name].append(take(pipe, path, test, call))
    rate, played = pipe.vocoder.config.sampling_rate, []
    for test, wave in zip(tests, renderings(pipe, tests, args.soundfont), strict=True):
        played.append(listen(wave, rate, test.sheet))
    reference = np.concatenate([np.array(record["timbre"]) for record in played])
    rows = {name: part_figures(records, tests) for name, records in {**made, "renderings": played}.items()}
    for name, records in made.items():
        rows[name]["frechet"] = distance([record["timbre"] for record in records], reference)
    return rows


def part_figures(records: list[dict[str, Any]], tests: list[TestSheet]) -> dict[str, Any]:
    """Scores of both halves against the sheets, and what the clips are like by themselves."""
    clips = [(test.sheet, heard_in(record)) for record, test in zip(records, tests, strict=True)]
    figures = whole(clips)
    for i, place in enumerate(("first", "second")):
        half = [in_part(*clip, i / 2, (i + 1) / 2) for clip in clips]
        figures |= {f"{name}, {place} half": bootstrap_mean([scores[name] for scores in half]) for name in MEASURES[:2]}
    return figures | {name: bootstrap_mean([MUSICAL[name](heard) for _, heard in clips]) for name in FREE}


def whole(clips: list[tuple[LeadSheet, Estimate]]) -> dict[str, Any]:
    """Means of MEASURES over whole clips."""
    scores = [adherence(*clip) for clip in clips]
    return {name: bootstrap_mean([score[name] for score in scores]) for name in MEASURES}


def in_part(sheet: LeadSheet, heard: Estimate, first: float, last: float) -> dict[str, float | None]:
    """majmin and beat_f of the part from ``first`` to ``last``, as shares of the clip; beats by ``beat_f_between``."""
    start_s, end_s = first * sheet.duration_s, last * sheet.duration_s
    chords = chord_scores(sheet.crop(start_s, end_s - start_s), replace(heard, intervals_s=heard.intervals_s - start_s))
    return {"majmin": chords["majmin"], "beat_f": beat_f_between(sheet, heard, start_s, end_s)}


def beat_f_between(sheet: LeadSheet, heard: Estimate, start_s: float, end_s: float) -> float | None:
    """F-measure of the beats from ``start_s`` to ``end_s``, matched over the whole clip, so that one heard just outside
    what it was asked in still is a hit; None where none was asked for.
    """
    asked, beats = inside(sheet, sheet.beats_s), np.array(heard.beats_s, dtype=float)
    hits = mir_eval.util.match_events(asked, beats, WINDOW_S)
    for i, j in hits:
        beats[j] = asked[i]
    wanted, found, right = (
        int(((times >= start_s) & (times < end_s)).sum()) for times in (asked, beats, asked[[i for i, _ in hits]])
    )
    return 2 * right / (wanted + found) if wanted else None


def diatonic(heard: Estimate) -> float | None:
    """Share of the time with chords whose notes all belong to the heard key."""
    if heard.key is None:
        return None
    key = Key.parse(heard.key)
    scale = {(key.tonic_pc + step) % 12 for step in (*SCALES[key.mode], 11)}  # minor with both sevenths
    chords = [
        (Chord.parse(label), high - low) for (low, high), label in zip(heard.intervals_s, heard.labels, strict=True)
    ]
    known = [(set(np.flatnonzero(chord.chroma)) <= scale, s) for chord, s in chords if chord.root is not None]
    return float(np.average([inside for inside, _ in known], weights=[s for _, s in known])) if known else None


def evenness(heard: Estimate) -> float | None:
    """1 less the coefficient of variation of the distances of heard beats, not below 0; None below three beats."""
    gaps = np.diff(heard.beats_s)
    return max(0.0, 1 - float(gaps.std() / gaps.mean())) if len(gaps) > 1 else None


def changes(heard: Estimate) -> float:
    """Chord changes a minute."""
    seconds = heard.intervals_s[-1, 1] - heard.intervals_s[0, 0]
    return 60 * sum(a != b for a, b in zip(heard.labels, heard.labels[1:])) / float(seconds)


MUSICAL: dict[str, Callable[[Estimate], float | None]] = {
    "diatonic": diatonic,
    "evenness": evenness,
    "changes": changes,
}


def part_table(rows: dict[str, dict[str, Any]]) -> str:
    scores = [name for name in rows["all"] if name not in (*FREE, "frechet")]
    heads = ("asked for", *scores, "chords in the key", "evenness of beats", "changes a minute", "Fréchet")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, row in rows.items():
        rate = "—" if row["changes"] is None else f"{row['changes'].mean:.0f}"
        far = "—" if row.get("frechet") is None else f"{row['frechet']:.0f}"
        cells = [cell(row[score]) for score in (*scores, "diatonic", "evenness")]
        lines.append("| " + " | ".join([name, *cells, rate, far]) + " |")
    return "\n".join(lines) + "\n"


# -- lengths
# ---------------------------------------------------------------------------------------------------------------


def lengths(pipe: MuseTunePipeline, tests: list[TestSheet], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Figures of every length and window; clips of one length begin the same sheets."""
    longest = max(seconds for seconds, _ in LENGTHS)
    if short := [test.id for test in tests if test.sheet.duration_s < longest - 0.1]:
        raise ValueError(f"--long: {', '.join(short)} last less than {longest:g} s; cut others with make_sheets.py")
    rate, rows = pipe.vocoder.config.sampling_rate, []
    waves = renderings(pipe, tests, args.soundfont)
    for seconds, window in LENGTHS:
        cut = [replace(t, sheet=t.sheet.crop(0.0, seconds)) for t in tests]
        made = []
        for test in tqdm(cut, desc=f"{seconds:g} s in windows of {window:g} s", unit="clip"):
            call = {"num_inference_steps": args.steps, "window_seconds": window}
            made.append(
                take(pipe, Path(args.out) / "lengths" / f"{seconds:g}-{window:g}" / f"{test.id}.json", test, call)
            )
        reference = np.concatenate([timbre(wave[: round(seconds * rate)], rate) for wave in waves])
        rows.append({"seconds": seconds, "window": window, **length_figures(made, cut, reference)})
    return rows


def length_figures(records: list[dict[str, Any]], tests: list[TestSheet], reference: np.ndarray) -> dict[str, Any]:
    """Scores of whole clips and of their thirds, Fréchet distance, seconds a clip."""
    clips = [(test.sheet, heard_in(record)) for record, test in zip(records, tests, strict=True)]
    figures = whole(clips)
    thirds = [[in_part(*clip, third / 3, (third + 1) / 3) for clip in clips] for third in range(3)]
    for name, third in product(MEASURES[:2], range(3)):
        figures[f"{name} {third + 1}/3"] = bootstrap_mean([scores[name] for scores in thirds[third]])
    figures["frechet"] = distance([record["timbre"] for record in records], reference)
    figures["made_in"] = median(record["seconds"] for record in records)
    return figures


def length_table(rows: list[dict[str, Any]]) -> str:
    scores = [name for name in rows[0] if name not in ("seconds", "window", "frechet", "made_in")]
    heads = ("seconds", "windows", *scores, "Fréchet", "seconds a clip")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        how = "one pass" if row["window"] >= row["seconds"] else f"{row['window']:g} s"
        far = "—" if row["frechet"] is None else f"{row['frechet']:.0f}"
        cells = [f"{row['seconds']:g}", how, *(cell(row[score]) for score in scores), far, f"{row['made_in']:.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
