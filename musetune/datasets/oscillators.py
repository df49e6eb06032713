"""A synthesiser of oscillators, each patch drawn anew: timbres that no soundfont has, under no licence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pretty_midi

PARTIALS = 14
SHAPES = ("saw", "square", "triangle", "organ", "bell")


def play_oscillators(
    notes: Iterable[pretty_midi.Note], samples: int, rate: int, rng: np.random.Generator
) -> np.ndarray:
    """Notes played by a patch that `rng` draws: partials, envelope, two detuned voices, vibrato.

    Args:
        notes: Times in seconds; drums are not meant.
        samples: Length of the result.
        rate: Hz; partials above half of it are left out.
        rng: Draws the patch.

    Returns:
        (2, samples) float32, peak 1 (0 without notes).

    Example:
        >>> play_oscillators([], 100, 22050, np.random.default_rng(0)).shape
        (2, 100)
    """
    ratios, strengths = _partials(str(rng.choice(SHAPES)), rng)
    attack, decay, release = np.exp(rng.uniform(np.log([0.003, 0.1, 0.02]), np.log([0.12, 2.0, 0.4])))
    sustain = float(rng.choice([0.0, 0.4, 0.8]))
    cents, sway, speed = rng.uniform(0, 12), rng.uniform(0, 0.004) * (rng.random() < 0.4), rng.uniform(4, 6.5)
    brightness = np.exp(rng.uniform(np.log(2), np.log(12)))  # partials that the filter passes
    strengths = strengths / (1 + (ratios / brightness) ** 2)
    out = np.zeros((2, samples), np.float32)
    for note in notes:
        start = round(note.start * rate)
        size = min(int((note.end - note.start + release) * rate), samples - start)
        if start < 0 or size <= 0:
            continue
        time = np.arange(size) / rate
        envelope = np.minimum(time / attack, 1) * (sustain + (1 - sustain) * np.exp(-time / decay))
        envelope *= np.clip((note.end - note.start + release - time) / release, 0, 1)
        hertz = 440 * 2 ** ((note.pitch - 69) / 12)
        heard = hertz * ratios < 0.45 * rate
        phase = time + sway / (2 * np.pi * speed) * np.sin(2 * np.pi * speed * time)
        for channel, detune in enumerate((-cents / 2, cents / 2)):
            turns = 2 * np.pi * hertz * 2 ** (detune / 1200) * phase
            tone = strengths[heard] @ np.sin(ratios[heard, None] * turns) if heard.any() else np.zeros(size)
            out[channel, start : start + size] += (note.velocity / 127 * envelope * tone).astype(np.float32)
    peak = float(np.abs(out).max(initial=0.0))
    return out / peak if peak else out


def _partials(shape: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(ratios to the fundamental, amplitudes)."""
    number = np.arange(1, PARTIALS + 1, dtype=float)
    if shape == "saw":
        return number, 1 / number
    if shape in ("square", "triangle"):
        return 2 * number - 1, 1 / (2 * number - 1) ** (1 if shape == "square" else 2)
    if shape == "organ":
        ratios = np.array([0.5, 1, 1.5, 2, 3, 4, 5, 6, 8])
        return ratios, rng.uniform(0, 1, len(ratios)) * (ratios != 1) + (ratios == 1)
    ratios = np.array([1, 2, 3.01, 4.02, 5.4, 6.8])  # a bell's upper partials are not whole multiples
    return ratios, np.exp(-0.7 * np.arange(len(ratios))) * rng.uniform(0.4, 1, len(ratios))
