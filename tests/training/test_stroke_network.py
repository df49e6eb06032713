"""The network that hears strokes learns to, and its labels lie where the strokes are."""

from __future__ import annotations

import numpy as np
import torch

from musetune.training.stroke_network import (
    DRUMS,
    PLACES,
    StrokeNetwork,
    stroke_labels,
    stroke_loss,
    train_stroke_network,
)

ROWS, ROW_S = 32, 0.128


def clips(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise with a bump in a channel of its own for each drum where it is struck."""
    draw = np.random.default_rng(seed)
    latents, labels = 0.3 * torch.randn(count, 4, ROWS, 4, generator=torch.Generator().manual_seed(seed)), []
    for clip in latents:
        struck = {name: np.sort(draw.choice(ROWS, 4, replace=False)) for name in DRUMS}
        for channel, rows in enumerate(struck.values()):
            clip[channel, rows] += 2.0
        labels.append(stroke_labels({name: rows * ROW_S for name, rows in struck.items()}, ROWS, ROW_S))
    return latents, torch.stack(labels)


def test_labels_beyond_the_end_are_left_out() -> None:
    strokes = {"kick": np.array([0.0, 31.9 * ROW_S, 99.0]), "snare": np.zeros(0), "metal": np.array([ROW_S / 2])}
    labels = stroke_labels(strokes, ROWS, ROW_S)
    assert labels.shape == (3, ROWS * PLACES)
    assert (labels == 1).sum(1).tolist() == [2, 0, 1]
    assert labels[0, :2].tolist() == [1.0, 0.5]
    assert labels[0, -2:].tolist() == [0.5, 1.0]
    assert labels[2].argmax() == PLACES // 2


def test_it_learns_to_hear_and_says_which_way_to_go() -> None:
    network = train_stroke_network(*clips(48, 0), steps=150, seed=0)
    latents, labels = clips(8, 1)
    fresh = StrokeNetwork(4, 4)
    with torch.no_grad():
        assert stroke_loss(network(latents), labels).mean() < 0.5 * stroke_loss(fresh(latents), labels).mean()
    assert not any(p.requires_grad for p in network.parameters())
    silent = torch.zeros(1, 4, ROWS, 4, requires_grad=True)  # nothing is there: a snare has to come where it is asked
    snare = {"kick": np.zeros(0), "snare": np.array([16 * ROW_S]), "metal": np.zeros(0)}
    stroke_loss(network(silent), stroke_labels(snare, ROWS, ROW_S)[None]).sum().backward()
    assert silent.grad is not None
    steps = -silent.grad[0].mean(2)  # (channels, rows)
    assert steps[1].argmax() == 16
    assert steps[1, 16] > steps[0, 16]
