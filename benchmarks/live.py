"""Does a stream keep ahead of real time, hold its chords for minutes, join without seams, and stay small?

    python benchmarks/live.py [--sheets FOLDER] [--limit 4] [--seconds 120] [--memory-minutes 30] [--out out/live]

Speed and chords: each sheet goes round and round for SECONDS at 48 kHz stereo, in chunks as `musetune live` and the
page make them: with the adapter fast in 2 steps (--no-fast: without it, in 8), a bar's first half second apart
(--opening 0: bars are whole). Ratio: seconds of audio a second, by the clock and by the processor's time, of all
chunks but the first two. Chunk: the time that 95 of 100 take at most, by the processor. Chords: majmin
by Chordino over the whole, and within its quarters, beside clips of the same sheets, prompts and seeds that a call
without fast makes with its own defaults.
How soon a change is heard: benchmarks/live_changes.py.

Seams: spectral flux (rise of the log-mel spectrum), the largest within 30 ms of where chunks meet, over the 95th
percentile of the whole; beside it the same at bar lines of clips, where there is no seam. Loudness: of the last
quarter against the first, in dB.

Memory: resident megabytes of the process at minute 1, 2, 5, 10, 20, 30 of a stream, generated as fast as it goes, with
MEMORY-STEPS denoising steps: what is kept does not depend on their number.

OUT holds a JSON record a sheet; killed, the same command goes on where it was. Use OMP_NUM_THREADS=1 to read the
processor's column on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from editing import flux, majmin, near, seeded
from tqdm import tqdm

from musetune import LeadSheet, MuseTunePipeline
from musetune.audio import resample
from musetune.evaluation import TestSheet, load_test_sheets
from musetune.live.few_steps import load_few_steps
from musetune.live.performance import OPENING_S
from musetune.pipeline.loading import pick_device, quiet
from musetune.pipeline.stream_score import join_sheets

WARM_UP = 2  # chunks whose time does not count
MINUTES = (1, 2, 5, 10, 20, 30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sheets", help="folder of lead sheets; default the test set")
    parser.add_argument("--base", default="nano")
    parser.add_argument("--adapter", default="theory")
    parser.add_argument("--limit", type=int, default=4, help="sheets")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--fast", action=argparse.BooleanOptionalAction, default=True, help="with the adapter fast")
    parser.add_argument("--steps", type=int, help="denoising steps of the stream; default its own")
    parser.add_argument(
        "--opening", type=float, default=OPENING_S, help="seconds of a bar's first chunk; 0: none apart"
    )
    parser.add_argument("--memory-minutes", type=float, default=30, help="0 leaves it out")
    parser.add_argument("--memory-steps", type=int, default=1)
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path, default=Path("out/live"))
    args = parser.parse_args()
    quiet()
    pipe = MuseTunePipeline.from_pretrained(args.base, adapter=args.adapter).to(pick_device(args.device))
    pipe.load_upsampler()
    pipe.set_progress_bar_config(disable=True)
    args.out.mkdir(parents=True, exist_ok=True)
    few = load_few_steps(pipe) if args.fast else None
    records = []
    for test in tqdm(load_test_sheets(args.sheets)[: args.limit], unit="sheet"):
        path = args.out / f"{test.id}.json"
        if not path.exists():
            record = measure(pipe, test, few, args.seconds, args.steps, args.opening or None)
            path.write_text(json.dumps(record, indent=1))
        records.append(json.loads(path.read_text()))
    if records:
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {torch.get_num_threads()} threads\n")
        print(table(records))
    if args.memory_minutes:
        print(memory_table(memory(pipe, args.memory_minutes, args.memory_steps)))


def measure(
    pipe: MuseTunePipeline, test: TestSheet, few: str | None, seconds: float, steps: int | None, opening_s: float | None
) -> dict[str, Any]:
    """Stream a sheet, by the adapter ``few`` where there is one, and generate its clip without; listen to both."""
    sheet = whole_beats(test.sheet)
    options: dict[str, Any] = {"num_inference_steps": steps, "opening_seconds": opening_s}
    wall, processor, heard, ends = [], [], [], []
    pieces: list[np.ndarray] = []
    passages: list[LeadSheet] = []
    began = time.process_time()
    for chunk in pipe.stream(sheet, test.prompt, generator=seeded(test.seed), **options):
        now = time.process_time()
        wall.append(chunk.made_in_s)
        processor.append(now - began)
        heard.append(chunk.audio.shape[-1] / chunk.sampling_rate)
        ends.append(chunk.passage.end_s)
        pieces.append(chunk.audio)
        passages.append(chunk.passage.sheet)
        began = now
        if chunk.passage.end_s >= seconds:
            break
    audio, rate = np.concatenate(pieces, axis=1).mean(axis=0), chunk.sampling_rate
    played = join_sheets(passages)
    length = len(audio) / rate
    if few is not None:
        pipe.set_adapter({few: 0.0})
    clip = pipe(test.prompt, lead_sheet=test.sheet, generator=seeded(test.seed))
    if few is not None:
        pipe.set_adapter({few: 1.0})
    quarters = [(i * length / 4, (i + 1) * length / 4) for i in range(4)]
    change = flux(resample(audio, rate, clip.sampling_rate), clip.sampling_rate)
    own = flux(clip.audios[0], clip.sampling_rate)
    loudness = [float(np.sqrt(np.mean(audio[round(a * rate) : round(b * rate)] ** 2))) for a, b in quarters]
    seams = [near(change, time_s) / float(np.percentile(change, 95)) for time_s in ends[:-1]]
    lines = [near(own, time_s) / float(np.percentile(own, 95)) for time_s in test.sheet.downbeats_s[1:]]
    return {
        "id": test.id,
        "seconds": sum(heard),
        "wall": wall,
        "processor": processor,
        "heard": heard,
        "load": os.getloadavg()[0],
        "majmin": majmin(audio, rate, played, (0.0, length)),
        "quarters": [majmin(audio, rate, played, quarter) for quarter in quarters],
        "clip": majmin(clip.audios[0], clip.sampling_rate, test.sheet, (0.0, test.sheet.duration_s)),
        "seams": seams,
        "bar_lines": lines,
        "loudness_db": 20 * float(np.log10(loudness[-1] / loudness[0])),
    }


def whole_beats(sheet: LeadSheet) -> LeadSheet:
    """The sheet without what is left of a beat at its end; whole bars where it has one."""
    bar = sheet.meter.beats_per_bar
    first = max(0, -(-sheet.first_downbeat.numerator // sheet.first_downbeat.denominator))
    bars = (sheet.length - first) // bar
    cut = sheet.slice(first, first + int(bars) * bar) if bars else sheet.slice(0, int(sheet.length))
    return replace(cut, melody=(), sections=())


def table(records: list[dict[str, Any]]) -> str:
    """One row for all sheets together, and one a sheet."""
    heads = ("sheet", "seconds", "ratio, clock", "ratio, processor", "chunk, s (95th)", "majmin", "quarters", "clip")
    heads += ("flux at seams ÷ p95", "at bar lines of clips", "last quarter, dB")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, own in [*((r["id"], [r]) for r in records), ("all", records)]:
        heard = sum(sum(r["heard"][WARM_UP:]) for r in own)
        wall, processor = (sum(sum(r[key][WARM_UP:]) for r in own) for key in ("wall", "processor"))
        ahead = np.percentile([value for r in own for value in r["processor"][WARM_UP:]], 95)
        quarters = " ".join(f"{100 * np.mean([r['quarters'][i] for r in own]):.0f}" for i in range(4))
        cells = [name, f"{sum(r['seconds'] for r in own):.0f}", f"{heard / wall:.2f}", f"{heard / processor:.2f}"]
        cells += [f"{ahead:.2f}", f"{100 * np.mean([r['majmin'] for r in own]):.1f}", quarters]
        cells += [f"{100 * np.mean([r['clip'] for r in own]):.1f}"]
        cells += [f"{np.median([f for r in own for f in r[key]]):.2f}" for key in ("seams", "bar_lines")]
        cells += [f"{np.mean([r['loudness_db'] for r in own]):+.1f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def memory(pipe: MuseTunePipeline, minutes: float, steps: int) -> dict[int, float]:
    """Resident megabytes at some minutes of a stream."""
    sheet = LeadSheet.parse("| Dm7 | G7 | Cmaj7 | A7 |", bpm=126)
    sizes: dict[int, float] = {}
    marks = [minute for minute in MINUTES if minute <= minutes]
    with tqdm(total=round(60 * minutes), unit="s of audio") as bar:
        for chunk in pipe.stream(sheet, "jazz trio", generator=seeded(0), num_inference_steps=steps):
            bar.update(round(chunk.passage.end_s) - bar.n)
            if marks and chunk.passage.end_s >= 60 * marks[0]:
                sizes[marks.pop(0)] = resident_mb()
            if not marks:
                break
    return sizes


def resident_mb() -> float:
    """Megabytes of the process in memory (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def memory_table(sizes: dict[int, float]) -> str:
    lines = ["| minute | resident, MB |", "|---|---|"]
    return "\n".join([*lines, *(f"| {minute} | {size:.0f} |" for minute, size in sizes.items())]) + "\n"


if __name__ == "__main__":
    main()
