"""The harmonic vocabulary of a key: its chords, how common they are, where they lead. Costs are natural logarithms of
odds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from musetune.symbols.key import Key
from musetune.symbols.names import pitch_class
from musetune.symbols.qualities import QUALITY_INTERVALS
from musetune.theory.numerals.roman import resolve_roman

# name: cost. Set by hand after the common-practice textbooks; those of applied chords go by degree.
MAJOR = {
    "I": 1.3, "Cad64": 3.2, "V": 2.2, "V7": 1.9, "IV": 3.0, "ii": 3.3, "ii7": 3.2, "vi": 3.0, "viio": 3.9, "viio7": 4.4,
    "viiø7": 4.8, "iii": 4.6, "Imaj7": 5.0, "IVmaj7": 4.7, "vi7": 4.7, "iii7": 5.5, "V+": 5.5, "I+": 5.5, "i": 4.6,
    "iv": 4.4, "iiø7": 4.8, "iio": 5.3, "bVI": 4.8, "bIII": 5.5, "bVII": 5.5, "v": 5.2, "bII": 5.2, "Ger65": 5.0,
    "It6": 5.0, "Fr43": 5.3, "V/V": 4.6, "V7/V": 3.8, "viio7/V": 4.4, "viio/V": 5.0, "viiø7/V": 5.2, "V7/IV": 4.2,
    "viio7/IV": 5.5, "V7/ii": 4.4, "V/ii": 4.8, "viio7/ii": 5.0, "viio/ii": 5.8, "V7/vi": 4.4, "V/vi": 4.6,
    "viio7/vi": 4.8, "viio/vi": 5.8, "V7/iii": 5.2, "V/iii": 5.5, "viio7/iii": 5.5,
}  # fmt: skip
MINOR = {
    "i": 1.3, "Cad64": 3.2, "V": 2.2, "V7": 1.9, "iv": 3.0, "iv7": 4.6, "iio": 3.8, "iiø7": 3.4, "VI": 3.3,
    "VImaj7": 5.0, "viio": 4.0, "viio7": 3.4, "III": 4.0, "III+": 5.5, "VII": 4.4, "V7/III": 4.3, "v": 4.6, "i7": 5.5,
    "I": 4.6, "IV": 5.0, "V7/VII": 5.5, "ii": 5.5, "bII": 4.6, "Ger65": 4.3, "It6": 4.3, "Fr43": 4.8, "V7/iv": 4.2,
    "viio7/iv": 4.8, "V7/V": 4.6, "V/V": 5.0, "viio7/V": 4.2, "viio/V": 5.0, "viiø7/V": 5.5, "V7/VI": 4.8,
    "viio7/VI": 5.8, "viio7/III": 5.8,
}  # fmt: skip
TABLES = {"major": MAJOR, "minor": MINOR}
SIXTHS = {
    "Ger65": (-4, 0, -3, 6),
    "It6": (-4, 0, 6),
    "Fr43": (-4, 0, 2, 6),
}  # from the tonic, the flat sixth in the bass
# Semitones above the root → steps on the line of fifths, by the chord's own intervals.
FIFTHS = {0: 0, 3: -3, 4: 4, 6: -6, 7: 1, 8: 8, 9: -9, 10: -2, 11: 5}
FIGURES = {3: ("", "6", "64"), 4: ("7", "65", "43", "42")}


@dataclass(frozen=True)
class NumeralEntry:
    """A chord of a key. ``name`` in root position; ``root``: semitones above the tonic; ``tones``: places on the line
    of fifths above the tonic's, root first; ``inversions`` that it may take; ``target``: degree (semitones) that it
    is applied to, 0 for none.
    """

    name: str
    root: int
    quality: str
    tones: tuple[int, ...]
    inversions: tuple[int, ...]
    target: int
    cost: float

    @property
    def steps(self) -> tuple[int, ...]:
        """Semitones of the tones above the tonic."""
        return tuple(7 * tone % 12 for tone in self.tones)

    def named(self, inversion: int) -> str:
        """The numeral with its figures: V7/V in first inversion is V65/V."""
        head, slash, target = self.name.partition("/")
        if inversion == 0 or head in SIXTHS or head == "Cad64":
            return self.name
        stem = head.removesuffix("7").removesuffix("maj")
        return stem + FIGURES[len(self.tones)][inversion] + slash + target


@lru_cache(maxsize=2)
def entries(mode: str) -> tuple[NumeralEntry, ...]:
    """The chords of a key in ``mode``."""
    return tuple(_entry(name, cost, mode) for name, cost in TABLES[mode].items())


def _entry(name: str, cost: float, mode: str) -> NumeralEntry:
    key = Key("C", mode)
    if name in SIXTHS:
        tones = SIXTHS[name]
        return NumeralEntry(name, 8, name[:3].rstrip("46"), tones, (0,), 0, cost)
    chord = resolve_roman(name, key)
    assert chord.root is not None
    at = _fifths(chord.root)
    tones = tuple(at + FIFTHS[step] for step in QUALITY_INTERVALS[chord.quality])
    target = name.partition("/")[2]
    goal = 0 if not target else resolve_roman(target, key).root_pc or 0
    inversions = (2,) if name == "Cad64" else tuple(range(len(tones)))
    return NumeralEntry(name, pitch_class(chord.root), chord.quality, tones, inversions, goal, cost)


def _fifths(name: str) -> int:
    """Place of a note name on the line of fifths, C 0."""
    return "FCGDAEB".index(name[0]) - 1 + 7 * (name.count("#") - name.count("b"))


@lru_cache(maxsize=2)
def transitions(mode: str) -> np.ndarray:
    """(n, n) cost of going from a chord to another, its own cost included; one more row for a chord that the key does
    not know.

    Dominants go to their tonic or a substitute, also applied ones; predominants and augmented sixths to the dominant
    or its 6/4.
    """
    table = entries(mode)
    out = np.zeros((len(table) + 1, len(table)), np.float32)
    for j, after in enumerate(table):
        for i, before in enumerate(table):
            out[i, j] = REPEAT if i == j else after.cost + _lead(before, after)
        out[-1, j] = after.cost + (3.0 if after.name == "Cad64" else 0.0)
    return out


REPEAT = 0.7  # the same chord again, often in another inversion
TO_DOMINANT = ("V", "V7", "Cad64", "viio", "viio7", "viiø7")
PREDOMINANT = ("IV", "ii", "ii7", "IVmaj7", "iv", "iiø7", "iio", "iv7", "bII", "ii", "bVI", "VI")


def _lead(before: NumeralEntry, after: NumeralEntry) -> float:
    """What the step costs beyond ``after``'s own cost; below 0 where it is expected."""
    a, b = before.name, after.name
    if b == "Cad64":
        strong = a in (*PREDOMINANT, *SIXTHS) or before.target == 7
        return -0.8 if strong else 0.3 if a in ("I", "i", "vi") else 2.0
    if a == "Cad64":
        return -2.0 if b in ("V", "V7") else 3.0
    if a in SIXTHS:
        return -1.5 if b in ("V", "V7") else 2.5
    if before.target:
        return _applied_cost(before, after)
    if a in ("V", "V7", "viio", "viio7", "viiø7", "V+"):
        return _dominant(a, after)
    if a in PREDOMINANT:
        home = 0.5 if a in ("IV", "iv") else 1.2
        return -0.7 if b in TO_DOMINANT else home if after.root == 0 else 0.0
    falls = (before.root - after.root) % 12
    return -0.4 if falls == 7 else -0.2 if falls in (3, 4) else 0.0


def _applied_cost(before: NumeralEntry, after: NumeralEntry) -> float:
    """An applied chord resolves to its degree, stays with it, or goes on to another dominant on the same root."""
    if after.root == before.target or after.target == before.target:
        return -1.5 if after.root == before.target else 0.0
    deceptive = (after.root - before.target) % 12 in (8, 9)
    return 1.0 if deceptive else 2.0


def _dominant(before: str, after: NumeralEntry) -> float:
    if after.name in ("I", "i"):
        return -1.0
    if after.name in ("vi", "VI", "V", "V7", "viio", "viio7"):
        return 0.6 if before == "V7" and after.name == "V" else 0.0
    return 0.5 if after.target else 1.5
