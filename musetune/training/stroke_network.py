"""Kicks, snares and cymbals in mel spectrograms: a small network tells where they are, and gradients go through it.

Trained anew for each run on renderings, whose notes are known. A policy learns from it through
`musetune.training.preference_loss.refl_loss`; the drum transcriber that judges the policy has no part in it. It hears
what the autoencoder makes of latents: one that read the latents themselves could be satisfied by changes that nobody
hears (docs/results/adapter.md, preference tuning).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import trange

DRUMS = ("kick", "snare", "metal")
WEIGHTS = (1.0, 2.0, 0.5)  # of each drum in the loss: snares are the fewest and the hardest, cymbals the most
RARE = 3.0  # how much more a frame with a stroke counts than one without
BATCH, CROP = 12, 256  # clips and frames of a step
LEVEL = 0.5  # by so much, in the spectrogram's own units, whole clips are louder or softer in training
WIDTH = 64


class StrokeNetwork(nn.Module):
    """Mel spectrograms (B, 1, frames, bins) → logits (B, drums, frames), above 0 where a stroke is heard.

    Args:
        bins: Of the spectrogram; a multiple of 16.

    Example:
        >>> StrokeNetwork(32)(torch.zeros(2, 1, 8, 32)).shape
        torch.Size([2, 3, 8])
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        if bins < 16 or bins % 16:
            raise ValueError(f"bins={bins} must be a multiple of 16: two poolings by 4 come before the time axis")
        self.bands = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d((1, 4)),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d((1, 4)),
        )
        self.times = nn.Sequential(
            nn.Conv1d(32 * (bins // 16), WIDTH, 7, padding=3),
            nn.ReLU(),
            nn.Conv1d(WIDTH, WIDTH, 5, padding=2),
            nn.ReLU(),
            nn.Conv1d(WIDTH, len(DRUMS), 1),
        )

    def forward(self, mel: Tensor) -> Tensor:
        """Logits of each drum in each frame."""
        logits: Tensor = self.times(self.bands(mel).transpose(2, 3).flatten(1, 2))
        return logits


def stroke_labels(strokes_s: Mapping[str, np.ndarray], frames: int, frame_s: float) -> Tensor:
    """Where each drum is struck, (drums, frames): 1 in its frame, a half beside it, else 0.

    Args:
        strokes_s: Seconds (n,) by drum: of `musetune.evaluation.notes.strokes_of`.
        frames: Of the spectrogram.
        frame_s: Seconds of a frame.

    Example:
        >>> strokes = {"kick": np.array([0.0]), "snare": np.array([0.04]), "metal": np.zeros(0)}
        >>> stroke_labels(strokes, 6, 0.01)[:2].tolist()
        [[1.0, 0.5, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.5, 1.0, 0.5]]
    """
    labels = torch.zeros(len(DRUMS), frames)
    for drum, name in zip(labels, DRUMS):
        at = torch.from_numpy(np.asarray(strokes_s[name]) / frame_s).round().long()
        at = at[at < frames]
        for beside in (at - 1, at + 1):
            drum[beside[(beside >= 0) & (beside < frames)]] = 0.5
        drum[at] = 1.0
    return labels


def stroke_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of what is heard and what was asked for, (B,).

    Args:
        logits: Of `StrokeNetwork`, (B, drums, frames).
        labels: Of `stroke_labels`, alike.

    Example:
        >>> labels = torch.zeros(1, 3, 8)
        >>> bool(stroke_loss(torch.full((1, 3, 8), -9.0), labels) < stroke_loss(torch.zeros(1, 3, 8), labels))
        True
    """
    rare = torch.tensor(RARE, device=logits.device)
    each = nn.functional.binary_cross_entropy_with_logits(logits.float(), labels, pos_weight=rare, reduction="none")
    return (each.mean(2) * torch.tensor(WEIGHTS, device=logits.device)).mean(1)


def train_stroke_network(mel: Tensor, labels: Tensor, *, steps: int, seed: int) -> StrokeNetwork:
    """A network that hears strokes in renderings, frozen.

    Args:
        mel: Of renderings, (n, 1, frames, bins).
        labels: Of their strokes, (n, drums, frames).
        steps: Of AdamW, `BATCH` crops of `CROP` frames each, louder or softer by `LEVEL` or so.
        seed: Of weights and batches.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = StrokeNetwork(mel.shape[3])
    optimizer = torch.optim.AdamW(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    crop = min(CROP, mel.shape[2])
    for _ in trange(steps, desc="hearing strokes", unit="step"):
        picks = torch.randint(len(mel), (BATCH,), generator=generator).tolist()
        starts = torch.randint(mel.shape[2] - crop + 1, (BATCH,), generator=generator).tolist()
        some, asked = (
            torch.stack([whole[i].narrow(axis, start, crop) for i, start in zip(picks, starts)])
            for whole, axis in ((mel, 1), (labels, 1))
        )
        some = some.float() + LEVEL * torch.randn((BATCH, 1, 1, 1), generator=generator)
        loss = stroke_loss(network(some), asked).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return network.eval().requires_grad_(False)
