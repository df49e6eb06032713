"""Batches for recipes/analyzer/train.py: random excerpts of examples, transposed, coloured and at other speeds,
with their targets.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from musetune.analysis.listening.network_inputs import CHORD_FPS, FEATURE_FPS, N_FEATURES
from musetune.analysis.listening.networks import CHANNELS
from musetune.analysis.listening.spectrum import N_NOTES
from musetune.analysis.listening.vocabulary import N_CHORDS, N_KEYS, NO_BASS, QUALITIES

ExampleArrays = dict[str, np.ndarray]
IGNORE = -100
UNSURE = -2  # in place of a root, where what sounds is not known


def chord_batch(examples: list[ExampleArrays], frames: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
    """Random excerpts, transposed by −6…5 semitones: notes, level; targets (batch, frames) of chord, bass, key."""
    notes = np.zeros((len(examples), frames, N_NOTES, CHANNELS), np.float16)
    level = np.full((len(examples), frames), -3, np.float16)
    target = np.full((3, len(examples), frames), IGNORE)
    for row, example in enumerate(examples):
        start, shift = int(rng.integers(0, max(1, len(example["notes"]) - frames))), int(rng.integers(-6, 6))
        part = example["notes"][start : start + frames]
        size = len(part)
        low, high = max(0, shift), N_NOTES + min(0, shift)
        notes[row, :size, low:high] = part[:, low - shift : high - shift]
        level[row, :size] = example["level"][start : start + size]
        colour(notes[row, :size], rng)
        target[:, row, :size] = chord_targets(example, (start + np.arange(size) + 0.25) / CHORD_FPS, shift)
    return torch.from_numpy(notes), torch.from_numpy(level), torch.from_numpy(target)


def colour(notes: np.ndarray, rng: np.random.Generator) -> None:
    """Alter `notes` (frames, N_NOTES, CHANNELS) in place as other instruments and recordings would.

    Half of the time a gain that changes smoothly over the register (deviation 2 dB); one time in five some
    register is missing; one in ten hears no salience.
    """
    if rng.random() < 0.5:
        knots = rng.normal(0, 0.25, N_NOTES // 12 + 2)
        gain = np.interp(np.arange(N_NOTES) / 12, np.arange(len(knots)), knots)
        notes *= np.exp(gain)[None, :, None].astype(np.float16)
    if rng.random() < 0.2:
        width = int(rng.integers(5, 15))
        low = int(rng.integers(0, N_NOTES - width))
        notes[:, low : low + width] = 0
    if rng.random() < 0.1:
        notes[..., CHANNELS - 1] = 0


def chord_targets(example: ExampleArrays, times: np.ndarray, shift: int) -> np.ndarray:
    """(3, times): classes of chord, bass and key, `shift` semitones up; IGNORE outside the annotation and, of chord and
    bass, where the annotation is unsure (root UNSURE).
    """
    at = np.searchsorted(example["intervals_s"][:, 0], times, side="right") - 1
    inside = (at >= 0) & (times < example["intervals_s"][np.maximum(at, 0), 1])
    root, quality, bass = example["chord"][np.maximum(at, 0)].T
    chord = np.where(root < 0, N_CHORDS - 1, (root + shift) % 12 * len(QUALITIES) + quality)
    bass = np.where(root < 0, NO_BASS, (bass + shift) % 12)
    key = int(example["key"])
    key = IGNORE if key == N_KEYS else (key % 12 + shift) % 12 + key // 12 * 12
    chord, bass = (np.where(root == UNSURE, IGNORE, row) for row in (chord, bass))
    return np.where(inside, np.stack([chord, bass, np.full(len(times), key)]), IGNORE)


def beat_batch(examples: list[ExampleArrays], frames: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
    """Random excerpts: features; targets (batch, frames, 2), their mask (batch, frames), meter (batch,)."""
    x = np.zeros((len(examples), frames, N_FEATURES), np.float32)
    target, mask = np.zeros((len(examples), frames, 2), np.float32), np.zeros((len(examples), frames), np.float32)
    for row, example in enumerate(examples):
        example = at_speed(example, float(rng.uniform(0.8, 1.25))) if rng.random() < 0.5 else example
        start = int(rng.integers(0, max(1, len(example["rhythm"]) - frames)))
        part = example["rhythm"][start : start + frames].astype(np.float32)
        if rng.random() < 0.3:  # some bands louder, some not heard
            part = part * rng.choice([0.0, 0.5, 1.0, 1.5], N_FEATURES, p=[0.05, 0.15, 0.6, 0.2]).astype(np.float32)
        x[row, : len(part)], mask[row, : len(part)] = part, 1
        for column, name in enumerate(("beats_s", "downbeats_s")):
            at = (example[name] * FEATURE_FPS).round().astype(int) - start
            for shift, value in ((-1, 0.5), (1, 0.5), (0, 1.0)):
                near = at + shift
                target[row, near[(near >= 0) & (near < len(part))], column] = value
        mask[row, : max(0, int(example["beats_s"][0] * FEATURE_FPS) - 2 - start)] = 0
        mask[row, max(0, int(example["beats_s"][-1] * FEATURE_FPS) + 3 - start) :] = 0
    meter = np.array([int(example["meter"]) for example in examples])
    return torch.from_numpy(x), torch.from_numpy(target), torch.from_numpy(mask), torch.from_numpy(meter)


def at_speed(example: ExampleArrays, factor: float) -> ExampleArrays:
    """The rhythm of an example `factor` times as fast, its beats with it."""
    rhythm = example["rhythm"]
    at = np.clip(np.arange(0, len(rhythm) - 1, factor), 0, len(rhythm) - 1)
    low = at.astype(int)
    part = (at - low)[:, None].astype(np.float16)
    faster = rhythm[low] * (1 - part) + rhythm[np.minimum(low + 1, len(rhythm) - 1)] * part
    times = {name: example[name] / factor for name in ("beats_s", "downbeats_s")}
    return {**example, "rhythm": faster, **times}


def load_examples(paths: list[Path], names: tuple[str, ...]) -> list[ExampleArrays]:
    """The named arrays of each example."""
    examples = []
    for path in tqdm(paths, desc="reading"):
        with np.load(path) as stored:
            examples.append({name: stored[name] for name in names})
    return examples
