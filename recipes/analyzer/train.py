"""Train the analyser's two small networks on rendered songs: which chord, and where the beat is.

    python recipes/analyzer/train.py songs=../shared/data/pop909 sheets=../shared/data/openewld work=out/analyzer \\
        soundfonts=[MuseScore_General_Full.sf3,OPL-3_FM_128M.sf2,sf_GMbank.sf2]

Songs: POP909 (MIT) whose number ends neither in 0 nor in 5, and OpenEWLD (MIT) but every fifth; those left out are
for benchmarks/analysis.py. The soundfonts are Debian's musescore-general-soundfont, opl3-soundfont and
csound-soundfont; FluidR3 and TimGM6mb are left for the benchmark. Rendering resumes where it stopped, and so does
training (checkpoints in work/chord and work/beat). Writes the analyser's own weights, or `out`.
About an hour and a half on two cores.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import MISSING
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from musetune.analysis.listening.networks import WEIGHTS, BeatNet, ChordNet
from musetune.analysis.listening.vocabulary import METERS
from musetune.datasets.analyzer.batches import ExampleArrays, beat_batch, chord_batch
from musetune.datasets.analyzer.examples import DRUMS_ALONE, KINDS, ExampleJob, make_example
from musetune.datasets.corpus import in_quarters
from musetune.processes import parallel_map
from musetune.training.checkpoint import pack_state, resume_latest, save_checkpoint
from musetune.training.config import command_line, read


@dataclass
class Config:
    """Every option, and the only place where it has a default."""

    songs: str = MISSING  # the folder pop909
    sheets: str = MISSING  # the folder openewld
    work: str = MISSING  # examples and checkpoints
    soundfonts: list[str] = field(default_factory=list)  # half of the examples are played by the first
    out: str | None = None  # the weights; null: the analyser's own
    count: int = 2800  # examples
    seconds: float = 60.0  # of an example
    chord_steps: int = 6000
    beat_steps: int = 5000
    checkpointing_steps: int = 500
    workers: int = 2  # processes that render


def main() -> None:
    cfg = command_line(lambda words: read(Config, words), Config, __doc__)
    if not cfg.soundfonts:
        raise SystemExit("give soundfonts=[A.sf2,B.sf3]: the examples are played by them")
    out, paths = Path(cfg.out or WEIGHTS), make_examples(cfg)
    weights: dict[str, Tensor] = {}
    for prefix, net in (
        ("chord", train(ChordNet(), "chord", paths, cfg)),
        ("beat", train(BeatNet(), "beat", paths, cfg)),
    ):
        weights |= {f"{prefix}.{name}": value.half().contiguous() for name, value in net.state_dict().items()}
    save_file(weights, out)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


# -- examples
# ------------------------------------------------------------------------------------------------------------


def make_examples(cfg: Config) -> list[Path]:
    """Render what is missing; the files of all examples."""
    folder = Path(cfg.work) / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    jobs = plan(cfg)
    missing = [job for job in jobs if not example_path(folder, job).exists()]
    missing.sort(key=lambda job: str(job.soundfont))  # few changes of soundfont in a worker
    work = parallel_map(partial(write_example, folder), missing, cfg.workers)
    for _ in tqdm(work, total=len(missing), desc="examples"):
        pass
    return [example_path(folder, job) for job in jobs if example_path(folder, job).exists()]


def plan(cfg: Config) -> list[ExampleJob]:
    """What to render; a function of the options alone."""
    songs = sorted(folder for folder in Path(cfg.songs).iterdir() if folder.is_dir() and folder.name[-1] not in "05")
    sheets = list(lead_sheets(Path(cfg.sheets), Path(cfg.work) / "sheets"))
    fonts = [Path(font) for font in cfg.soundfonts]
    rng, jobs = np.random.default_rng(0), []
    for number in range(cfg.count):
        kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
        source = {"study": None, "sheet": sheets[int(rng.integers(len(sheets)))]}.get(
            kind, songs[int(rng.integers(len(songs)))]
        )
        font = fonts[int(rng.choice(len(fonts), p=share(len(fonts))))]
        jobs.append(ExampleJob(number, kind, source, font, cfg.seconds))
    drums = range(cfg.count, cfg.count + round(DRUMS_ALONE * cfg.count))
    return jobs + [ExampleJob(number, "drums", None, fonts[number % len(fonts)], cfg.seconds) for number in drums]


def share(fonts: int) -> np.ndarray:
    """Half of the examples by the first soundfont, the rest by the others."""
    return np.ones(1) if fonts == 1 else np.array([0.5] + [0.5 / (fonts - 1)] * (fonts - 1))


def example_path(folder: Path, job: ExampleJob) -> Path:
    """The file of an example."""
    return folder / f"{job.number:05d}.npz"


def write_example(folder: Path, job: ExampleJob) -> None:
    """Make one example and store it whole or, where too little is heard in it, not at all."""
    example = make_example(job)
    if len(example["beats_s"]) < 8 or not len(example["chord"]):
        return
    path = example_path(folder, job)
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

    A tenth of the cross-entropy of the meter at each frame.
    """
    x, target, mask, meter = batch
    with torch.autocast("cpu", torch.bfloat16):
        beat, kind = net(x)
    each = F.binary_cross_entropy_with_logits(
        beat.float(), target, pos_weight=torch.tensor([3.0, 6.0]), reduction="none"
    )
    of_meter = F.cross_entropy(kind.float().transpose(1, 2), meter[:, None].expand(-1, x.shape[1]), reduction="none")
    return ((each.sum(2) + 0.1 * of_meter) * mask).sum() / mask.sum()


def train(net: nn.Module, name: str, paths: list[Path], cfg: Config) -> nn.Module:
    """AdamW, one cycle; goes on from the last checkpoint in work/NAME.

    The weights returned are the running mean of the last (0.998 a step).
    """
    steps = cfg.chord_steps if name == "chord" else cfg.beat_steps
    make, loss_of, frames, size = (
        (chord_batch, chord_loss, 320, 8) if name == "chord" else (beat_batch, beat_loss, 2000, 8)
    )
    torch.manual_seed(0)
    programs = (
        ("notes", "level", "intervals_s", "chord", "key")
        if name == "chord"
        else ("rhythm", "beats_s", "downbeats_s", "meter")
    )
    examples = load_examples(paths, programs)
    optimizer = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps, pct_start=0.15)
    mean = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.998))
    folder, named, averages = Path(cfg.work) / name, dict(net.named_parameters()), list(mean.module.parameters())
    meta = resume_latest(folder, named, optimizer, averages)
    first = meta.get("step", 0)
    if first:
        mean.n_averaged.fill_(first)
        schedule.load_state_dict(schedule.state_dict() | meta["schedule"])
        for group, saved in zip(optimizer.param_groups, meta["groups"], strict=True):
            group |= {"lr": saved["lr"], "betas": tuple(saved["betas"])}
    progress, running = tqdm(range(first, steps), desc=name, initial=first, total=steps), None
    for step in progress:
        rng = np.random.default_rng((7, step))
        batch = [examples[index] for index in rng.choice(len(examples), size, replace=False)]
        loss = loss_of(net.train(), make(batch, frames, rng))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        mean.update_parameters(net)
        running = loss.item() if running is None else running + 0.02 * (loss.item() - running)
        progress.set_postfix(loss=f"{running:.3f}", refresh=False)
        if (step + 1) % cfg.checkpointing_steps == 0 or step + 1 == steps:
            moving = ("last_epoch", "_step_count", "_last_lr")
            meta = {
                "step": step + 1,
                "schedule": {key: value for key, value in schedule.state_dict().items() if key in moving},
                "groups": [{"lr": group["lr"], "betas": group["betas"]} for group in optimizer.param_groups],
            }
            save_checkpoint(folder, step + 1, pack_state(named, optimizer, averages), meta, total_limit=1)
    return mean.module.eval()


def load_examples(paths: list[Path], names: tuple[str, ...]) -> list[ExampleArrays]:
    """The named arrays of each example."""
    examples = []
    for path in tqdm(paths, desc="reading"):
        with np.load(path) as stored:
            examples.append({name: stored[name] for name in names})
    return examples


if __name__ == "__main__":
    main()
