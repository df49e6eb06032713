"""Is an edited piece whole: is the rest untouched, are the new chords played, is a seam heard, does a loop have one?

    python benchmarks/editing.py [--sheets FOLDER] [--base nano] [--adapter theory] [--limit 24] [--seconds 8]
                                 [--steps 20] [--out out/editing]

Of each sheet whole bars of about 8 s are generated; then its second quarter to its third is made anew under its own
chords a fourth higher, once from the result's latents and once from its audio alone, as any recording is; and it is
generated as a loop. OUT holds a JSON record a sheet and the table; killed, the same command goes on where it was.

Untouched: samples that differ farther than 50 ms from the stretch. Chords: majmin by Chordino, an unrelated recogniser,
of the new stretch against the new chords, of that stretch before against the old ones, of whole clips and of loops.

Seam: spectral flux, the rise of the log-mel spectrum from frame to frame of 10 ms. Cuts lie on beats, where music
begins anew, and the crossfades in the 50 ms before them. So two things are held apart: the crossfade, the highest flux
from 60 to 20 ms before a cut, beside the 95th percentile of all frames of the clip as it was generated; and the beat,
the highest within 30 ms of a cut, beside the 95th percentile of the clip's other beats. Of a loop the seam is where its
end meets its beginning, and the beats are its own. "Before" are the same places in the untouched clip.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import torch
from tqdm import tqdm

from musetune import LeadSheet, MuseTunePipeline
from musetune.evaluation import TestSheet, bootstrap_mean, load_test_sheets
from musetune.evaluation.adherence import chord_scores
from musetune.evaluation.bootstrap import cell
from musetune.evaluation.judges import chordino
from musetune.pipeline.loading import pick_device, quiet
from musetune.symbols.estimate import Estimate

HOP_S = 0.01
NEAR_S = 0.03
FADE_S = (0.06, 0.02)  # before a cut: where the crossfade lies and the attack of the beat does not reach
SAFE_S = 0.05
SOURCES = {"latents": "made anew from latents", "audio": "made anew from audio"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheets", help="folder of lead sheets; default the test set")
    parser.add_argument("--base", default="nano")
    parser.add_argument("--adapter", default="theory")
    parser.add_argument("--limit", type=int, default=24, help="sheets")
    parser.add_argument("--seconds", type=float, default=8.0, help="of a clip; whole bars nearest to it")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path, default=Path("out/editing"))
    args = parser.parse_args()
    quiet()
    pipe = MuseTunePipeline.from_pretrained(args.base, adapter=args.adapter).to(pick_device(args.device))
    pipe.set_progress_bar_config(disable=True)
    args.out.mkdir(parents=True, exist_ok=True)
    records = []
    for test in tqdm(load_test_sheets(args.sheets)[: args.limit], unit="sheet"):
        path = args.out / f"{test.id}.json"
        if not path.exists():
            path.write_text(json.dumps(measure(pipe, test, args.seconds, args.steps), indent=1))
        records.append(json.loads(path.read_text()))
    text = f"{len(records)} lead sheets; % with 95 % bootstrap intervals.\n\n" + table(records)
    (args.out / "editing.md").write_text(text)
    (args.out / "editing.json").write_text(json.dumps(summary(records), indent=1))
    print(text)


def measure(pipe: MuseTunePipeline, test: TestSheet, seconds: float, steps: int) -> dict[str, Any]:
    """Generate a clip, make its middle anew from latents and from audio, generate a loop, and measure all four."""
    options: dict[str, Any] = {"num_inference_steps": steps}
    sheet = whole_bars(test.sheet, seconds)
    clip = pipe(test.prompt, lead_sheet=sheet, generator=seeded(test.seed), **options)
    rate, old = clip.sampling_rate, clip.audios[0]
    start, end = middle(sheet)
    new_sheet = in_another_key(sheet, start, end, 5)
    cuts = (float(sheet.grid.time_at(start)), float(sheet.grid.time_at(end)))
    record: dict[str, Any] = {
        "id": test.id,
        "stretch_s": cuts,
        "clip": {"majmin": majmin(old, rate, sheet, (0.0, sheet.duration_s))},
        "before": {"majmin": majmin(old, rate, sheet, cuts)} | seams(old, old, rate, sheet, cuts),
    }
    for source in SOURCES:
        given = {"audio": clip} if source == "latents" else {"audio": old, "sampling_rate": rate}
        edit = pipe.repaint(
            lead_sheet=new_sheet,
            prompt=test.prompt,
            seconds=cuts,
            generator=seeded(test.seed + 1000),
            **given,
            **options,
        )
        new = edit.audios[0]
        times = np.arange(len(new)) / rate
        outside = (times < cuts[0] - SAFE_S) | (times > cuts[1] + SAFE_S)
        record[source] = {
            "touched": int((old[outside] != new[outside]).sum()),
            "majmin": majmin(new, rate, new_sheet, cuts),
        } | seams(new, old, rate, sheet, cuts)
    loop = pipe(test.prompt, lead_sheet=sheet, loop=True, generator=seeded(test.seed + 2000), **options).audios[0]
    turns = np.concatenate([loop, loop])
    record["loop"] = {
        "majmin": majmin(loop, rate, sheet, (0.0, sheet.duration_s)),
        "samples_off": len(loop) - round(sheet.duration_s * rate),
    } | seams(turns, loop, rate, sheet, (sheet.duration_s,))
    return record


def whole_bars(sheet: LeadSheet, seconds: float) -> LeadSheet:
    """The first whole bars of a sheet, as many as come nearest to so many seconds; two at least."""
    lines = sheet.downbeats()
    times = [float(sheet.grid.time_at(line)) - float(sheet.grid.time_at(lines[0])) for line in lines]
    last = min(range(min(2, len(lines) - 1), len(lines)), key=lambda i: abs(times[i] - seconds))
    return sheet.slice(lines[0], lines[last])


def seams(wave: np.ndarray, own: np.ndarray, rate: int, sheet: LeadSheet, cuts: tuple[float, ...]) -> dict[str, Any]:
    """Flux of a wave before and at its cuts, each divided by a 95th percentile in the wave that it is held against."""
    new, old = flux(wave, rate), flux(own, rate)
    beats = [float(time) for time in sheet.beats_s if 0.1 < time < sheet.duration_s - 0.1]
    others = [near(old, time) for time in beats if min(abs(time - cut) for cut in cuts) > 0.1]
    return {
        "fade": [between(new, cut - FADE_S[0], cut - FADE_S[1]) / float(np.percentile(old, 95)) for cut in cuts],
        "beat": [near(new, cut) / float(np.percentile(others, 95)) for cut in cuts],
    }


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def middle(sheet: LeadSheet) -> tuple[Fraction, Fraction]:
    """Whole beats nearest to the second quarter's beginning and the third's end."""
    return Fraction(max(1, round(sheet.length / 4))), Fraction(round(sheet.length * 3 / 4))


def in_another_key(sheet: LeadSheet, start: Fraction, end: Fraction, semitones: int) -> LeadSheet:
    """The sheet with the chords between two beats transposed."""
    moved = sheet.transpose(semitones)
    spans = []
    for own, other in zip(sheet.chords, moved.chords, strict=True):
        for low, high, span in (
            (Fraction(0), start, own),
            (start, end, other),
            (end, sheet.length, own),
        ):
            first, last = max(span.start, low), min(span.end, high)
            if last > first:
                spans.append(replace(span, start=first, beats=last - first))
    return replace(sheet, chords=tuple(spans))


def majmin(wave: np.ndarray, rate: int, sheet: LeadSheet, stretch_s: tuple[float, float]) -> float | None:
    """Share of a stretch in which Chordino, which hears the whole, hears the sheet's chords."""
    intervals, labels = chordino(wave, rate)
    start, end = stretch_s
    empty = np.zeros(0)
    heard = Estimate(np.asarray(intervals) - start, labels, np.ones(len(labels)), empty, empty, None, None)
    return chord_scores(sheet.crop(start, end - start), heard)["majmin"]


def flux(wave: np.ndarray, rate: int) -> np.ndarray:
    """Rise of the log-mel spectrum from frame to frame, (frames,)."""
    return librosa.onset.onset_strength(y=wave, sr=rate, hop_length=round(HOP_S * rate), n_fft=512, n_mels=40)


def near(values: np.ndarray, time_s: float) -> float:
    return between(values, time_s - NEAR_S, time_s + NEAR_S)


def between(values: np.ndarray, start_s: float, end_s: float) -> float:
    first, last = round(start_s / HOP_S), round(end_s / HOP_S)
    return float(values[max(0, first) : last + 1].max())


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures over all sheets; intervals by sheet."""
    names = {"clip": "whole clips", "before": "the stretch before", **SOURCES, "loop": "loops"}
    rows: dict[str, Any] = {}
    for key, name in names.items():
        own = [record[key] for record in records]
        row: dict[str, Any] = {"majmin": cell(bootstrap_mean([one["majmin"] for one in own]))}
        for kind in ("fade", "beat"):
            if kind in own[0]:
                values = np.array([value for one in own for value in one[kind]])
                row[kind] = {"below": float((values <= 1).mean()), "median": float(np.median(values))}
        if "touched" in own[0]:
            row["touched"] = sum(one["touched"] for one in own)
        rows[name] = row
    return rows


def table(records: list[dict[str, Any]]) -> str:
    """One row for what was measured where."""
    heads = (
        "",
        "majmin, Chordino",
        "crossfades below the 95th percentile of frames",
        "median of their flux ÷ it",
        "cuts below the 95th percentile of beats",
        "median of their flux ÷ it",
        "samples touched",
    )
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, row in summary(records).items():
        cells = [row["majmin"]]
        for kind in ("fade", "beat"):
            cells += [f"{100 * row[kind]['below']:.0f} %", f"{row[kind]['median']:.2f}"] if kind in row else ["", ""]
        lines.append(f"| {name} | " + " | ".join(cells) + f" | {row.get('touched', '')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
