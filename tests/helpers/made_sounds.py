"""Small sounds with known truth, made with numpy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

SR = 22050
ROOTS = {"C": 0, "Db": 1, "D": 2, "Eb": 3, "E": 4, "F": 5, "F#": 6, "G": 7, "Ab": 8, "A": 9, "Bb": 10, "B": 11}
SHAPES = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "maj7": (0, 4, 7, 11),
    "min7": (0, 3, 7, 10),
    "dim": (0, 3, 6),
}


@lru_cache(maxsize=512)
def tone(pitch: float, seconds: float, sr: int = SR) -> np.ndarray:
    """A decaying note with eight partials."""
    t = np.arange(int(seconds * sr)) / sr
    hz = 440 * 2 ** ((pitch - 69) / 12)
    partials = [0.6**k * np.sin(2 * np.pi * hz * (k + 1) * t) for k in range(8) if hz * (k + 1) < sr / 2]
    return sum(partials) * np.exp(-2.5 * t) * np.minimum(1, t * 200)


def place(wave: np.ndarray, sound: np.ndarray, at_s: float, sr: int = SR) -> None:
    start = round(at_s * sr)
    end = min(len(wave), start + len(sound))
    if end > start:
        wave[start:end] += sound[: end - start]


@lru_cache(maxsize=16)
def _song(labels: tuple[str, ...], bpm: float, beats_per_chord: int, offset_s: float, tuning: float) -> np.ndarray:
    rng = np.random.default_rng(0)
    beat = 60 / bpm
    wave = np.zeros(int((offset_s + beat * beats_per_chord * len(labels)) * SR))
    t = np.arange(int(0.15 * SR)) / SR
    kick = np.sin(2 * np.pi * (50 * t + 60 * (1 - np.exp(-40 * t)) / 40)) * np.exp(-20 * t) * 1.5
    snare = rng.normal(size=len(t)) * np.exp(-30 * t) * 0.4
    for number, label in enumerate(labels):
        for step in range(beats_per_chord):
            at = offset_s + (number * beats_per_chord + step) * beat
            place(wave, kick, at)
            if step % 2:
                place(wave, snare, at)
            if label == "N":
                continue
            root, quality = label.split(":")
            for interval in SHAPES[quality]:
                pitch = 60 + (ROOTS[root] + interval) % 12 + tuning
                place(wave, 0.3 * tone(pitch, beat), at)
            if step == 0:
                place(wave, 0.8 * tone(36 + (ROOTS[root] - 4) % 12 + 4 + tuning, beat * beats_per_chord), at)
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


def song(
    labels: list[str], bpm: float, beats_per_chord: int = 4, *, offset_s: float = 0.0, tuning: float = 0.0
) -> np.ndarray:
    """Chords struck on each beat, their roots held below, a kick on every beat, a snare on every second: (samples,)."""
    return _song(tuple(labels), bpm, beats_per_chord, offset_s, tuning).copy()
