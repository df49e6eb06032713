"""The two small networks of our own: which chord sounds in each frame, and where beats and bar lines are.

recipes/analyzer/train.py trains them and writes weights.safetensors (float16) beside this file. Importing this
module imports torch; the rest of the room does so only when it listens.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from musetune.analysis.listening.network_inputs import CHORD_FPS, FEATURE_FPS, N_FEATURES
from musetune.analysis.listening.spectrum import N_NOTES
from musetune.analysis.listening.vocabulary import METERS, N_CHORDS, N_KEYS

WEIGHTS = Path(__file__).with_name("weights.safetensors")
CHANNELS = 4  # three spectrum bins a semitone, and the salience of the note
SHIFTS = (-1, 0, 1)  # semitones: the network is not quite as good in every key, and a mean of three is better in all
CHUNK_S, OVERLAP_S = 60.0, 25.0  # long sounds are read in stretches; the overlap exceeds what the networks see


class DilatedBlock(nn.Module):
    """A dilated convolution over time, its result added to what came in."""

    def __init__(self, width: int, dilation: int, kernel: int = 5, dropout: float = 0.1) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.mix = nn.Conv1d(width, width, kernel, padding=dilation * (kernel // 2), dilation=dilation)
        self.out = nn.Conv1d(width, width, 1)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """(batch, width, frames) → the same shape."""
        y = self.out(F.gelu(self.mix(self.norm(x))))
        return x + F.dropout(y, self.dropout, self.training)


class ChordNet(nn.Module):
    """From the notes of about ±15 s to chord, bass and key of each frame."""

    def __init__(self, width: int = 192, planes: int = 32, dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32)) -> None:
        super().__init__()
        self.near = nn.Conv2d(CHANNELS, planes, (5, 3), padding=(2, 1))
        self.octave = nn.Conv2d(planes, planes, (1, 13), padding=(0, 6))
        self.fold = nn.Linear(planes * N_NOTES // 2 + 1, width)
        self.blocks = nn.ModuleList(DilatedBlock(width, dilation) for dilation in dilations)
        self.norm = nn.GroupNorm(1, width)
        self.chord, self.bass, self.key = (nn.Conv1d(width, size, 1) for size in (N_CHORDS, 13, N_KEYS))

    def forward(self, notes: Tensor, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`notes` (batch, frames, N_NOTES, CHANNELS), `level` (batch, frames) → logits (batch, frames, …) of chord,
        bass, key.
        """
        x = F.gelu(self.near(notes.permute(0, 3, 1, 2)))
        x = F.gelu(self.octave(x))
        x = F.max_pool2d(x, (1, 2)).permute(0, 2, 1, 3).flatten(2)
        x = self.fold(torch.cat([x, level[..., None]], 2)).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        x = F.gelu(self.norm(x))
        return tuple(head(x).transpose(1, 2) for head in (self.chord, self.bass, self.key))  # type: ignore[return-value]


class BeatNet(nn.Module):
    """From the rhythm and harmony of about ±20 s to beat, bar line and meter of each frame."""

    def __init__(self, width: int = 64, dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256)) -> None:
        super().__init__()
        self.input = nn.Conv1d(N_FEATURES, width, 5, padding=2)
        self.blocks = nn.ModuleList(DilatedBlock(width, dilation) for dilation in dilations)
        self.norm = nn.GroupNorm(1, width)
        # `metre`: the name in the file of weights
        self.beat, self.metre = nn.Conv1d(width, 2, 1), nn.Conv1d(width, len(METERS), 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, frames, N_FEATURES) → logits (batch, frames, 2) of beat and bar line, (batch, frames, meters)."""
        x = F.gelu(self.input(x.transpose(1, 2)))
        for block in self.blocks:
            x = block(x)
        x = F.gelu(self.norm(x))
        return self.beat(x).transpose(1, 2), self.metre(x).transpose(1, 2)


@lru_cache(maxsize=1)
def networks() -> tuple[ChordNet, BeatNet]:
    """Both, of the size and with the weights that the file has."""
    from safetensors.torch import load_file

    stored = {name: value.float() for name, value in load_file(WEIGHTS).items()}
    width, planes = len(stored["chord.fold.weight"]), len(stored["chord.near.weight"])
    with torch.random.fork_rng(devices=[]):  # their first weights are random; the caller's generator is left alone
        nets = ChordNet(width, planes).eval(), BeatNet(len(stored["beat.input.weight"])).eval()
    for prefix, net in zip(("chord.", "beat."), nets, strict=True):
        net.load_state_dict({k.removeprefix(prefix): v for k, v in stored.items() if k.startswith(prefix)})
    return nets


def hear_chords(notes: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-probabilities (frames, …) float16 of chord, bass and key from `notes` (frames, N_NOTES, CHANNELS), `level`
    (frames,): of what the network hears in the sound and in the sound moved by SHIFTS, the geometric mean.
    """
    net = networks()[0]
    pieces = _stretches(len(notes), CHORD_FPS)
    outputs = [np.empty((len(notes), size), np.float16) for size in (N_CHORDS, 13, N_KEYS)]
    with torch.inference_mode():
        for low, high, inner in pieces:
            some = torch.from_numpy(notes[low:high].astype(np.float32))[None]
            loud = torch.from_numpy(level[low:high].astype(np.float32))[None]
            heard = [_moved_back(net(_moved(some, shift), loud), shift, inner) for shift in SHIFTS]
            for rows, shares in zip(outputs, zip(*heard, strict=True), strict=True):
                mean = torch.stack(shares).mean(dim=0)
                rows[low + inner.start : low + inner.stop] = F.log_softmax(mean, -1).numpy()
    chord, bass, key = outputs
    return chord, bass, key


def _moved(notes: Tensor, shift: int) -> Tensor:
    """`notes` (1, frames, N_NOTES, CHANNELS) `shift` semitones up; what leaves the range is lost."""
    size = N_NOTES - abs(shift)
    moved = torch.zeros_like(notes)
    moved[:, :, max(shift, 0) :][:, :, :size] = notes[:, :, max(-shift, 0) :][:, :, :size]
    return moved


def _moved_back(logits: tuple[Tensor, Tensor, Tensor], shift: int, inner: slice) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities (frames, …) of the frames `inner`, each root `shift` semitones down."""
    chord, bass, key = (F.log_softmax(rows[0, inner], -1) for rows in logits)
    frames = len(chord)
    roots = chord[:, :-1].reshape(frames, 12, -1).roll(-shift, 1).reshape(frames, -1)
    keys = key.reshape(frames, 2, 12).roll(-shift, 2).reshape(frames, -1)
    return torch.cat([roots, chord[:, -1:]], 1), torch.cat([bass[:, :12].roll(-shift, 1), bass[:, 12:]], 1), keys


def hear_beats(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (frames, 2) of a beat and a bar line at each frame, and log-probabilities (meters,) of the
    whole.
    """
    net = networks()[1]
    beats, meters = np.empty((len(features), 2), np.float32), np.zeros(len(METERS))
    with torch.inference_mode():
        for low, high, inner in _stretches(len(features), FEATURE_FPS):
            beat, meter = net(torch.from_numpy(features[low:high].astype(np.float32))[None])
            beats[low + inner.start : low + inner.stop] = torch.sigmoid(beat[0, inner]).numpy()
            meters += F.log_softmax(meter[0, inner], -1).sum(dim=0).numpy()
    return beats, meters / max(len(features), 1)


def _stretches(frames: int, fps: float) -> list[tuple[int, int, slice]]:
    """(from, to, which of these to keep) so that what is kept covers all frames once."""
    step, reach = int(CHUNK_S * fps), int(OVERLAP_S * fps)
    out = []
    for start in range(0, frames, step):
        low, high = max(start - reach, 0), min(start + step + reach, frames)
        out.append((low, high, slice(start - low, min(start + step, frames) - low)))
    return out
