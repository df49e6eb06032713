"""Is an edited piece whole: is the rest untouched, are the new chords played, is the seam heard?

    python benchmarks/editing.py [--sheets FOLDER] [--base nano] [--adapter theory] [--limit 24] [--out out/editing]

Each sheet is generated; then its second quarter to its third is made anew under its own chords a fourth higher, once
from the result's latents and once from its audio alone, as any recording is. OUT holds a JSON record a sheet and the
table; killed, the same command goes on where it was.

Untouched: samples that differ farther than 50 ms from the stretch. Chords: majmin by Chordino, an unrelated recogniser,
of the new stretch against the new chords, of that stretch before against the old ones, and of whole clips. Seam:
spectral flux (rise of the log-mel spectrum) at both cuts, the largest within 30 ms, beside the 95th percentile within
the clip as it was generated, and beside the flux at the same places before: cuts are on beats, where music begins anew.
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
SAFE_S = 0.05
SOURCES = ("result", "audio")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheets", help="folder of lead sheets; default the test set")
    parser.add_argument("--base", default="nano")
    parser.add_argument("--adapter", default="theory")
    parser.add_argument("--limit", type=int, default=24, help="sheets")
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
            path.write_text(json.dumps(measure(pipe, test, args.steps), indent=1))
        records.append(json.loads(path.read_text()))
    text = f"{len(records)} lead sheets; % with 95 % bootstrap intervals.\n\n" + table(records)
    (args.out / "editing.md").write_text(text)
    (args.out / "editing.json").write_text(json.dumps(summary(records), indent=1))
    print(text)


def measure(pipe: MuseTunePipeline, test: TestSheet, steps: int) -> dict[str, Any]:
    """Generate a clip, make its middle anew from latents and from audio, and measure all three."""
    options: dict[str, Any] = {"num_inference_steps": steps}
    clip = pipe(test.prompt, lead_sheet=test.sheet, generator=seeded(test.seed), **options)
    rate, old = clip.sampling_rate, clip.audios[0]
    start, end = middle(test.sheet)
    new_sheet = in_another_key(test.sheet, start, end, 5)
    stretch_s = (float(test.sheet.grid.time_at(start)), float(test.sheet.grid.time_at(end)))
    flux_before = flux(old, rate)
    record: dict[str, Any] = {
        "id": test.id,
        "stretch_s": stretch_s,
        "whole": majmin(old, rate, test.sheet, (0.0, test.sheet.duration_s)),
        "before": majmin(old, rate, test.sheet, stretch_s),
        "flux_p95": float(np.percentile(flux_before, 95)),
        "flux_before": [near(flux_before, time) for time in stretch_s],
    }
    for source in SOURCES:
        given = {"audio": clip} if source == "result" else {"audio": old, "sampling_rate": rate}
        edit = pipe.repaint(
            lead_sheet=new_sheet,
            prompt=test.prompt,
            seconds=stretch_s,
            generator=seeded(test.seed + 1000),
            **given,
            **options,
        )
        new = edit.audios[0]
        times = np.arange(len(new)) / rate
        outside = (times < stretch_s[0] - SAFE_S) | (times > stretch_s[1] + SAFE_S)
        record[source] = {
            "touched": int((old[outside] != new[outside]).sum()),
            "majmin": majmin(new, rate, new_sheet, stretch_s),
            "flux": [near(flux(new, rate), time) for time in stretch_s],
        }
    return record


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
    first, last = round((time_s - NEAR_S) / HOP_S), round((time_s + NEAR_S) / HOP_S)
    return float(values[max(0, first) : last + 1].max())


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures over all sheets; intervals by sheet."""
    rows: dict[str, Any] = {
        "whole clips": {"majmin": [r["whole"] for r in records]},
        "the stretch before": {"majmin": [r["before"] for r in records], "flux": [r["flux_before"] for r in records]},
    }
    for source in SOURCES:
        rows[f"made anew from {'latents' if source == 'result' else 'audio'}"] = {
            "majmin": [r[source]["majmin"] for r in records],
            "flux": [r[source]["flux"] for r in records],
            "touched": sum(r[source]["touched"] for r in records),
        }
    for row in rows.values():
        row["text"] = cell(bootstrap_mean(row["majmin"]))
        if "flux" in row:
            quiet_cuts = [[f <= r["flux_p95"] for f in fluxes] for fluxes, r in zip(row["flux"], records, strict=True)]
            row["cuts_below_p95"] = float(np.mean(quiet_cuts))
            row["flux_over_p95"] = float(
                np.median([f / r["flux_p95"] for fluxes, r in zip(row["flux"], records, strict=True) for f in fluxes])
            )
    return rows


def table(records: list[dict[str, Any]]) -> str:
    """One row for what was measured where."""
    heads = (
        "",
        "majmin, Chordino",
        "cuts below the 95th percentile",
        "flux at cuts ÷ 95th percentile",
        "samples touched",
    )
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, row in summary(records).items():
        below = f"{100 * row['cuts_below_p95']:.0f} %" if "flux" in row else ""
        over = f"{row['flux_over_p95']:.2f}" if "flux" in row else ""
        lines.append(f"| {name} | {row['text']} | {below} | {over} | {row.get('touched', '')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
