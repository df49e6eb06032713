"""How much takes sound like renderings: a small classifier of latents, trained anew on each round's takes.

The adversary that keeps rewards honest (GAPT has one that co-evolves with the policy): a policy that learned to please
the last round's classifier meets another one. It reads latents, not waves, so that the vocoder, which both share, tells
it nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

WIDTH = 32
FOLDS = 2
BATCH = 32  # of each kind


class RealnessClassifier(nn.Module):
    """Latents (B, channels, rows, cols) → logits (B,), above 0 where a take sounds like a rendering.

    Args:
        channels: Of the latents.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, WIDTH, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(WIDTH, 2 * WIDTH, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(2 * WIDTH, 2 * WIDTH, 3, stride=2, padding=1),
            nn.GELU(),
        )
        self.head = nn.Linear(4 * WIDTH, 1)

    def forward(self, latents: Tensor) -> Tensor:
        """Logits (B,): of means and standard deviations over time and frequency."""
        features = self.net(latents)
        pooled = torch.cat([features.mean((2, 3)), features.flatten(2).std(2, correction=0)], 1)
        logits: Tensor = self.head(pooled)[:, 0]
        return logits


def train_classifier(real: Tensor, generated: Tensor, *, steps: int, seed: int) -> RealnessClassifier:
    """A classifier of renderings against takes, by cross-entropy on as many of each in every step.

    Args:
        real: Latents of renderings, (m, channels, rows, cols).
        generated: Latents of takes, (n, channels, rows, cols).
        steps: Of AdamW.
        seed: Of weights and batches.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = RealnessClassifier(real.shape[1])
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=1e-2)
    labels = torch.cat([torch.ones(BATCH), torch.zeros(BATCH)])
    for _ in range(steps):
        picks = [x[torch.randint(len(x), (BATCH,), generator=generator)] for x in (real, generated)]
        loss = nn.functional.binary_cross_entropy_with_logits(model(torch.cat(picks)), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return model.eval()


def realness(
    generated: Tensor,
    requests: Sequence[int],
    real: Tensor,
    real_requests: Sequence[int],
    *,
    steps: int = 150,
    seed: int = 0,
) -> Tensor:
    """How much each take sounds like a rendering, compared with the other takes.

    Requests are dealt into two halves; the takes of each half are told by a classifier that was trained on the other
    half, so that none is recognised by heart.

    Args:
        generated: Latents of takes, (n, channels, rows, cols).
        requests: Number of each take's request, (n,).
        real: Latents of renderings, (m, channels, rows, cols).
        real_requests: Number of each rendering's request, (m,).
        steps: Of each classifier.
        seed: Of its weights and batches.

    Returns:
        (n,), 0…1: the logistic function of the logits in standard deviations from their mean, so that a classifier
        that is always sure still ranks the takes; 0.5 is the mean take.

    Raises:
        ValueError: Fewer than two requests have takes and renderings.

    Example:
        >>> x = torch.linspace(-1, 1, 8).reshape(8, 1, 1, 1).expand(8, 2, 4, 4)
        >>> values = realness(x, range(8), torch.ones(8, 2, 4, 4), range(8), steps=20)
        >>> bool(values[7] > values[0])
        True
    """
    fold, real_fold = (torch.tensor([number % FOLDS for number in numbers]) for numbers in (requests, real_requests))
    if any(not bool((of == half).any()) for of in (fold, real_fold) for half in range(FOLDS)):
        raise ValueError("realness is told across requests: give at least two, each with takes and a rendering")
    mean, spread = real.mean((0, 2, 3), keepdim=True), real.std((0, 2, 3), keepdim=True) + 1e-6
    generated, real = ((x.float() - mean) / spread for x in (generated, real))
    values = torch.empty(len(generated))
    for half in range(FOLDS):
        model = train_classifier(real[real_fold != half], generated[fold != half], steps=steps, seed=seed + half)
        with torch.no_grad():
            logits = torch.cat([model(part) for part in torch.split(generated[fold == half], 64)])
        values[fold == half] = torch.sigmoid((logits - logits.mean()) / (logits.std(correction=0) + 1e-6))
    return values
