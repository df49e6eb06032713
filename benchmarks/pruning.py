"""A narrower U-Net with its music adapter beside the wide pair: whether it still obeys, and what a pass costs.

    python benchmarks/pruning.py --run "pruned 0.75"=runs/narrow [--run …] [--limit 24] [--steps 20] [--out out/pruning]

Each run is a folder that `recipes/prune.py … theory_adapter=theory` wrote. Clips of the test sheets, at each sheet's
own seed and with the default guidance, judged by recognisers that we did not train. majmin, triads, beat_f, downbeat_f:
Chordino and madmom, %; clap: of the prompt and the sound, by the base's CLAP; 95 % bootstrap intervals. Parameters and
MB (half precision): of U-Net and adapter, the wide adapter's LoRA merged. Seconds: of the processor for a pass of both
over the base's own length, one row, one thread, median of seven turns, all pairs in every turn. Loss and distance: of a
run's results.json, on held-out songs before and after its training; of the wide pair those of the first run. Killed, it
goes on where it was; the table is in OUT/pruning.md, the figures in OUT/pruning.json.
"""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

import torch
from adapter_overhead import step_of
from diffusers import AudioLDM2UNet2DConditionModel
from guidance import MEASURES, cosine, heard_in, made_with, take
from realsize import Time, alternate, base_of, count
from realsize import table as markdown
from tqdm import tqdm

from musetune.evaluation import TestSheet, adherence, bootstrap_mean, load_test_sheets
from musetune.evaluation.bootstrap import cell
from musetune.evaluation.provenance import remember
from musetune.pipeline.pipeline import MuseTunePipeline

WIDE, TURNS, EVENTS = "wide", 7, 128
LOSSES = ("loss before", "distance before", "loss", "distance")
COST = ("parameters, M", "MB", "seconds", "faster")
HEADS = ("pair", *COST, *LOSSES, *MEASURES, "clap")


def main() -> None:
    args = parse()
    every, out = load_test_sheets(args.sheets), Path(args.out)
    tests, runs = every[: args.limit], dict(args.run)
    results = {name: json.loads((run / "results.json").read_text()) for name, run in runs.items()}
    pipes = {WIDE: MuseTunePipeline.from_pretrained(args.base, adapter=args.adapter)}
    pipes |= {name: narrow_pipe(args.base, run) for name, run in runs.items()}
    records: dict[str, list[dict[str, Any]]] = {name: [] for name in pipes}
    for name, pipe in pipes.items():
        pipe.set_progress_bar_config(disable=True)
        remember(out / name, made_with(pipe, every, steps=args.steps))
    with tqdm(total=len(pipes) * len(tests), unit="clip") as progress:
        for test in tests:
            for name, pipe in pipes.items():
                path = out / name / f"{test.id}.json"
                records[name].append(take(pipe, path, test, {"num_inference_steps": args.steps}))
                progress.update()
    costs = costs_of(pipes, args.base)
    losses = {WIDE: next(iter(results.values()))["wide"]} | {name: losses_of(one) for name, one in results.items()}
    rows = [{"pair": name, **costs[name], **losses[name], **obedience(records[name], tests)} for name in pipes]
    text = f"{len(tests)} lead sheets, {args.steps} steps; % with 95 % bootstrap intervals.\n\n{table(rows)}\n"
    (out / "pruning.md").write_text(text)
    (out / "pruning.json").write_text(json.dumps(rows, indent=1, allow_nan=False, default=vars) + "\n")
    print(text)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=run_of, action="append", required=True, help="NAME=FOLDER; several times")
    parser.add_argument("--base", default="nano", help="bundled name or folder of the wide base")
    parser.add_argument("--adapter", default="theory", help="bundled name or folder of its music adapter")
    parser.add_argument("--sheets", help="folder of lead sheets; default the test set")
    parser.add_argument("--limit", type=int, help="only the first so many lead sheets")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--out", default="out/pruning")
    return parser.parse_args()


def run_of(text: str) -> tuple[str, Path]:
    """Name and folder of "NAME=FOLDER"."""
    name, _, folder = text.partition("=")
    if not name or "/" in name or name == WIDE or not (Path(folder) / "results.json").is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is no NAME=FOLDER of a finished run of prune.py, other than {WIDE}")
    if not (Path(folder) / "adapter").is_dir():
        raise argparse.ArgumentTypeError(f"{folder} has no adapter/: give prune.py theory_adapter=theory")
    return name, Path(folder)


def narrow_pipe(base: str, folder: Path) -> MuseTunePipeline:
    """The base with the U-Net and the adapter of a run."""
    unet = AudioLDM2UNet2DConditionModel.from_pretrained(folder / "unet", use_safetensors=True)
    return MuseTunePipeline.from_pretrained(base, adapter=folder / "adapter", unet=unet)


@torch.no_grad()
def costs_of(pipes: dict[str, MuseTunePipeline], name: str) -> dict[str, dict[str, Any]]:
    """What U-Net and adapter of each pipeline weigh, and the seconds of a pass."""
    base, threads = base_of(name), torch.get_num_threads()
    torch.set_num_threads(1)
    with ExitStack() as merged:
        for pipe in pipes.values():
            merged.enter_context(pipe.adapter.merged())
        steps = {key: step_of(pipe.unet, pipe.adapter, base, base.rows, 1, EVENTS)[0] for key, pipe in pipes.items()}
        for step in steps.values():
            step()
        times = alternate(steps, TURNS)
    torch.set_num_threads(threads)
    return {key: {"parameters": weights_of(pipe), **cost(times[key], times[WIDE])} for key, pipe in pipes.items()}


def weights_of(pipe: MuseTunePipeline) -> int:
    """Parameters of U-Net and adapter, without LoRAs."""
    loras = sum(weight.numel() for weight in pipe.adapter.lora_weights().values())
    return count(pipe.unet) + count(pipe.adapter) - loras


def cost(own: list[Time], wide: list[Time]) -> dict[str, float]:
    """Seconds of the processor, and how many times as fast as the wide pair: medians of turns and of their ratios."""
    ratios = [one.cpu_s / other.cpu_s for one, other in zip(wide, own, strict=True)]
    return {"seconds": median(time.cpu_s for time in own), "faster": median(ratios)}


def losses_of(result: dict[str, Any]) -> dict[str, float]:
    """The columns LOSSES of a run's results."""
    values = [result[when][what] for when in ("before", "after") for what in ("loss", "distance")]
    return dict(zip(LOSSES, values, strict=True))


def obedience(records: list[dict[str, Any]], tests: list[TestSheet]) -> dict[str, Any]:
    """Means of the measures and of CLAP similarity, with their intervals."""
    scores = [adherence(test.sheet, heard_in(record)) for record, test in zip(records, tests, strict=True)]
    means = {name: bootstrap_mean([score[name] for score in scores]) for name in MEASURES}
    return means | {"clap": bootstrap_mean([record["clap"] for record in records])}


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown, one line a pair."""
    lines: list[list[str]] = [list(HEADS)]
    for row in rows:
        cells = [row["pair"], f"{row['parameters'] / 1e6:.2f}", f"{2 * row['parameters'] / 1e6:.1f}"]
        cells += [f"{row['seconds']:.3f}", f"{row['faster']:.2f}"]
        cells += [f"{row[name]:.3f}" if name in row else "—" for name in LOSSES]
        lines.append([*cells, *(cell(row[name]) for name in MEASURES), cosine(row["clap"])])
    return markdown(lines)


if __name__ == "__main__":
    main()
