"""Train the analyser's two small networks on rendered songs: which chord, and where the beat is.

    python recipes/train_analyzer.py --songs ../shared/data/pop909 --work out/analyzer [--soundfont FluidR3Mono_GM.sf3]

Songs: POP909 (MIT), as written or with another band, at other tempi, some turned into waltzes; and made-up chord
studies, in which sevenths are common. Songs whose number ends in 5 are kept for benchmarks/analysis.py, those that
end in 0 for other evaluation; neither is read here. Writes musetune/analysis/weights.npz. Six minutes on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import mir_eval
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from musetune.analysis.chords import pool
from musetune.analysis.corpus import Song, as_waltz, at_tempo, load_pop909, render
from musetune.analysis.nets import DILATIONS, KERNEL, N_CHORD_INPUTS, NET_QUALITIES, WEIGHTS, chord_inputs
from musetune.analysis.onsets import FEATURE_FPS, N_FEATURES, beat_features, mel_levels
from musetune.analysis.source import RATE, listen
from musetune.analysis.spectrum import salience
from musetune.analysis.studies import study


def make_example(folder: Path | None, number: int, seconds: float, soundfont: Path | None) -> dict[str, np.ndarray]:
    """Render a stretch of a song in a random manner, or a study; what the networks see of it, and the truth."""
    rng = np.random.default_rng(number)
    if folder is None:
        song = study(rng, seconds * 0.7)
    else:
        song = load_pop909(folder, start_s=float(rng.uniform(0, 90)), duration_s=seconds)
        if rng.random() < 0.2:
            song = as_waltz(song)
        song = at_tempo(song, float(rng.uniform(0.8, 1.9)))
    wave = render(song, soundfont, rng if rng.random() < 0.65 else None)
    sound = listen(wave + rng.normal(0, 1e-4, len(wave)).astype(np.float32), RATE)
    notes = salience(sound.wave)
    return {
        "rhythm": beat_features(mel_levels(sound.wave), notes).astype(np.float16),
        "registers": notes.registers().astype(np.float16), "times_s": notes.times_s,
        "beats_s": song.beats_s, "downbeats_s": song.downbeats_s, **encode_chords(song),
    }  # fmt: skip


def encode_chords(song: Song) -> dict[str, np.ndarray]:
    """Chords as numbers: intervals_s (n, 2); chord (n, 2): root −1…11, quality index."""
    rows = []
    for label in song.labels:
        root, _, _ = mir_eval.chord.encode(label)
        quality = label.split("/")[0].partition(":")[2] or "maj"
        quality = {"maj6": "maj", "min6": "min", "minmaj7": "min", "9": "7", "maj9": "maj7", "min9": "min7"}.get(
            quality, quality
        )
        rows.append((root, NET_QUALITIES.index(quality) if root >= 0 else 0))
    return {"intervals_s": song.intervals_s, "chord": np.array(rows)}


class ChordNet(nn.Module):
    """Sees a span relative to one root; says how well each quality on that root explains it."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module("0", nn.Linear(N_CHORD_INPUTS, 80))
        self.add_module("1", nn.Linear(80, 48))
        self.quality, self.nothing = nn.Linear(48, len(NET_QUALITIES)), nn.Linear(48, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(spans, 12, inputs) → logits (spans, 12 · qualities + 1)."""
        hidden = F.dropout(F.relu(self.get_submodule("0")(x)), 0.15, self.training)
        hidden = F.relu(self.get_submodule("1")(hidden))
        return torch.cat([self.quality(hidden).flatten(1), self.nothing(hidden.mean(1))], 1)


class BeatNet(nn.Module):
    """Dilated convolutions over ±10 s of features: is this frame a beat, is it a bar line?"""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        self.input, self.output = nn.Linear(N_FEATURES, width), nn.Linear(width, 2)
        for layer, dilation in enumerate(DILATIONS):
            convolution = nn.Conv1d(width, width, KERNEL, padding=dilation * (KERNEL // 2), dilation=dilation)
            self.add_module(str(layer), convolution)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, features) → logits (batch, frames, 2)."""
        x = F.relu(self.input(x)).transpose(1, 2)
        for layer in range(len(DILATIONS)):
            x = x + F.dropout(F.relu(self.get_submodule(str(layer))(x)), 0.05, self.training)
        return self.output(x.transpose(1, 2))


def chord_batch(example: dict[str, np.ndarray], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(inputs (spans, 12, d), truth (spans, 2), weight (spans,)) on a random grid: half beats, beats, or a wrong tempo's."""
    beats, times = example["beats_s"], example["times_s"]
    halves = np.interp(
        np.arange(0, len(beats) - 1 + 0.01, rng.choice([0.5, 0.5, 0.5, 1.0, 0.25])), np.arange(len(beats)), beats
    )
    if rng.random() < 0.25:
        step = rng.uniform(0.15, 0.6)
        halves = np.arange(rng.uniform(0, step), times[-1], step)
    registers = pool(example["registers"].astype(np.float32), times, halves)
    intervals = example["intervals_s"]
    overlap = np.minimum(halves[1:, None], intervals[:, 1]) - np.maximum(halves[:-1, None], intervals[:, 0])
    best = overlap.argmax(axis=1)
    weight = np.clip(overlap.max(axis=1) / np.diff(halves), 0, 1)
    return chord_inputs(registers), example["chord"][best], np.where(weight > 0.6, weight, 0)


def train_chords(examples: list[dict[str, np.ndarray]], epochs: int = 12) -> ChordNet:
    """Cross-entropy over all chords and N, each span weighted by how much of it the chord fills."""
    torch.manual_seed(0)
    net, rng = ChordNet(), np.random.default_rng(1)
    optimizer = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, epochs * (len(examples) // 4))
    progress = tqdm(range(epochs), desc="chords")
    for _ in progress:
        order = rng.permutation(len(examples))
        losses = []
        for start in range(0, len(order) - 3, 4):
            parts = [chord_batch(examples[index], rng) for index in order[start : start + 4]]
            x, truth, weight = (torch.from_numpy(np.concatenate(column)) for column in zip(*parts, strict=True))
            root, quality = truth.T
            target = torch.where(root >= 0, root * len(NET_QUALITIES) + quality, 12 * len(NET_QUALITIES))
            each = F.cross_entropy(net(x), target, reduction="none", label_smoothing=0.02)
            loss = (each * weight).sum() / weight.sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        progress.set_postfix(loss=f"{np.mean(losses):.3f}")
    return net.eval()


def beat_batch(
    examples: list[dict[str, np.ndarray]], frames: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Random excerpts: features (batch, frames, d), targets (batch, frames, 2), mask (batch, frames)."""
    x = np.zeros((len(examples), frames, N_FEATURES), np.float32)
    target, mask = np.zeros((len(examples), frames, 2), np.float32), np.zeros((len(examples), frames), np.float32)
    for row, example in enumerate(examples):
        start = int(rng.integers(0, max(1, len(example["rhythm"]) - frames)))
        part = example["rhythm"][start : start + frames].astype(np.float32)
        bands = np.ones(N_FEATURES, np.float32)
        bands[:32] = np.repeat(rng.uniform(0.3, 1.5, 8), 4)
        x[row, : len(part)], mask[row, : len(part)] = part * bands, 1
        for column, name in enumerate(("beats_s", "downbeats_s")):
            at = (example[name] * FEATURE_FPS).round().astype(int) - start
            for shift, value in ((-1, 0.5), (1, 0.5), (0, 1.0)):
                near = at + shift
                target[row, near[(near >= 0) & (near < len(part))], column] = value
        mask[row, : max(0, int(example["beats_s"][0] * FEATURE_FPS) - 2 - start)] = 0
        mask[row, max(0, int(example["beats_s"][-1] * FEATURE_FPS) + 3 - start) :] = 0
    return torch.from_numpy(x), torch.from_numpy(target), torch.from_numpy(mask)


def train_beats(examples: list[dict[str, np.ndarray]], steps: int = 900, frames: int = 1000, batch: int = 8) -> BeatNet:
    """Binary cross-entropy, beats weighing three times as much as the frames between them."""
    torch.manual_seed(0)
    net, rng = BeatNet(), np.random.default_rng(2)
    optimizer = torch.optim.AdamW(net.parameters(), 4e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
    progress, running = tqdm(range(steps), desc="beats"), 1.0
    for _ in progress:
        chosen = [examples[index] for index in rng.choice(len(examples), batch, replace=False)]
        x, target, mask = beat_batch(chosen, frames, rng)
        each = F.binary_cross_entropy_with_logits(net(x), target, pos_weight=torch.tensor([3.0, 6.0]), reduction="none")
        loss = (each * mask[..., None]).sum() / mask.sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        running += 0.02 * (loss.item() - running)
        progress.set_postfix(loss=f"{running:.3f}")
    return net.eval()


def load_examples(paths: list[Path]) -> list[dict[str, np.ndarray]]:
    """Those with at least two bars of truth."""
    examples = []
    for path in paths:
        with np.load(path) as stored:
            example = dict(stored)
        if len(example["beats_s"]) >= 8 and len(example["intervals_s"]):
            examples.append(example)
    return examples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--soundfont", type=Path)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--count", type=int, default=280)
    parser.add_argument("--studies", type=int, default=90)
    parser.add_argument("--seconds", type=float, default=50.0)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    folders = sorted(folder for folder in args.songs.iterdir() if folder.is_dir() and folder.name[-1] not in "05")
    chosen = np.random.default_rng(0).permutation(len(folders))[: args.count]
    jobs: list[tuple[str, Path | None, int]] = [
        (folders[number].name, folders[number], int(number)) for number in chosen
    ]
    jobs += [(f"study{number}", None, 10_000 + number) for number in range(args.studies)]
    for name, folder, number in tqdm(jobs, desc="examples"):
        path = args.work / f"{name}.npz"
        if not path.exists():
            np.savez(path, **make_example(folder, number, args.seconds, args.soundfont))  # type: ignore[arg-type]
    examples = load_examples([args.work / f"{name}.npz" for name, _, _ in jobs])
    songs = load_examples([args.work / f"{name}.npz" for name, folder, _ in jobs if folder is not None])
    arrays: dict[str, np.ndarray] = {}
    # beats from songs alone: with the studies among them, more slow piano pieces were heard at twice their tempo
    for prefix, net in (("chord", train_chords(examples)), ("beat", train_beats(songs))):
        arrays |= {f"{prefix}.{name}": value.numpy().astype(np.float16) for name, value in net.state_dict().items()}
    np.savez_compressed(args.out, **arrays)  # type: ignore[arg-type]
    print(f"{args.out}: {args.out.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
