"""What each part of the adapter and of its training is worth.

Variants trained alike for a short while, judged on development sheets.

    python benchmarks/ablation.py DATA BASE SHEETS OUT [--steps 400] [--only "no rotary" "no LoRA"]

DATA is a data set that recipes/prepare.py made with BASE, SHEETS a folder of lead sheets that no training saw and that
is not the test set (recipes/evaluation/make_sheets.py with another held_out). Every variant is recipes/finetune.py with
a few knobs turned, from the same seed: same clips, same noise. Each then plays every sheet once at the sheet's seed;
Chordino and madmom judge. Killed, it goes on where it was; OUT/settings.json and the one in each variant's folder keep
it from going on with other steps, data, base, sheets or knobs. Prints a table with 95 % bootstrap intervals and leaves
it in OUT/ablation.md, and in OUT/size.png the curve of obedience over the adapter's size. The intervals are over the
sheets; how much the chance of training moves a figure, "all" from two further seeds shows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from musetune.conditioning import SHEET_STREAMS
from musetune.evaluation import bootstrap_mean, load_test_sheets
from musetune.evaluation.adherence import adherence
from musetune.evaluation.bootstrap import cell
from musetune.evaluation.judges import judge, versions
from musetune.evaluation.provenance import fingerprint, hash_of, remember
from musetune.pipeline.pipeline import MuseTunePipeline

FINETUNE = Path(__file__).parents[1] / "recipes" / "finetune.py"
MEASURES = ("majmin", "triads", "tetrads", "beat_f", "downbeat_f", "tempo_acc1")
REFERENCE = {
    "rank": 12,
    "crop_rows": 40,
    "stream_dropout": 0.15,
    "snr_gamma": "null",
    "ema_decay": 0.995,
    "lr_warmup_steps": 50,
    "mixed_precision": "bf16",
    "report_to": "null",
}
VARIANTS: dict[str, dict[str, Any]] = {
    "all": {},
    "all, seed 1": {"seed": 1},
    "all, seed 2": {"seed": 2},
    "events alone": {"map_entry": False, "map_modulation": False},
    "frames alone": {"attended": "[]"},
    "entry, no modulation": {"map_modulation": False},
    "modulation, no entry": {"map_entry": False},
    "no rotary": {"rotary": False},
    "events alone, no rotary": {"map_entry": False, "map_modulation": False, "rotary": False},
    "an event a row": {"event_s": 0.128},
    "events alone, an event a row": {"map_entry": False, "map_modulation": False, "event_s": 0.128},
    "first three quarters of the sites": {
        "attended": "[0,1,6,2,3]"
    },  # as computed: down 0 1, middle 6, up 2 3; left: up 4 5
    "upper level's sites": {"attended": "[0,4,5]"},
    "half as wide": {"dim": 64, "hidden": 48, "map_channels": 16},
    "twice as wide": {"dim": 256, "hidden": 192, "map_channels": 64},
    "no LoRA": {"rank": 0},
    "rank 4": {"rank": 4},
    "rank 8": {"rank": 8},
    "rank 24": {"rank": 24},
    "no numerals": {"hidden_streams": "[function]"},
    "no key": {"hidden_streams": "[key]"},
    "min-SNR 5": {"snr_gamma": 5.0},
    "uniform timesteps": {"timestep_sampling": "uniform"},
    "uniform timesteps, seed 1": {"timestep_sampling": "uniform", "seed": 1},
    "logit-normal timesteps": {"timestep_sampling": "logit_normal"},
    "stream dropout 0.5": {"stream_dropout": 0.5},
    "no span dropout": {"span_dropout": 0.0},
    "EMA 0.98": {"ema_decay": 0.98},
    "EMA 0.999": {"ema_decay": 0.999},
    "learning rate 2e-3": {"learning_rate": 2e-3},
    "learning rate 5e-4": {"learning_rate": 5e-4},
}


SIZES = ("no LoRA", "rank 4", "rank 8", "all", "rank 24")


def main(arguments: list[str]) -> None:
    args = parse(arguments)
    unknown = set(args.only) - set(VARIANTS)
    if unknown:
        raise SystemExit(f"no variant {sorted(unknown)}; there are {', '.join(VARIANTS)}")
    remember(args.out, settings(args))  # before hours of work: are the judges installed, and is OUT of the same?
    for name in args.only or VARIANTS:
        remember(folder(args, name), {"knobs": REFERENCE | VARIANTS[name]})
        done = folder(args, name) / "scores.json"
        if not done.exists():
            train(args, name)
            scores = {"trainable": trainable(args, name), "clips": play(args, name)}
            done.write_text(json.dumps(scores))
    text = table(args)
    (args.out / "ablation.md").write_text(text)
    draw_sizes(args)
    print(text)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="data set of recipes/prepare.py")
    parser.add_argument("base", help="the base that it was made with")
    parser.add_argument("sheets", type=Path, help="development sheets")
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=400, help="of 16 crops of 5.12 s (default 400)")
    parser.add_argument("--only", nargs="+", default=[], metavar="VARIANT", help=f"among {', '.join(VARIANTS)}")
    return parser.parse_args(arguments)


def folder(args: argparse.Namespace, name: str) -> Path:
    return args.out / name.replace(" ", "-").replace(",", "")


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """What all variants have in common; data, base and sheets by a hash, so that the same elsewhere is the same."""
    data = b"".join((args.data / name).read_bytes() for name in ("dataset.json", "clips.jsonl"))
    parts = MuseTunePipeline.from_pretrained(args.base).components
    return {
        "steps": args.steps,
        "data": hash_of(data),
        "base": {name: fingerprint(part) for name, part in parts.items() if isinstance(part, torch.nn.Module)},
        "sheets": hash_of(repr(load_test_sheets(args.sheets)).encode()),
        "judges": versions(),
    }


def train(args: argparse.Namespace, name: str) -> None:
    """recipes/finetune.py with the variant's knobs, resumed where it was."""
    run = folder(args, name)
    knobs = REFERENCE | VARIANTS[name] | {"max_train_steps": args.steps, "checkpointing_steps": 200}
    paths = {"pretrained_model_name_or_path": args.base, "train_data_dir": args.data, "output_dir": run}
    resume = ["resume_from_checkpoint=latest"] if list(run.glob("checkpoint-*")) else []
    print(f"== {name}", file=sys.stderr)
    subprocess.run(
        [sys.executable, str(FINETUNE), *(f"{k}={v}" for k, v in (paths | knobs).items()), *resume], check=True
    )


def trainable(args: argparse.Namespace, name: str) -> dict[str, float]:
    """Trained parameters, and their share of the U-Net."""
    pipe = MuseTunePipeline.from_pretrained(args.base)
    whole = sum(p.numel() for p in pipe.unet.parameters())
    pipe.load_adapter(folder(args, name) / "adapter")
    own = sum(p.numel() for p in pipe.adapter.trainable_parameters())
    return {"parameters": own, "share": own / whole}


def play(args: argparse.Namespace, name: str) -> dict[str, dict[str, float | None]]:
    """Every sheet once, judged: sheet → scores."""
    pipe = MuseTunePipeline.from_pretrained(args.base, adapter=folder(args, name) / "adapter")
    pipe.set_progress_bar_config(disable=True)
    hidden = VARIANTS[name].get("hidden_streams", "[]").strip("[]")
    follow = {"follow": tuple(s for s in SHEET_STREAMS if s != hidden)} if hidden else {}
    scores = {}
    for test in tqdm(load_test_sheets(args.sheets), desc=name, unit="sheet"):
        made = pipe(test.prompt, lead_sheet=test.sheet, generator=torch.Generator().manual_seed(test.seed), **follow)
        heard = judge(made.audios[0], made.sampling_rate, tempo_hint=test.sheet)
        scores[test.id] = adherence(test.sheet, heard)
    return scores


def table(args: argparse.Namespace) -> str:
    """All variants that are done, in the order of VARIANTS."""
    lines = [
        f"{args.steps} steps of 16 crops; % with 95 % bootstrap intervals over the sheets; Δ: majmin less that of all "
        f"parts, sheet by sheet. "
        'The intervals know nothing of the chance of training: a Δ counts where it is beyond those of "all, seed 1" '
        'and "all, seed 2".',
        "",
        "| variant | trained, share of the U-Net | " + " | ".join(MEASURES) + " | Δ majmin |",
        "|---" * (3 + len(MEASURES)) + "|",
    ]
    whole = folder(args, "all") / "scores.json"
    majmin = {k: v["majmin"] for k, v in json.loads(whole.read_text())["clips"].items()} if whole.exists() else {}
    for name in VARIANTS:
        path = folder(args, name) / "scores.json"
        if path.exists():
            scores = json.loads(path.read_text())
            means = [bootstrap_mean([clip[m] for clip in scores["clips"].values()]) for m in MEASURES]
            pairs = [(clip["majmin"], majmin.get(sheet)) for sheet, clip in scores["clips"].items()]
            means.append(bootstrap_mean([ours - theirs for ours, theirs in pairs if None not in (ours, theirs)]))
            own = f"{scores['trainable']['parameters'] / 1e6:.2f} M, {100 * scores['trainable']['share']:.1f} %"
            lines.append(f"| {name} | {own} | " + " | ".join(map(cell, means)) + " |")
    return "\n".join(lines) + "\n"


def draw_sizes(args: argparse.Namespace) -> None:
    """The curve over trained parameters, as a share of the U-Net; nothing below two points."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    records = [json.loads(p.read_text()) for name in SIZES if (p := folder(args, name) / "scores.json").exists()]
    if len(records) < 2:
        return
    figure = Figure(figsize=(6, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    sizes = [100 * record["trainable"]["share"] for record in records]
    for measure in ("majmin", "tetrads", "beat_f", "downbeat_f"):
        means = [bootstrap_mean([clip[measure] for clip in record["clips"].values()]) for record in records]
        points = [
            (x, 100 * m.mean, 100 * (m.mean - m.low), 100 * (m.high - m.mean))
            for x, m in zip(sizes, means, strict=True)
            if m
        ]
        if points:
            x, y, *spread = zip(*points, strict=True)
            axis.errorbar(x, y, yerr=spread, marker="o", capsize=3, label=measure)
    axis.set(xlabel="trained parameters, % of the U-Net", ylabel="%", ylim=(0, 100), title=f"{args.steps} steps")
    axis.legend(frameon=False)
    figure.savefig(args.out / "size.png", dpi=110)


if __name__ == "__main__":
    main(sys.argv[1:])
