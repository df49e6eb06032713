"""What the network of numerals names: keys, roots, chords of a key. Everything is a number here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from musetune.symbols.qualities import QUALITY_INTERVALS
from musetune.theory.numerals.table import NumeralEntry, entries

WEIGHTS = Path(__file__).with_name("weights.safetensors")  # of the network
MODES = ("major", "minor")
CADENTIAL = "Cad64"
N_KEYS = 24  # 2 × pitch class of the tonic + mode
QUALITIES = ("maj", "min", "dim", "aug", "7", "maj7", "min7", "dim7", "hdim7", "It", "Ger", "Fr")
N_INVERSIONS = 4
SIXTHS = {"It": (0, 4, 10), "Ger": (0, 4, 7, 10), "Fr": (0, 4, 6, 10)}  # above the flat sixth of the tonicised degree


@lru_cache(maxsize=1)
def chords() -> tuple[tuple[int, NumeralEntry], ...]:
    """(mode, entry) of each chord of a key: the vocabulary of the rules, majors first, without the cadential 6/4, which
    is the tonic's.
    """
    return tuple((mode, entry) for mode, name in enumerate(MODES) for entry in entries(name) if entry.name != CADENTIAL)


def cadential(mode: int) -> NumeralEntry:
    """The cadential 6/4 of a mode."""
    return next(entry for entry in entries(MODES[mode]) if entry.name == CADENTIAL)


def n_chords() -> int:
    """How many chords keys have, both modes together."""
    return len(chords())


@lru_cache(maxsize=1)
def numbers() -> dict[tuple[int, int, int, str], int]:
    """Number of a chord by mode, semitones of its root above the tonicised degree, that degree, quality."""
    return {(mode, (e.root - e.target) % 12, e.target, e.quality): i for i, (mode, e) in enumerate(chords())}


def chord_number(mode: int, degree: tuple[int, int], quality: str) -> int:
    """Number in `chords`; −1 for one that keys do not have.

    Args:
        mode: Place in `MODES`.
        degree: Semitones of the root above the tonicised degree, and of that above the tonic.
        quality: Of the triad or seventh chord, or the name of an augmented sixth.

    Example:
        >>> chords()[chord_number(0, (7, 7), "7")][1].name
        'V7/V'
    """
    return numbers().get((mode, *degree, quality), -1)


def bass_above_root(quality: str, inversion: int) -> int:
    """Semitones of the bass above the root."""
    tones = SIXTHS.get(quality) or QUALITY_INTERVALS[quality]
    return tones[inversion] % 12 if inversion < len(tones) else 0


@dataclass(frozen=True)
class States:
    """The S numerals that may sound, as columns; key after key, the same chords in each key of a mode.

    Args:
        key: (S,) number of the key.
        applied: (S,) pitch class of the tonicised degree.
        root: (S,) pitch class.
        quality: (S,) place in `QUALITIES`.
        inversion: (S,) 0–3.
        bass: (S,) pitch class.
        chord: (S,) number in `chords`.
    """

    key: np.ndarray
    applied: np.ndarray
    root: np.ndarray
    quality: np.ndarray
    inversion: np.ndarray
    bass: np.ndarray
    chord: np.ndarray


@lru_cache(maxsize=1)
def states() -> States:
    """All numerals in all keys, each in its inversions."""
    rows = []
    for key in range(N_KEYS):
        tonic, mode = divmod(key, 2)
        for number, (of_mode, entry) in enumerate(chords()):
            if of_mode != mode:
                continue
            root = (tonic + entry.root) % 12
            for inversion in entry.inversions:
                bass = (root + bass_above_root(entry.quality, inversion)) % 12
                quality = QUALITIES.index(entry.quality)
                rows.append((key, (tonic + entry.target) % 12, root, quality, inversion, bass, number))
    return States(*np.array(rows).T)
