"""How fast a clip is made here: every rung of the ladder against the one before; then whole calls and training steps.

    python benchmarks/speed.py [--base nano] [--adapter theory] [--threads 2] [--repeats 5]
    python benchmarks/speed.py --parts ladder --ladder nano audioldm2 --repeats 1 --out out/ladder.json

The ladder (`ladder.py`): 200 DDIM steps as the stock pipeline has them, 20 steps with music, the LoRA merged, few steps
of one pass, compiled, bfloat16, that compiled, int8, ONNX Runtime, OpenVINO; the arithmetic limit beside. With --out
each rung is written as soon as it is measured, and not measured again. Calls and training: seconds for a clip, clips a
second in training, with the adapter and without, as ratios. What compiling brings to the vocoder and the upsampler too
is told by `compiling.py`.

A and B alternate in one run, so that whatever else the machine does falls on both; the table shows medians.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from diffusers.models.attention_processor import AttnProcessor
from kept_rows import KeptRows
from ladder import OPTIONAL, climb, lines
from realsize import table as markdown

from musetune.adapter import MusicAdapter
from musetune.conditioning import tokenize
from musetune.hub.locate import find_adapter
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.symbols import LeadSheet

BATCH, ROWS = 16, 40


def timed(tasks: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each task; the first round warms up and does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(repeats + 1):
        for name, task in tasks.items():
            began = time.perf_counter()
            task()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return {name: median(values) for name, values in seconds.items()}


def generating(pipe: MuseTunePipeline) -> dict[str, Callable[[], object]]:
    """A clip of 10.24 s in 20 steps by words alone, and by words and music (two passes a step each)."""
    sheet = LeadSheet.from_progression(["I", "V", "vi", "IV"], key="C major", bpm=120, duration_seconds=10.24)
    return {
        "10.24 s clip, words": lambda: pipe("pop", duration_seconds=10.24, num_inference_steps=20),
        "10.24 s clip, words and music": lambda: pipe("pop", lead_sheet=sheet, num_inference_steps=20),
    }


def training(base: str, adapter: str) -> dict[str, Callable[[], object]]:
    """A step on 16 crops of 5.12 s: all of the U-Net without adapter, and the adapter on the frozen U-Net."""
    pipes = [MuseTunePipeline.from_pretrained(base) for _ in range(2)]
    unets = [pipe.unet.train().requires_grad_(index == 0) for index, pipe in enumerate(pipes)]
    for unet in unets:
        unet.set_attn_processor(AttnProcessor())
    music = MusicAdapter.from_pretrained(find_adapter(adapter)).train().attach(unets[1])
    config = unets[0].config
    latents = torch.randn(BATCH, config.in_channels, ROWS, music.config.cols)
    with torch.no_grad():
        states, mask, generated = (
            x.expand(BATCH, *x.shape[1:]) for x in pipes[0].encode_prompt("pop", "cpu", 1, False)
        )
    frames = ROWS * music.config.frames_per_row
    frame_s = pipes[0].row_s / music.config.frames_per_row
    sheet = LeadSheet.from_progression(
        ["I", "V", "vi", "IV"], key="C major", bpm=120, duration_seconds=frames * frame_s
    )
    tokens = type(one := tokenize(sheet, frame_s=frame_s, n_frames=frames)).stack([one] * BATCH)

    def step(unet: torch.nn.Module, fed: MusicAdapter | None) -> None:
        sample, hidden = latents, generated
        if fed is not None:
            prepared = fed.prepare(tokens, ROWS, fed.config.cols, pipes[0].row_s)
            sample, hidden = fed.inputs(latents, generated, prepared)
        out = unet(
            sample, 500, encoder_hidden_states=hidden, encoder_hidden_states_1=states, encoder_attention_mask_1=mask
        )
        out.sample.square().mean().backward()
        unet.zero_grad()

    return {
        "training step, whole U-Net": lambda: step(unets[0], None),
        "training step, adapter on the frozen U-Net": lambda: step(unets[1], music),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="nano")
    parser.add_argument("--adapter", default="theory")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--parts", nargs="+", choices=("ladder", "calls"), default=["ladder", "calls"])
    parser.add_argument("--ladder", nargs="+", default=["nano"], help="bases of the ladder; audioldm2: random weights")
    parser.add_argument(
        "--rungs",
        nargs="*",
        choices=OPTIONAL,
        default=[name for name in OPTIONAL if "compiled" not in name],
        help="the optional ones; default all but those compiled, which take minutes",
    )
    parser.add_argument("--out", type=Path, help="JSON file that keeps the ladder's rungs; default: none are kept")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if "ladder" in args.parts:
        kept = KeptRows(args.out, threads=args.threads, repeats=args.repeats)
        rows = [row for name in args.ladder for row in climb(name, args.rungs, args.repeats, args.threads, kept)]
        print(markdown(lines(rows)), flush=True)
    if "calls" not in args.parts:
        return
    pipe = MuseTunePipeline.from_pretrained(args.base, adapter=args.adapter)
    pipe.set_progress_bar_config(disable=True)
    print(f"| {args.threads} threads | seconds | ratio | clips of 5.12 s a second |\n|---|---|---|---|")
    for tasks in (generating(pipe), training(args.base, args.adapter)):
        seconds = timed(tasks, args.repeats)
        first = next(iter(seconds.values()))
        for name, value in seconds.items():
            rate = f"{BATCH / value:.1f}" if "training" in name else ""
            print(f"| {name} | {value:.2f} | {value / first:.2f} | {rate} |")


if __name__ == "__main__":
    main()
