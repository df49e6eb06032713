"""Train the stem transformer: songs with players → tokens → weights. Two steps, the first is kept in work_dir.

    python recipes/arranger/train.py recipes/configs/arranger.yaml songs=pop909 sheets=openewld midi=[freedoom,openmsx]
    mma=mma work_dir=runs/arranger python recipes/arranger/train.py recipes/configs/arranger.yaml work_dir=runs/arranger
    package=musetune/planning/weights/arranger

songs: folders as POP909 has them (melody → lead; the piano's lowest notes below C3 → bass, the rest → keys). sheets:
OpenEWLD (melody → lead, and its genres). midi: folders with MIDI files, or WAD files that hold some. mma: the unpacked
package of Musical MIDI Accompaniment, whose human-written grooves are applied to the songs' chords for drums, bass,
guitar and keys. Any of the four may be left out. On Debian:

    apt-get download mma freedoom openttd-openmsx && for deb in *.deb; do dpkg -x $deb ${deb%%_*}; done
    PYTHONPATH=mma/usr/share/mma python3 mma/usr/bin/mma -G

A run that was stopped goes on from its last checkpoint and repeats exactly what it would have done. The rate is
constant after the warm-up and falls to nothing over the last decay_steps, so that max_train_steps may be changed on the
way. package=FOLDER trains nothing: it writes the best checkpoint (lowest validation loss) there, half precision, with
training.json and copies.npz, the training songs' runs of thirteen notes, which decoding keeps from repeating.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import MISSING
from torch.nn import functional as F
from tqdm import tqdm

from musetune.datasets.arranger.batches import Text, batch_of
from musetune.datasets.arranger.examples import ArrangerExample, collect, restore, store
from musetune.planning.arranger.copy_filter import GUARDED, CopyFilter, runs_of
from musetune.planning.arranger.grammar import contexts, read_events
from musetune.planning.arranger.model import StemTransformer
from musetune.symbols.arrangement import STEMS
from musetune.training.checkpoint import (
    find_checkpoint,
    load_checkpoint,
    load_parameters,
    pack_state,
    resume_latest,
    save_checkpoint,
    truncate_log,
)
from musetune.training.config import command_line, read


@dataclass
class Config:
    """Every option, and the only place where it has a default."""

    work_dir: str = MISSING  # examples.npz, checkpoint-*/, best/, loss.jsonl
    songs: str | None = None  # a folder of song folders as POP909 has them
    sheets: str | None = None  # a folder with lead sheets and index.csv as OpenEWLD has them
    midi: list[str] = field(default_factory=list)  # folders with MIDI or WAD files
    mma: str | None = None  # the unpacked Debian package mma
    accompanied: float = 0.5  # share of the pop songs that MMA plays to as well
    limit: int | None = None  # songs of each collection; null: all
    workers: int = 2
    seed: int = 0
    dim: int = 144
    layers: int = 5
    heads: int = 3
    ffn: int = 384
    max_train_steps: int = 2000
    max_train_minutes: float | None = None  # stop at a checkpoint then
    train_batch_size: int = 8  # passages
    longest: int = 1100  # tokens of a passage; later stems are left out of longer ones
    stem_dropout: float = 0.25  # how often a stem is left out, so that the others learn to do without
    only: str | None = None  # learn this stem alone; the others are read where they come first
    learning_rate: float = 2.0e-3
    lr_warmup_steps: int = 100
    decay_steps: int = 500
    adam_weight_decay: float = 0.05
    max_grad_norm: float = 1.0
    mixed_precision: str = "bf16"  # no or bf16
    checkpointing_steps: int = 100
    validation_passages: int = 64
    package: str | None = None  # write the best weights to this folder instead of training


BITS_A_RUN, LARGEST = 12, 2_000_000  # of copies.npz; bytes at most


def text_of(example: ArrangerExample, rng: random.Random, cfg: Config, dropout: float) -> Text:
    """A passage's text: one version of each stem in order, some left out at random, never all.

    The stem of cfg.only is in it, and last.
    """
    order = [s for s in STEMS if s in example.stems]
    order = order[: order.index(cfg.only) + 1] if cfg.only else order
    stems = [s for s in order if s == cfg.only or rng.random() >= dropout] or [rng.choice(order)]
    head = example.passage.head()
    parts: list[Text] = [(np.array(head), np.array(contexts(head, example.passage)))]
    size = len(head)
    for stem in stems:
        tokens, table, _ = rng.choice(example.stems[stem])
        if stem != cfg.only and size + len(tokens) > cfg.longest and len(parts) > 1:
            continue
        parts.append((tokens, table))
        size += len(tokens)
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def draw(examples: list[ArrangerExample], step: int, cfg: Config) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Step's batch, a function of seed and step alone.

    Passages of like length come together: eight batches are drawn and sorted at once.
    """
    pool, index = divmod(step, 8)
    rng = random.Random(f"{cfg.seed} {pool}")
    texts = [text_of(rng.choice(examples), rng, cfg, cfg.stem_dropout) for _ in range(8 * cfg.train_batch_size)]
    texts.sort(key=lambda t: len(t[0]))
    order = list(range(8))
    rng.shuffle(order)
    first = order[index] * cfg.train_batch_size
    return batch_of(texts[first : first + cfg.train_batch_size], cfg.only)


def loss_of(
    model: StemTransformer, batch: tuple[torch.Tensor, ...], mixed: bool, reduction: str = "mean"
) -> torch.Tensor:
    """Cross entropy in nats a token."""
    tokens, table, targets = batch
    with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
        logits = model(tokens, table)
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=-100, reduction=reduction)


@torch.inference_mode()
def validate(model: StemTransformer, examples: list[ArrangerExample], cfg: Config) -> float:
    """Nats a token over the first passages for validation, no stem left out."""
    total, count = 0.0, 0
    for first in range(0, min(len(examples), cfg.validation_passages), 8):
        texts = [text_of(e, random.Random(i), cfg, 0.0) for i, e in enumerate(examples[first : first + 8])]
        batch = batch_of(texts, cfg.only)
        total += loss_of(model.eval(), batch, cfg.mixed_precision == "bf16", "sum").item()
        count += int((batch[2] >= 0).sum())
    model.train()
    return total / max(count, 1)


def rate(step: int, cfg: Config) -> float:
    """Constant after a linear warm-up, linear to 0 over the last decay_steps."""
    warm = min((step + 1) / max(cfg.lr_warmup_steps, 1), 1.0)
    return cfg.learning_rate * warm * min((cfg.max_train_steps - step) / max(cfg.decay_steps, 1), 1.0)


def prepare(cfg: Config) -> list[ArrangerExample]:
    """The examples in work_dir, made first where they are missing."""
    path = Path(cfg.work_dir) / "examples.npz"
    if not path.is_file():
        if not (cfg.songs or cfg.sheets or cfg.midi):
            raise SystemExit(f"{path} is not there yet: give songs=, sheets= or midi=, folders of songs")
        path.parent.mkdir(parents=True, exist_ok=True)
        songs, sheets, mma = (Path(p) if p else None for p in (cfg.songs, cfg.sheets, cfg.mma))
        examples = collect(
            songs,
            sheets,
            [Path(p) for p in cfg.midi],
            mma,
            seed=cfg.seed,
            workers=cfg.workers,
            accompanied=cfg.accompanied,
            limit=cfg.limit,
        )
        store(examples, path)
    return restore(path)


def summary(examples: list[ArrangerExample]) -> dict:
    """What the examples hold: songs, passages and tokens by split, and tokens by stem and collection."""
    tokens: Counter[str] = Counter()
    for example in examples:
        if example.split == "train":
            for stem, versions in example.stems.items():
                for text, _, source in versions:
                    tokens[f"{stem} from {source}"] += len(text)
    splits = {s: [e for e in examples if e.split == s] for s in ("train", "validation", "test")}
    return {
        "songs": {s: len({e.song for e in own}) for s, own in splits.items()},
        "passages": {s: len(own) for s, own in splits.items()},
        "training_tokens": dict(sorted(tokens.items())),
        "split": "POP909 folders ending in 5 and files whose path's SHA-1 ends in 0 or 1 are for tests",
    }


def train(cfg: Config) -> None:
    """The loop."""
    if cfg.only and cfg.only not in STEMS:
        raise ValueError(f"only={cfg.only} is no stem: give one of {', '.join(STEMS)}")
    examples = [e for e in prepare(cfg) if not cfg.only or cfg.only in e.stems]
    learned, validation_examples = ([e for e in examples if e.split == s] for s in ("train", "validation"))
    random.Random(0).shuffle(validation_examples)
    out, mixed = Path(cfg.work_dir), cfg.mixed_precision == "bf16"
    torch.manual_seed(cfg.seed)
    model = StemTransformer(dim=cfg.dim, layers=cfg.layers, heads=cfg.heads, ffn=cfg.ffn).train()
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": cfg.adam_weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, cfg.learning_rate, (0.9, 0.98), foreach=True)
    # in the optimiser's order, so that its moments go with their weights
    by_weight = {id(weight): name for name, weight in model.named_parameters()}
    named = {by_weight[id(weight)]: weight for weight in (*matrices, *others)}
    meta = resume_latest(out, named, optimizer)
    step, best, tokens = meta.get("step", 0), meta.get("best") or math.inf, meta.get("tokens", 0)
    truncate_log(out / "loss.jsonl", step)
    deadline = math.inf if cfg.max_train_minutes is None else time.monotonic() + 60 * cfg.max_train_minutes
    bar = tqdm(total=cfg.max_train_steps, initial=step, unit="step")
    while step < cfg.max_train_steps and time.monotonic() < deadline:
        batch = draw(learned, step, cfg)
        for group in optimizer.param_groups:
            group["lr"] = rate(step, cfg)
        loss = loss_of(model, batch, mixed)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), cfg.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad()
        step, tokens = step + 1, tokens + int((batch[2] >= 0).sum())
        record = {"step": step, "loss": loss.item(), "tokens": tokens}
        if step % cfg.checkpointing_steps == 0 or step == cfg.max_train_steps:
            record["validation"] = validate(model, validation_examples, cfg)
            if record["validation"] < best:
                best = record["validation"]
                facts = {"step": step, "validation": best, "config": asdict(cfg)}
                save_checkpoint(out / "best", step, pack_state(named, optimizer), facts, total_limit=1)
            facts = {"step": step, "best": best, "tokens": tokens}
            save_checkpoint(out, step, pack_state(named, optimizer), facts, total_limit=1)
        with (out / "loss.jsonl").open("a") as log:
            log.write(json.dumps(record) + "\n")
        bar.update()
        bar.set_postfix(loss=f"{record['loss']:.3f}", best=f"{best:.3f}", refresh=False)


def runs(examples: list[ArrangerExample]) -> set[int]:
    """Digests of all runs of thirteen notes in what was trained on."""
    digests: set[int] = set()
    for example in tqdm([e for e in examples if e.split == "train"], desc="runs", unit="passage"):
        for stem in set(GUARDED) & set(example.stems):
            for tokens, _, _ in example.stems[stem]:
                digests.update(runs_of(read_events(tokens.tolist(), example.passage)[stem], stem))
    return digests


def read_best(work_dir: Path) -> tuple[StemTransformer, dict[str, Any]]:
    """The model with the lowest validation loss, and its step, validation and config."""
    path = find_checkpoint(work_dir / "best", "latest")
    if path is None:
        raise ValueError(f"{work_dir} has no best/: train first, or give the work_dir of a training")
    tensors, meta = load_checkpoint(path)
    model = StemTransformer(**{k: meta["config"][k] for k in ("dim", "layers", "heads", "ffn")})
    load_parameters(model, tensors)
    return model, meta


def package(cfg: Config, target: Path) -> None:
    """Write the best model into a folder: config.json, model.safetensors, training.json and copies.npz."""
    model, meta = read_best(Path(cfg.work_dir))
    model.save_pretrained(target)
    own = {
        k: v for k, v in meta["config"].items() if k not in ("songs", "sheets", "midi", "mma", "work_dir", "package")
    }
    examples = prepare(cfg)
    known = runs(examples)
    CopyFilter.of(known, min(BITS_A_RUN * len(known) // 8 + 1, LARGEST)).save(target)
    info = {
        "step": meta["step"],
        "validation_nats_a_token": meta["validation"],
        "config": own,
        "data": summary(examples),
    }
    (target / "training.json").write_text(json.dumps(info, indent=1) + "\n")


def main() -> None:
    cfg = command_line(lambda arguments: read(Config, arguments), Config, __doc__)
    torch.set_num_threads(1)
    if cfg.package:
        package(cfg, Path(cfg.package))
    else:
        train(cfg)


if __name__ == "__main__":
    main()
