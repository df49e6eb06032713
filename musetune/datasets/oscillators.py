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
DRUMS: dict[str, tuple[int, ...]] = {  # General MIDI's pitches; what is in none is a tom
    "kick": (35, 36),
    "snare": (37, 38, 39, 40),
    "hat": (42, 44, 54, 69, 70, 82),
    "cymbal": (46, 49, 51, 52, 53, 55, 57, 59),
    "tom": (),
}
DRUM_RANGES = {  # Hz at the end and at the start of the glide; seconds of glide, tone and noise; Hz, share of the noise
    "kick": ((38, 62), (90, 400), (0.01, 0.06), (0.08, 0.4), (0.002, 0.02), (500, 3000), (0.02, 0.1)),
    "snare": ((140, 240), (180, 400), (0.01, 0.05), (0.04, 0.15), (0.05, 0.25), (800, 3000), (0.4, 0.95)),
    "hat": ((3000, 6000), (4000, 7000), (0.01, 0.05), (0.01, 0.03), (0.01, 0.06), (4000, 8000), (0.85, 1.0)),
    "cymbal": ((3000, 6000), (4000, 7000), (0.01, 0.05), (0.02, 0.1), (0.08, 0.5), (3000, 7000), (0.85, 1.0)),
    "tom": ((70, 200), (120, 500), (0.02, 0.1), (0.08, 0.3), (0.005, 0.05), (500, 3000), (0.02, 0.3)),
}


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


def play_drum_machine(
    notes: Iterable[pretty_midi.Note], samples: int, rate: int, rng: np.random.Generator
) -> np.ndarray:
    """Strokes of General MIDI's percussion by a drum machine that `rng` builds: gliding sines and filtered noise.

    Args:
        notes: Times in seconds.
        samples: Length of the result.
        rate: Hz.
        rng: Draws the sounds.

    Returns:
        (2, samples) float32, peak 1 (0 without notes).

    Example:
        >>> play_drum_machine([], 100, 22050, np.random.default_rng(0)).shape
        (2, 100)
    """
    sounds: dict[str, np.ndarray] = {}
    out = np.zeros(samples, np.float32)
    for note in notes:
        name = next(name for name, pitches in DRUMS.items() if note.pitch in pitches or not pitches)
        if name not in sounds:
            sounds[name] = _drum(name, rate, rng)
        start = round(note.start * rate)
        size = min(len(sounds[name]), samples - start)
        if start >= 0 and size > 0:
            out[start : start + size] += sounds[name][:size] * note.velocity / 127
    peak = float(np.abs(out).max(initial=0.0))
    return np.tile(out / peak if peak else out, (2, 1))


def _drum(name: str, rate: int, rng: np.random.Generator) -> np.ndarray:
    """One stroke: a sine that glides down, and noise above a frequency, each with its own decay."""
    time = np.arange(int(0.8 * rate)) / rate
    low, high, glide_s, tone_s, noise_s, cut, share = (
        float(np.exp(rng.uniform(np.log(a), np.log(b)))) for a, b in DRUM_RANGES[name]
    )
    frequency = low + (high - low) * np.exp(-time / glide_s)
    tone = np.sin(2 * np.pi * np.cumsum(frequency) / rate) * np.exp(-time / tone_s)
    spectrum = np.fft.rfft(rng.normal(0, 1, len(time)))
    hertz = np.fft.rfftfreq(len(time), 1 / rate)
    noise = np.fft.irfft(spectrum / (1 + (cut / (hertz + 1)) ** 4), len(time)) * np.exp(-time / noise_s)
    sound = (1 - share) * tone + share * noise / (noise.std() * 4 + 1e-9)
    return np.asarray(np.tanh(rng.uniform(1, 3) * sound), np.float32)
