"""What torch.compile brings to the U-Net, the vocoder and the upsampler: seconds before, after, and of compiling.

    python benchmarks/compiling.py [--base nano] [--fast] [--parts unet vocoder upsampler] [--out out/compiling.json]

Each part does what a call of 10.24 s has it do (`pipe.optimize`), first as it is, then compiled by inductor for any
length, sheet and mix, which needs a C++ compiler on processors. Medians by the clock and by the processor's time.
--fast: a step of the U-Net in one row, by the adapter for few steps. With --out each part is written as soon as it is
measured, and not measured again.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import torch
from kept_rows import KeptRows
from realsize import medians, table, timed

from musetune.pipeline.compiling import PARTS, Backend, compile_sound, compile_unet, why_not_compile
from musetune.pipeline.optimizing import LITTLE, guided_step, sound_step
from musetune.pipeline.pipeline import MuseTunePipeline

COLUMNS = ("part", "as it is, s", "processor s", "compiled, s", "processor s", "× as fast", "compiling took, s")


@torch.no_grad()
def measure(pipe: MuseTunePipeline, part: str, repeats: int, backend: Backend = "inductor") -> dict[str, Any]:
    """Seconds of a part before and after it is compiled; it stays so."""
    step = guided_step(pipe) if part == "unet" else sound_step(pipe, part)
    step()
    before = medians([timed(step) for _ in range(repeats)])
    began = time.perf_counter()
    if part == "unet":
        compile_unet(pipe, backend)
    else:
        compile_sound(getattr(pipe, part), lambda: [step(), sound_step(pipe, part, LITTLE)()], backend)
    step()
    took = time.perf_counter() - began
    after = medians([timed(step) for _ in range(repeats)])
    return {"part": part, "before": before, "after": after, "compiling_s": took}


def lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    """The table."""
    body = []
    for row in rows:
        (wall, cpu), (fast_wall, fast_cpu) = row["before"], row["after"]
        seconds = [f"{value:.3f}" for value in (wall, cpu, fast_wall, fast_cpu)]
        body.append([row["part"], *seconds, f"{cpu / fast_cpu:.2f}", f"{row['compiling_s']:.0f}"])
    return [list(COLUMNS), *body]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="nano")
    parser.add_argument("--adapter", default="theory")
    parser.add_argument("--fast", action="store_true", help="with the adapter for few steps: one row")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON file that keeps what is measured; default: nothing is kept")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    pipe = MuseTunePipeline.from_pretrained(args.base, adapter=args.adapter)
    pipe.load_upsampler()
    pipe.set_progress_bar_config(disable=True)
    if args.fast:
        pipe.load_adapter("fast")
    if (missing := why_not_compile(pipe)) is not None:
        parser.error(missing)
    told = {"base": args.base, "fast": args.fast, "threads": args.threads, "repeats": args.repeats}
    kept, rows = KeptRows(args.out, **told), []
    for part in args.parts:
        print(f"{part}: compiling takes minutes", file=sys.stderr, flush=True)
        rows.append(kept.row(part, lambda part=part: measure(pipe, part, args.repeats)))
    print(table(lines(rows)))


if __name__ == "__main__":
    main()
