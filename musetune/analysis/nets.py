"""The two small networks of our own, in numpy: which chord a half beat holds, and where beats and bar lines are.

recipes/train_analyzer.py trains them and writes weights.npz (float16) beside this file.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

WEIGHTS = Path(__file__).with_name("weights.npz")
NET_QUALITIES = ("maj", "min", "7", "maj7", "min7", "dim", "sus2", "sus4", "hdim7", "dim7", "aug")
CONTEXT = 3  # spans on either side that the chord network sees
LONG_CONTEXT = 16  # spans on either side whose mean chroma tells it the key
N_CHORD_INPUTS = (2 * CONTEXT + 1) * 36 + 12
DILATIONS = (1, 2, 4, 8, 16, 32, 64, 128)
KERNEL = 5


@lru_cache(maxsize=1)
def weights() -> dict[str, np.ndarray]:
    """All arrays of weights.npz as float32."""
    with np.load(WEIGHTS) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}


def chord_inputs(registers: np.ndarray) -> np.ndarray:
    """(spans, 36) mean registers → (spans, 12, N_CHORD_INPUTS): what is heard around each span, relative to each of
    12 roots.

    One network judges all roots, so it knows every key as well as any other.
    """
    spans = len(registers)
    level = np.sqrt(registers / (registers.sum(axis=1, keepdims=True) + 1e-3))
    padded = np.pad(level, ((CONTEXT, CONTEXT), (0, 0))).reshape(-1, 3, 12)
    near = np.stack([padded[shift : shift + spans] for shift in range(2 * CONTEXT + 1)], axis=1)  # spans, window, 3, 12
    total = np.concatenate([np.zeros((1, 12)), level.reshape(spans, 3, 12).sum(axis=1).cumsum(axis=0)])
    low = np.maximum(np.arange(spans) - LONG_CONTEXT, 0)
    high = np.minimum(np.arange(spans) + LONG_CONTEXT + 1, spans)
    far = (total[high] - total[low]) / (high - low)[:, None]
    around = np.concatenate([near.reshape(spans, -1, 12), far[:, None]], axis=1)  # spans, rows, 12
    relative = np.stack([np.roll(around, -root, axis=2) for root in range(12)], axis=1)
    return relative.reshape(spans, 12, -1).astype(np.float32)


def chord_net(registers: np.ndarray) -> np.ndarray:
    """(spans, 36) mean registers → log-probabilities (spans, 12 · qualities + 1), N last."""
    w = weights()
    hidden = np.maximum(chord_inputs(registers) @ w["chord.0.weight"].T + w["chord.0.bias"], 0)
    hidden = np.maximum(hidden @ w["chord.1.weight"].T + w["chord.1.bias"], 0)
    quality = hidden @ w["chord.quality.weight"].T + w["chord.quality.bias"]
    nothing = hidden.mean(axis=1) @ w["chord.nothing.weight"].T + w["chord.nothing.bias"]
    return log_softmax(np.concatenate([quality.reshape(len(quality), -1), nothing], axis=1))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Along the last axis."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def beat_net(features: np.ndarray) -> np.ndarray:
    """(frames, N_FEATURES) → (frames, 2) probabilities of a beat and of a bar line at each frame."""
    w = weights()
    x = np.maximum(features @ w["beat.input.weight"].T + w["beat.input.bias"], 0)
    for layer, dilation in enumerate(DILATIONS):
        kernel = w[f"beat.{layer}.weight"]  # out, in, KERNEL
        reach = dilation * (KERNEL // 2)
        padded = np.pad(x, ((reach, reach), (0, 0)))
        y = sum(padded[tap * dilation : tap * dilation + len(x)] @ kernel[:, :, tap].T for tap in range(KERNEL))
        x = x + np.maximum(y + w[f"beat.{layer}.bias"], 0)
    logits = x @ w["beat.output.weight"].T + w["beat.output.bias"]
    return 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
