"""Train the network that corrects the rules' Roman numerals, on analyses by people.

    python recipes/analyzer/train_numerals.py recipes/configs/numerals.yaml collection=When-in-Rome work=out/numerals \\
        tavern=TAVERN

Data: When in Rome (https://github.com/MarkGotham/When-in-Rome, its folder Corpus; scores beside the analyses or in
music21's corpus) and, where named, TAVERN (https://github.com/jcdevaney/TAVERN), both CC BY-SA 4.0. So the weights are
under CC BY-SA 4.0 too. Left out: analyses whose head says that they are for non-commercial use, and every piece of a
work that one of the 60 test pieces is part of (musetune/datasets/numerals/pieces.py).

Reading resumes where it stopped, and so does training (checkpoints in work/network). Writes the analyser's own weights,
or `out`. A piece takes a second or two to read, training a quarter of an hour on one free core; measure with
benchmarks/numerals.py.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
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

from musetune.analysis.numerals.inputs import NumeralInputs, Reading
from musetune.analysis.numerals.network import NumeralNet
from musetune.analysis.numerals.vocabulary import WEIGHTS
from musetune.datasets.numerals.batches import MISSING as NO_CLASS
from musetune.datasets.numerals.batches import numeral_batch
from musetune.datasets.numerals.examples import load_arrays, make_arrays
from musetune.datasets.numerals.labels import Label, read_piece
from musetune.datasets.numerals.pieces import training_pieces
from musetune.datasets.numerals.tavern import read_variation, variations
from musetune.symbols.score import Score
from musetune.training.config import command_line, read, run_command
from musetune.training.one_cycle import OneCycle

SHARES = {"songs": 0.4, "variations": 0.35, "chorales": 0.2, "madrigals": 0.05}


@dataclass
class Config:
    """Every option, and the only place where it has a default."""

    collection: str = MISSING  # When in Rome
    work: str = MISSING  # what was read, and checkpoints
    tavern: str | None = None  # TAVERN's folder; null: without it
    out: str | None = None  # the weights; null: the analyser's own
    shares: dict[str, float] = field(default_factory=lambda: dict(SHARES))  # windows of each kind; scaled to a sum of 1
    steps: int = 2000
    batch: int = 8  # windows a step
    frames: int = 192  # of a window, mostly eighth notes
    width: int = 96  # channels of the network
    learning_rate: float = 4.0e-3
    checkpointing_steps: int = 200
    seed: int = 0


LOSSES = {
    "key": 1.0,
    "applied": 0.5,
    "root": 1.0,
    "bass": 0.5,
    "quality": 0.7,
    "inversion": 0.7,
    "chord": 1.0,
    "starts": 1.0,
}
Pieces = dict[str, list[tuple[NumeralInputs, Reading]]]


def run(cfg: Config) -> None:
    """Read what is missing, train, write the weights."""
    torch.manual_seed(cfg.seed)
    net = train(NumeralNet(cfg.width), load_pieces(make_examples(cfg), cfg), cfg)
    out = Path(cfg.out or WEIGHTS)
    save_file({name: value.half().contiguous() for name, value in net.state_dict().items()}, out)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


# -- pieces
# ------------------------------------------------------------------------------------------------------------


def sources(cfg: Config) -> Iterator[tuple[str, Callable[[], tuple[Score, list[Label]]]]]:
    """(name, how to read it) of each piece to learn from."""
    for piece in training_pieces(Path(cfg.collection)):
        yield piece.name, partial(read_piece, piece.score, piece.analysis)
    if cfg.tavern:
        for name, phrases in variations(Path(cfg.tavern)):
            yield f"TAVERN/{name}", partial(read_variation, phrases)


def make_examples(cfg: Config) -> list[Path]:
    """Read what is missing; the files of all pieces whose analysis fits the score."""
    folder, paths = Path(cfg.work) / "examples", []
    folder.mkdir(parents=True, exist_ok=True)
    for name, get in tqdm(list(sources(cfg)), desc="pieces"):
        path = folder / f"{hashlib.sha1(name.encode()).hexdigest()[:16]}.npz"
        refused = path.with_suffix(".txt")
        if not path.exists() and not refused.exists():
            try:
                score, labels = get()
                if not labels or not score.voices:
                    raise ValueError("no notes or no numerals")
                arrays = make_arrays(score, labels)
                if arrays["misplaced"]:
                    raise ValueError("the analysis numbers the bars otherwise than the score")
            except Exception as error:  # a stranger's file may fail in any way: the others go on
                refused.write_text(f"{name}: {error}\n")
                print(f"left out {name}: {error}", file=sys.stderr)
                continue
            part = path.with_suffix(".part.npz")
            np.savez(part, name=np.array(name), **arrays)  # type: ignore[arg-type]
            part.rename(path)
        if path.exists():
            paths.append(path)
    return paths


def kind_of(name: str) -> str:
    """Which of `SHARES` a piece counts to."""
    if name.startswith("TAVERN/"):
        return "variations"
    if name.startswith("Early_Choral/"):
        return "chorales" if "Chorales" in name else "madrigals"
    return "songs"


def load_pieces(paths: list[Path], cfg: Config) -> Pieces:
    """The pieces of each kind.

    Raises:
        ValueError: A share of an unknown kind, or no pieces at all.
    """
    if unknown := cfg.shares.keys() - SHARES.keys():
        raise ValueError(f"shares names {', '.join(sorted(unknown))}; kinds are {', '.join(SHARES)}")
    pieces: Pieces = {}
    for path in tqdm(paths, desc="reading"):
        with np.load(path) as stored:
            kind = kind_of(str(stored["name"]))
        if cfg.shares.get(kind, 0) > 0:
            pieces.setdefault(kind, []).append(load_arrays(path))
    if not pieces:
        raise ValueError(f"no piece to learn from in collection={cfg.collection}")
    print(", ".join(f"{len(rows)} {kind}" for kind, rows in pieces.items()), "to learn from")
    return pieces


# -- training
# ------------------------------------------------------------------------------------------------------------


def loss_of(net: nn.Module, x: Tensor, wanted: dict[str, Tensor]) -> Tensor:
    """Weighted sum of the heads' cross-entropies, each over the frames that have a truth."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(x)
    total = torch.zeros(())
    for name, weight in LOSSES.items():
        truth = wanted[name].flatten()
        smooth = 0.0 if name == "starts" else 0.05
        each = F.cross_entropy(
            logits[name].float().flatten(0, 1), truth, ignore_index=NO_CLASS, label_smoothing=smooth, reduction="sum"
        )
        total = total + weight * each / max(1, int((truth != NO_CLASS).sum()))
    return total


def train(net: nn.Module, pieces: Pieces, cfg: Config) -> nn.Module:
    """AdamW, one cycle; goes on from the last checkpoint in work/network.

    The weights returned are the running mean of the last (0.995 a step).
    """
    kinds = [kind for kind in pieces if cfg.shares[kind] > 0]
    chances = np.array([cfg.shares[kind] for kind in kinds])
    lengths = {kind: np.array([len(inputs.level) for inputs, _ in pieces[kind]], float) for kind in kinds}
    cycle = OneCycle(
        net,
        cfg.steps,
        learning_rate=cfg.learning_rate,
        weight_decay=3e-2,
        folder=Path(cfg.work) / "network",
        checkpointing_steps=cfg.checkpointing_steps,
    )
    for step in cycle.run("network"):
        torch.manual_seed(cfg.seed * 1_000_003 + step)
        rng = np.random.default_rng((cfg.seed, step))
        batch = []
        for kind in rng.choice(kinds, cfg.batch, p=chances / chances.sum()):
            chance = np.minimum(lengths[kind], 4.0 * cfg.frames)  # a long piece is not all that is seen
            batch.append(pieces[kind][int(rng.choice(len(chance), p=chance / chance.sum()))])
        cycle.learn(loss_of(net.train(), *numeral_batch(batch, cfg.frames, rng)))
    return cycle.mean.eval()


if __name__ == "__main__":
    run_command(run, command_line(lambda words: read(Config, words), Config, __doc__))
