"""Chords near at hand in a key: its own, the dominants of its degrees, and those that it borrows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from musetune.symbols.chord import Chord
from musetune.symbols.key import SCALES, Key
from musetune.theory.numerals.context import own, target_of
from musetune.theory.numerals.roman import resolve_roman, roman_of

DEGREES = range(1, 8)
RAISED = {3: ("V", "viio"), 4: ("V7", "viio7")}  # of minor: the dominants with the leading tone, by number of notes
NEAPOLITAN = "bII"


class PaletteChord(NamedTuple):
    """A chord with its Roman numeral in the key that it was chosen for."""

    numeral: str
    chord: Chord


@dataclass(frozen=True)
class Palette:
    """Chords of a key, in groups.

    Attributes:
        triads: of the scale's degrees, in rising order; in minor also V and viio, with the leading tone.
        sevenths: the same with sevenths.
        dominants: dominant sevenths of the degrees that a key can turn to, such as V7/ii.
        borrowed: triads of the parallel key that are not the key's own, and the Neapolitan.
    """

    triads: tuple[PaletteChord, ...]
    sevenths: tuple[PaletteChord, ...]
    dominants: tuple[PaletteChord, ...]
    borrowed: tuple[PaletteChord, ...]


@lru_cache(maxsize=64)
def palette(key: Key) -> Palette:
    """Gather the chords that a player reaches for first in a key.

    The groups are those of harmony textbooks (Aldwell, Schachter and Cadwallader, *Harmony and Voice Leading*):
    diatonic chords, applied (secondary) dominants, and modal mixture with the Neapolitan.

    Args:
        key: Any key.

    Returns:
        Groups of numerals and chords, spelled for the key. `resolve_roman` reads every numeral as the chord's notes.

    Example:
        >>> chords = palette(Key("C"))
        >>> [one.numeral for one in chords.triads], [str(one.chord) for one in chords.dominants[:2]]
        (['I', 'ii', 'iii', 'IV', 'V', 'vi', 'viio'], ['A:7', 'B:7'])
        >>> [one.numeral for one in chords.borrowed]
        ['i', 'iio', 'bIII', 'iv', 'v', 'bVI', 'bVII', 'bII']
    """
    targets = (target_of((key.tonic_pc + step) % 12, key) for step in SCALES[key.mode])
    applied = (PaletteChord(f"V7/{target}", resolve_roman(f"V7/{target}", key)) for target in targets if target)
    return Palette(
        _scale_chords(key, 3),
        _scale_chords(key, 4),
        tuple(one for one in applied if not own(one.chord, key)),
        tuple(_borrowed(key)),
    )


def _scale_chords(key: Key, tones: int) -> tuple[PaletteChord, ...]:
    """Chords of so many stacked thirds on every degree of the scale."""
    chords = []
    for degree in DEGREES:
        steps = [key.degree_pc((degree + 2 * third - 1) % 7 + 1) for third in range(tones)]
        root = steps[0]
        chords.append(Chord.from_intervals(key.degree_name(degree), [(step - root) % 12 for step in steps]))
    if key.mode == "minor":
        chords += [resolve_roman(numeral, key) for numeral in RAISED[tones]]
    return tuple(PaletteChord(roman_of(chord, key), chord) for chord in chords)


def _borrowed(key: Key) -> Iterator[PaletteChord]:
    """Triads of the parallel key that are not the key's own, then the Neapolitan."""
    other = Key(key.tonic, "minor" if key.mode == "major" else "major")
    for degree in DEGREES:
        pc = other.degree_pc(degree)
        chord = Chord(key.name_of(pc), other.diatonic_triad(degree))
        if not own(chord, key):
            yield PaletteChord(roman_of(chord, key), chord)
    yield PaletteChord(NEAPOLITAN, resolve_roman(NEAPOLITAN, key))
