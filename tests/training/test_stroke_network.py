"""The network that hears strokes learns to, and its labels lie where the strokes are."""

from __future__ import annotations

import numpy as np
import torch

from musetune.training.stroke_network import (
    DRUMS,
    StrokeNetwork,
    stroke_labels,
    stroke_loss,
    train_stroke_network,
)

FRAMES, FRAME_S, BINS = 96, 0.016, 16
BANDS = {"kick": slice(0, 4), "snare": slice(5, 10), "metal": slice(11, 16)}


def clips(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise, louder in a band of its own for each drum where it is struck."""
    draw = np.random.default_rng(seed)
    mel, labels = 0.3 * torch.randn(count, 1, FRAMES, BINS, generator=torch.Generator().manual_seed(seed)), []
    for clip in mel:
        struck = {name: np.sort(draw.choice(FRAMES // 8, 3, replace=False)) * 8 for name in DRUMS}
        for name, frames in struck.items():
            clip[0, frames, BANDS[name]] += 2.0
        labels.append(stroke_labels({name: frames * FRAME_S for name, frames in struck.items()}, FRAMES, FRAME_S))
    return mel, torch.stack(labels)


def test_labels_beyond_the_end_are_left_out() -> None:
    strokes = {"kick": np.array([0.0, (FRAMES - 1) * FRAME_S, 99.0]), "snare": np.zeros(0), "metal": np.array([0.08])}
    labels = stroke_labels(strokes, FRAMES, FRAME_S)
    assert labels.shape == (3, FRAMES)
    assert (labels == 1).sum(1).tolist() == [2, 0, 1]
    assert labels[0, :2].tolist() == [1.0, 0.5]
    assert labels[0, -2:].tolist() == [0.5, 1.0]
    assert labels[2].argmax() == 5


def test_it_learns_to_hear_and_says_which_way_to_go() -> None:
    network = train_stroke_network(*clips(48, 0), steps=120, seed=0)
    mel, labels = clips(8, 1)
    fresh = StrokeNetwork(BINS)
    with torch.no_grad():
        assert stroke_loss(network(mel), labels).mean() < 0.5 * stroke_loss(fresh(mel), labels).mean()
    assert not any(p.requires_grad for p in network.parameters())
    snares = labels[:, 1] == 1  # (clips, frames): taken away, they have to come again where they are asked for
    without = mel.clone()
    without[:, 0, :, BANDS["snare"]] -= 2.0 * snares[:, :, None]
    without.requires_grad_(True)
    stroke_loss(network(without), labels).sum().backward()
    assert without.grad is not None
    louder = -without.grad[:, 0, :, BANDS["snare"]].mean(2)  # (clips, frames)
    beside = (labels[:, 1] > 0) & ~snares
    assert louder[snares | beside].mean() > max(0.0, 5 * float(louder[labels[:, 1] == 0].mean()))
