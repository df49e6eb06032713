"""The network that corrects the rules' numerals: what each eighth note of a score is, head by head.

recipes/analyzer/train_numerals.py trains it and writes weights.safetensors (float16) beside this file. The weights are
under CC BY-SA 4.0, see README.md beside them. Importing this module imports torch.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from musetune.analysis.numerals.inputs import SIGNATURES, SIZE, NumeralInputs, matrix
from musetune.analysis.numerals.vocabulary import N_INVERSIONS, N_KEYS, QUALITIES, WEIGHTS, n_chords

TRANSPOSITIONS = range(-6, 6)  # fifths upwards: every pitch class once
DILATIONS = (1, 2, 4, 8, 16, 32, 64)
HEADS = {
    "key": N_KEYS,
    "applied": 12,
    "root": 12,
    "bass": 12,
    "quality": len(QUALITIES),
    "inversion": N_INVERSIONS,
    "chord": n_chords(),
    "starts": 2,
}


class NumeralBlock(nn.Module):
    """A dilated convolution over time, its result added to what came in."""

    def __init__(self, width: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation)
        self.out = nn.Linear(width, width)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, width) → the same shape."""
        y = F.gelu(self.mix(self.norm(x).transpose(1, 2))).transpose(1, 2)
        return x + F.dropout(self.out(y), self.dropout, self.training)


class NumeralNet(nn.Module):
    """From about ±60 quarters around each frame to key, degrees, quality, bass and where a numeral begins."""

    def __init__(self, width: int = 96, dropout: float = 0.2) -> None:
        super().__init__()
        self.dropout = dropout
        self.enter = nn.Conv1d(SIZE, width, 5, padding=2)
        self.blocks = nn.ModuleList(NumeralBlock(width, dilation, dropout) for dilation in DILATIONS)
        self.norm = nn.LayerNorm(width)
        self.heads = nn.Linear(width, sum(HEADS.values()))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """(batch, frames, SIZE) → logits (batch, frames, …) of each head."""
        h = self.enter(F.dropout(x, self.dropout / 2, self.training).transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            h = block(h)
        parts = self.heads(self.norm(h)).split(list(HEADS.values()), dim=2)
        return dict(zip(HEADS, parts, strict=True))


@lru_cache(maxsize=4)
def load_network(path: Path = WEIGHTS) -> NumeralNet:
    """The network with its stored weights, ready to read."""
    with safe_open(path, "pt") as stored:
        width = stored.get_slice("norm.weight").get_shape()[0]
    net = NumeralNet(width)
    net.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return net.eval()


@torch.inference_mode()
def read_numbers(net: NumeralNet, inputs: NumeralInputs) -> dict[str, np.ndarray]:
    """Natural logarithms of probabilities (frames, …) of each head: the geometric mean over what the network reads in
    the music in each key that `TRANSPOSITIONS` lead to and a signature can write.

    A network that learned in every key is not equally good in each; the mean is better than most.
    """
    limit, written = SIGNATURES // 2, inputs.signature or 0
    keys = [fifths for fifths in TRANSPOSITIONS if abs(written + fifths) <= limit]
    total: dict[str, np.ndarray] = {}
    for fifths in keys:
        logits = net(torch.from_numpy(matrix(inputs, fifths))[None])
        for name, value in logits.items():
            rows = _moved_back(name, F.log_softmax(value[0].float(), dim=1).numpy(), 7 * fifths % 12)
            total[name] = total[name] + rows if name in total else rows
    return {name: rows / len(keys) for name, rows in total.items()}


def _moved_back(head: str, rows: np.ndarray, semitones: int) -> np.ndarray:
    """(frames, …) of a head, read in music moved up by so many semitones, as the music itself has them."""
    if head not in ("key", "applied", "root", "bass"):
        return rows
    return np.roll(rows.reshape(len(rows), 12, -1), -semitones, axis=1).reshape(rows.shape)
