"""Kicks, snares and cymbals in latents: a small network that tells where they are, and that gradients go through.

Trained anew for each run on renderings, whose notes are known. A policy learns from it through
`musetune.training.preference_loss.refl_loss`; the drum transcriber that judges the policy has no part in it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

DRUMS = ("kick", "snare", "metal")
WEIGHTS = (1.0, 2.0, 0.5)  # of each drum in the loss: snares are the fewest and the hardest, cymbals the most
PLACES = 8  # of a stroke within a latent row: 16 ms each where a row is 0.128 s
RARE = 3.0  # how much more a place with a stroke counts than one without
BATCH, CROP = 12, 32  # clips and rows of a step
MOST_NOISE = 0.4  # added to latents in training, in their own units: guesses of a denoiser are not clean either


class StrokeNetwork(nn.Module):
    """Latents (B, channels, rows, cols) → logits (B, drums, rows × `PLACES`), above 0 where a stroke is heard.

    Args:
        channels: Of the latents.
        cols: Of the latents: their frequency bands.
    """

    def __init__(self, channels: int, cols: int) -> None:
        super().__init__()
        self.bands = nn.Sequential(
            nn.Conv2d(channels, 48, 3, padding=1), nn.GELU(), nn.Conv2d(48, 48, 3, padding=1), nn.GELU()
        )
        self.times = nn.Sequential(
            nn.Conv1d(48 * cols, 128, 3, padding=1),
            nn.GELU(),
            nn.Conv1d(128, 128, 3, padding=1),
            nn.GELU(),
            nn.Conv1d(128, len(DRUMS) * PLACES, 1),
        )

    def forward(self, latents: Tensor) -> Tensor:
        """Logits of each drum at each place."""
        bands = self.bands(latents).transpose(2, 3).flatten(1, 2)
        logits: Tensor = self.times(bands)
        batch, _, rows = logits.shape
        return logits.view(batch, len(DRUMS), PLACES, rows).transpose(2, 3).flatten(2)


def stroke_labels(strokes_s: Mapping[str, np.ndarray], rows: int, row_s: float) -> Tensor:
    """Where each drum is struck, (drums, rows × `PLACES`): 1 at its place, a half beside it, else 0.

    Args:
        strokes_s: Seconds (n,) by drum: of `musetune.evaluation.notes.strokes_of`.
        rows: Latent rows.
        row_s: Seconds of a row.

    Example:
        >>> strokes = {"kick": np.array([0.0]), "snare": np.array([0.128]), "metal": np.zeros(0)}
        >>> stroke_labels(strokes, 2, 0.128)[:2, 6:10].tolist()
        [[0.0, 0.0, 0.0, 0.0], [0.0, 0.5, 1.0, 0.5]]
    """
    labels = torch.zeros(len(DRUMS), rows * PLACES)
    for drum, name in zip(labels, DRUMS):
        at = torch.from_numpy(np.asarray(strokes_s[name]) / row_s * PLACES).round().long()
        at = at[at < len(drum)]
        for beside in (at - 1, at + 1):
            drum[beside.clamp(0, len(drum) - 1)] = 0.5
        drum[at] = 1.0
    return labels


def stroke_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of what is heard and what was asked for, (B,).

    Args:
        logits: Of `StrokeNetwork`, (B, drums, places).
        labels: Of `stroke_labels`, alike.

    Example:
        >>> labels = torch.zeros(1, 3, 8)
        >>> bool(stroke_loss(torch.full((1, 3, 8), -9.0), labels) < stroke_loss(torch.zeros(1, 3, 8), labels))
        True
    """
    rare = torch.tensor(RARE, device=logits.device)
    each = nn.functional.binary_cross_entropy_with_logits(logits.float(), labels, pos_weight=rare, reduction="none")
    return (each.mean(2) * torch.tensor(WEIGHTS, device=logits.device)).mean(1)


def train_stroke_network(latents: Tensor, labels: Tensor, *, steps: int, seed: int) -> StrokeNetwork:
    """A network that hears strokes in renderings, frozen.

    Args:
        latents: Of renderings, (n, channels, rows, cols).
        labels: Of their strokes, (n, drums, rows × `PLACES`).
        steps: Of AdamW, `BATCH` crops of `CROP` rows each, with noise of up to `MOST_NOISE`.
        seed: Of weights, batches and noise.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = StrokeNetwork(latents.shape[1], latents.shape[3])
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    crop = min(CROP, latents.shape[2])
    for _ in range(steps):
        picks = torch.randint(len(latents), (BATCH,), generator=generator).tolist()
        starts = torch.randint(latents.shape[2] - crop + 1, (BATCH,), generator=generator).tolist()
        some = torch.stack([latents[i, :, start : start + crop].float() for i, start in zip(picks, starts)])
        asked = torch.stack([labels[i, :, start * PLACES : (start + crop) * PLACES] for i, start in zip(picks, starts)])
        amount = MOST_NOISE * torch.rand((BATCH, 1, 1, 1), generator=generator)
        some = some + amount * torch.randn(some.shape, generator=generator)
        loss = stroke_loss(network(some), asked).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return network.eval().requires_grad_(False)
