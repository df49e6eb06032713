"""Batches for the network of numerals: windows of pieces in any key, some of what is shown left out at random."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from musetune.analysis.numerals.inputs import SIGNATURES, NumeralInputs, Reading, matrix
from musetune.analysis.numerals.vocabulary import QUALITIES, bass_above_root, chord_number

MISSING = -100  # torch's mark for what no loss counts
HIDDEN = {"spelled": 0.3, "signature": 0.3, "rules": 0.1}  # share of windows without it
FARTHEST = 6  # fifths of transposition


def bass_table() -> np.ndarray:
    """(qualities, 4) semitones of the bass above the root."""
    return np.array([[bass_above_root(quality, inversion) for inversion in range(4)] for quality in QUALITIES])


def targets(truth: Reading) -> dict[str, np.ndarray]:
    """(frames,) the class of each head, MISSING where the analysis says nothing that the vocabulary has."""
    key, applied, root, quality = truth.key, truth.applied, truth.root, truth.quality
    known, named = key >= 0, (key >= 0) & (quality >= 0)
    chord = np.full(len(key), MISSING)
    for frame in np.flatnonzero(named):
        tonic, mode = divmod(int(key[frame]), 2)
        degree = ((int(root[frame]) - int(applied[frame])) % 12, (int(applied[frame]) - tonic) % 12)
        number = chord_number(mode, degree, QUALITIES[quality[frame]])
        chord[frame] = number if number >= 0 else MISSING
    bass = (root + bass_table()[quality, truth.inversion]) % 12
    return {
        "key": np.where(known, key, MISSING),
        "applied": np.where(known, applied, MISSING),
        "root": np.where(known, root, MISSING),
        "bass": np.where(named, bass, MISSING),
        "quality": np.where(named, quality, MISSING),
        "inversion": np.where(known, truth.inversion, MISSING),
        "chord": chord,
        "starts": np.where(known, truth.starts.astype(int), MISSING),
    }


def draw_fifths(inputs: NumeralInputs, rng: np.random.Generator) -> int:
    """A transposition in fifths that leaves the signature one that people write."""
    limit = SIGNATURES // 2
    written = inputs.signature or 0
    return int(rng.integers(max(-FARTHEST, -limit - written), min(FARTHEST, limit - written) + 1))


def numeral_batch(
    examples: list[tuple[NumeralInputs, Reading]], frames: int, rng: np.random.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """(batch, frames, SIZE) inputs and (batch, frames) classes of each head; short pieces are filled up with nothing.

    Args:
        examples: One a window.
        frames: Length of a window.
        rng: Draws place, transposition and what is hidden.
    """
    shown, wanted = [], []
    for inputs, truth in examples:
        count, fifths = len(inputs.level), draw_fifths(inputs, rng)
        hide = {name: rng.random() >= share for name, share in HIDDEN.items()}
        first = int(rng.integers(max(1, count - frames + 1)))
        window = slice(first, first + frames)
        part = NumeralInputs(
            inputs.classes[window],
            inputs.names[window],
            inputs.bass[window],
            inputs.level[window],
            inputs.starts[window],
            inputs.signature,
            cut(inputs.rules, window),
        )
        x = matrix(part, fifths, **hide)
        gap = ((0, frames - len(x)), (0, 0))
        shown.append(np.pad(x, gap))
        classes = targets(cut(truth.moved(7 * fifths % 12), window))
        wanted.append({name: np.pad(y, gap[0], constant_values=MISSING) for name, y in classes.items()})
    stacked = {name: torch.from_numpy(np.stack([row[name] for row in wanted])).long() for name in wanted[0]}
    return torch.from_numpy(np.stack(shown)), stacked


def cut(reading: Reading, window: slice) -> Reading:
    """A stretch of a reading."""
    return Reading(
        reading.key[window],
        reading.applied[window],
        reading.root[window],
        reading.quality[window],
        reading.inversion[window],
        reading.starts[window],
    )
