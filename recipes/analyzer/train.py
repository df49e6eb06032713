"""Train the analyser's two small networks on rendered songs: which chord, and where the beat is.

    python recipes/analyzer/train.py --songs ../shared/data/pop909 --sheets ../shared/data/openewld --work out/analyzer
    \\
        --soundfont MuseScore_General_Full.sf3 --soundfont OPL-3_FM_128M.sf2 --soundfont sf_GMbank.sf2

Songs: POP909 (MIT) whose number ends neither in 0 nor in 5, and OpenEWLD (MIT) but every fifth; those left out are
for benchmarks/analysis.py. The soundfonts are Debian's musescore-general-soundfont, opl3-soundfont and
csound-soundfont; FluidR3 and TimGM6mb are left for the benchmark. Rendering resumes where it stopped, and so does
training (work/*.pt). Writes musetune/analysis/weights.safetensors. About an hour and a half on two cores.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from musetune.analysis.listening.networks import WEIGHTS, BeatNet, ChordNet
from musetune.analysis.listening.vocabulary import METERS
from musetune.datasets.analyzer.batches import Example, beat_batch, chord_batch
from musetune.datasets.analyzer.examples import DRUMS_ALONE, KINDS, Job, make_example
from musetune.datasets.corpus import in_quarters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=Path, required=True, help="the folder pop909")
    parser.add_argument("--sheets", type=Path, required=True, help="the folder openewld")
    parser.add_argument("--work", type=Path, required=True, help="examples and checkpoints")
    parser.add_argument("--soundfont", type=Path, action="append", required=True, help="may be given several times")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--count", type=int, default=2800, help="examples")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of an example")
    parser.add_argument("--chord-steps", type=int, default=6000)
    parser.add_argument("--beat-steps", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    paths = make_examples(args)
    from safetensors.torch import save_file

    weights: dict[str, Tensor] = {}
    for prefix, net in (
        ("chord", train(ChordNet(), "chord", paths, args)),
        ("beat", train(BeatNet(), "beat", paths, args)),
    ):
        weights |= {f"{prefix}.{name}": value.half().contiguous() for name, value in net.state_dict().items()}
    save_file(weights, args.out)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB")


# -- examples
# ------------------------------------------------------------------------------------------------------------


def make_examples(args: argparse.Namespace) -> list[Path]:
    """Render what is missing; the files of all examples."""
    (args.work / "examples").mkdir(parents=True, exist_ok=True)
    jobs = plan(args)
    missing = [job for job in jobs if not place(args.work, job).exists()]
    missing.sort(key=lambda job: str(job.soundfont))  # few changes of soundfont in a worker
    with get_context("spawn").Pool(args.workers) as pool:
        work = pool.imap_unordered(Write(args.work), missing, chunksize=4)
        for _ in tqdm(work, total=len(missing), desc="examples"):
            pass
    return [place(args.work, job) for job in jobs if place(args.work, job).exists()]


def plan(args: argparse.Namespace) -> list[Job]:
    """What to render; a function of the arguments alone."""
    songs = sorted(folder for folder in args.songs.iterdir() if folder.is_dir() and folder.name[-1] not in "05")
    sheets = list(lead_sheets(args.sheets, args.work / "sheets"))
    rng, jobs = np.random.default_rng(0), []
    for number in range(args.count):
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
        source = {"study": None, "sheet": sheets[int(rng.integers(len(sheets)))]}.get(
            kind, songs[int(rng.integers(len(songs)))]
        )
        font = args.soundfont[int(rng.choice(len(args.soundfont), p=share(len(args.soundfont))))]
        jobs.append(Job(number, kind, source, font, args.seconds))
    fonts = args.soundfont
    drums = range(args.count, args.count + round(DRUMS_ALONE * args.count))
    return jobs + [Job(number, "drums", None, fonts[number % len(fonts)], args.seconds) for number in drums]


def share(fonts: int) -> np.ndarray:
    """Half of the examples by the first soundfont, the rest by the others."""
    return np.ones(1) if fonts == 1 else np.array([0.5] + [0.5 / (fonts - 1)] * (fonts - 1))


def place(work: Path, job: Job) -> Path:
    return work / "examples" / f"{job.number:05d}.npz"


class Write:
    """Makes one example and stores it whole or not at all."""

    def __init__(self, work: Path) -> None:
        self.work = work

    def __call__(self, job: Job) -> None:
        example = make_example(job)
        if len(example["beats_s"]) < 8 or not len(example["chord"]):
            return
        path = place(self.work, job)
        part = path.with_suffix(".part.npz")
        np.savez(part, **example)  # type: ignore[arg-type]
        part.rename(path)


def lead_sheets(folder: Path, cache: Path, held_out: bool = False) -> Iterator[Path]:
    """OpenEWLD's tunes as JSON, cut time counted in quarters; every fifth is held out.

    What cannot be read is left out.
    """
    from musetune.symbols import LeadSheet

    cache.mkdir(parents=True, exist_ok=True)
    with (folder / "index.csv").open() as file:
        rows = [row for number, row in enumerate(csv.DictReader(file)) if (number % 5 == 0) == held_out]
    for row in tqdm(rows, desc="lead sheets"):
        path = cache / (Path(row["path"]).stem + ".json")
        if not path.exists():
            try:
                sheet = in_quarters(LeadSheet.load(folder / row["path"]))
            except ValueError as error:
                path.write_text(json.dumps({"left out": str(error)}))
                continue
            usable = str(sheet.meter) in METERS and len(sheet.meters) == 1 and sheet.length >= 32
            sheet.save(path) if usable else path.write_text(json.dumps({"left out": str(sheet.meter)}))
        if not path.read_text(encoding="utf-8").startswith('{"left out"'):
            yield path


# -- training
# ------------------------------------------------------------------------------------------------------------


def chord_loss(net: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
    """Cross-entropy of chord, bass (half weight) and key (a fifth)."""
    notes, level, target = batch
    with torch.autocast("cpu", torch.bfloat16):
        out = net(notes.float(), level.float())
    weights = (1.0, 0.5, 0.2)
    each = [
        F.cross_entropy(logits.float().transpose(1, 2), truth, label_smoothing=0.02)
        for logits, truth in zip(out, target)
    ]
    return sum(w * value for w, value in zip(weights, each))  # type: ignore[return-value]


def beat_loss(net: nn.Module, batch: tuple[Tensor, ...]) -> Tensor:
    """Binary cross-entropy, beats weighing three times and bar lines six times as much as the frames between.

    A tenth of the cross-entropy of the metre at each frame.
    """
    x, target, mask, metre = batch
    with torch.autocast("cpu", torch.bfloat16):
        beat, kind = net(x)
    each = F.binary_cross_entropy_with_logits(
        beat.float(), target, pos_weight=torch.tensor([3.0, 6.0]), reduction="none"
    )
    of_metre = F.cross_entropy(kind.float().transpose(1, 2), metre[:, None].expand(-1, x.shape[1]), reduction="none")
    return ((each.sum(2) + 0.1 * of_metre) * mask).sum() / mask.sum()


def train(net: nn.Module, name: str, paths: list[Path], args: argparse.Namespace) -> nn.Module:
    """AdamW, one cycle; goes on from work/NAME.pt.

    The weights returned are the running mean of the last (0.998 a step).
    """
    steps = args.chord_steps if name == "chord" else args.beat_steps
    make, loss_of, frames, size = (
        (chord_batch, chord_loss, 320, 8) if name == "chord" else (beat_batch, beat_loss, 2000, 8)
    )
    torch.manual_seed(0)
    needed = (
        ("notes", "level", "intervals_s", "chord", "key")
        if name == "chord"
        else ("rhythm", "beats_s", "downbeats_s", "meter")
    )
    examples = load_examples(paths, needed)
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps, pct_start=0.15)
    mean = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998))
    state, first = args.work / f"{name}.pt", 0
    held: dict[str, Any] = {"net": net, "optimizer": optimizer, "schedule": schedule, "mean": mean}
    if state.exists():
        stored = torch.load(state, weights_only=True)
        first = stored.pop("step")
        for key, value in stored.items():
            held[key].load_state_dict(value)
    progress, running = tqdm(range(first, steps), desc=name, initial=first, total=steps), None
    for step in progress:
        rng = np.random.default_rng((7, step))
        chosen = [examples[index] for index in rng.choice(len(examples), size, replace=False)]
        loss = loss_of(net.train(), make(chosen, frames, rng))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        mean.update_parameters(net)
        running = loss.item() if running is None else running + 0.02 * (loss.item() - running)
        progress.set_postfix(loss=f"{running:.3f}", refresh=False)
        if (step + 1) % 500 == 0 or step + 1 == steps:
            part = state.with_suffix(".part")
            torch.save({"step": step + 1} | {key: value.state_dict() for key, value in held.items()}, part)
            part.rename(state)
    return mean.module.eval()


def load_examples(paths: list[Path], names: tuple[str, ...]) -> list[Example]:
    """The named arrays of each example."""
    examples = []
    for path in tqdm(paths, desc="reading"):
        with np.load(path) as stored:
            examples.append({name: stored[name] for name in names})
    return examples


if __name__ == "__main__":
    main()
