"""A synthesiser of oscillators, each patch drawn anew: timbres that no soundfont has, under no licence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pretty_midi

PARTIALS = 14
TABLE = 8192  # points of a period
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
    cycles, ratios, strengths = _partials(str(rng.choice(SHAPES)), rng)
    attack, decay, release = np.exp(rng.uniform(np.log([0.003, 0.1, 0.02]), np.log([0.12, 2.0, 0.4])))
    sustain = float(rng.choice([0.0, 0.4, 0.8]))
    cents, sway, speed = rng.uniform(0, 12), rng.uniform(0, 0.004) * (rng.random() < 0.4), rng.uniform(4, 6.5)
    brightness = np.exp(rng.uniform(np.log(2), np.log(12)))  # partials that the filter passes
    strengths = strengths / (1 + (ratios / cycles / brightness) ** 2)
    out = np.zeros((2, samples), np.float32)
    for note in notes:
        start = round(note.start * rate)
        size = min(int((note.end - note.start + release) * rate), samples - start)
        if start < 0 or size <= 0:
            continue
        time = np.arange(size) / rate
        envelope = np.minimum(time / attack, 1) * (sustain + (1 - sustain) * np.exp(-time / decay))
        envelope *= np.clip((note.end - note.start + release - time) / release, 0, 1) * note.velocity / 127
        hertz = 440 * 2 ** ((note.pitch - 69) / 12) / cycles
        audible = hertz * ratios < 0.45 * rate
        table = _table(ratios[audible], strengths[audible])
        phase = hertz * (time + sway / (2 * np.pi * speed) * np.sin(2 * np.pi * speed * time))
        for channel, detune in enumerate((-cents / 2, cents / 2)):
            points = (phase * 2 ** (detune / 1200) * TABLE).astype(np.int64) % TABLE
            out[channel, start : start + size] += envelope * table[points]
    peak = float(np.abs(out).max(initial=0.0))
    return out / peak if peak else out


def _table(ratios: np.ndarray, strengths: np.ndarray) -> np.ndarray:
    """(TABLE,) one period of the sum of these partials."""
    spectrum = np.zeros(TABLE // 2 + 1, complex)
    spectrum[ratios] = -0.5j * TABLE * strengths
    return np.fft.irfft(spectrum, TABLE)


def _partials(shape: str, rng: np.random.Generator) -> tuple[int, np.ndarray, np.ndarray]:
    """How many cycles of the fundamental a period holds; the partials' numbers in that period; their amplitudes."""
    number = np.arange(1, PARTIALS + 1)
    if shape == "saw":
        return 1, number, 1 / number
    if shape in ("square", "triangle"):
        return 1, 2 * number - 1, 1 / (2 * number - 1) ** (1.0 if shape == "square" else 2.0)
    if shape == "organ":  # an octave below the fundamental, and drawbars
        ratios = np.array([1, 2, 3, 4, 6, 8, 10, 12, 16])
        return 2, ratios, rng.uniform(0, 1, len(ratios)) * (ratios != 2) + (ratios == 2)
    ratios = np.array([4, 8, 12, 17, 22, 27])  # a bell's upper partials are no multiples of its fundamental
    return 4, ratios, np.exp(-0.7 * np.arange(len(ratios))) * rng.uniform(0.4, 1, len(ratios))
