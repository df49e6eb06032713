"""Major and minor keys."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from musetune.symbols.names import (
    FLAT_KEYS,
    FLATS,
    LETTERS,
    NOTE_NAMES,
    SHARPS,
    pitch_class,
    quoted,
    spell,
    suggest,
    transpose_name,
)
from musetune.symbols.remarks import remark

SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
TRIADS = {
    "major": ("maj", "min", "min", "maj", "maj", "min", "dim"),
    "minor": ("min", "dim", "maj", "min", "min", "maj", "maj"),
}
STEPS = (
    0,
    1,
    1,
    2,
    2,
    3,
    3,
    4,
    5,
    5,
    6,
    6,
)  # letter above the tonic's for each semitone: b2, b3, #4, b6, b7 where foreign
_KEY = re.compile(
    r"^([A-Ga-g](?:#|b|♯|♭)?)[\s:_-]*"
    r"((?i:major|maj|minor|min|dur|moll|ionian|dorian|phrygian|lydian|mixolydian|aeolian|locrian)|M|m)?$"
)


_LIKE_MINOR = ("dorian", "phrygian", "aeolian", "locrian")
_CHURCH = (*_LIKE_MINOR, "ionian", "lydian", "mixolydian")


@dataclass(frozen=True)
class Key:
    """A key: ``tonic`` as spelled and ``mode`` major or minor."""

    tonic: str
    mode: str = "major"

    def __post_init__(self) -> None:
        pitch_class(self.tonic)
        if self.mode not in SCALES:
            raise ValueError(f"mode={self.mode!r} is not major or minor{suggest(self.mode, SCALES)}")

    @staticmethod
    def parse(text: str) -> Key:
        """Key that ``text`` names; a lower-case letter alone is minor.

        A church mode is read as major or minor, whichever its third makes it, and a remark says so
        (``musetune.symbols.remarks``).

        Args:
            text: ``Bb major``, ``f# Minor``, ``Am``, ``C``, ``A:min``, ``D dorian``.

        Raises:
            ValueError: For another text; it names the nearest valid spelling.

        Example:
            >>> str(Key.parse("f# Minor")), str(Key.parse("A:min")), str(Key.parse("C ionian"))
            ('F# minor', 'A minor', 'C major')
        """
        if not isinstance(text, str) or len(text) > 60:
            raise ValueError(f"key {quoted(text)} is not a short text such as 'Bb major'")
        key, lost = _parse(text.strip())
        if lost:
            remark(f"the key {quoted(text)} is read as {key}, the nearer of the two modes that keys have here")
        return key

    @property
    def tonic_pc(self) -> int:
        """Pitch class of the tonic, 0–11."""
        return pitch_class(self.tonic)

    @property
    def uses_flats(self) -> bool:
        """Whether the key signature has flats."""
        major = self.tonic if self.mode == "major" else transpose_name(self.tonic, 3, True)
        return major in FLAT_KEYS or "b" in self.tonic

    def __str__(self) -> str:
        return f"{self.tonic} {self.mode}"

    def transpose(self, semitones: int) -> Key:
        """The key ``semitones`` higher, spelled with at most six accidentals."""
        if semitones % 12 == 0:
            return self
        pc = (self.tonic_pc + semitones) % 12
        flats = pc in ((1, 3, 5, 8, 10) if self.mode == "major" else (0, 2, 3, 5, 7, 10))
        return Key((FLATS if flats else SHARPS)[pc], self.mode)

    def name_of(self, pc: int) -> str:
        """The name that this key gives to a pitch class.

        Its own degrees, else b2, b3, #4, b6, b7 (in minor #3, #6, #7).

        A name that would need two accidentals gives way to the plain one: D, not Ebb.
        """
        name = spell(self.tonic, STEPS[(pc - self.tonic_pc) % 12], pc % 12)
        return name if len(name) <= 2 else (FLATS if self.uses_flats else SHARPS)[pc % 12]

    def transpose_name(self, name: str, semitones: int) -> str:
        """The note ``name`` of this key, ``semitones`` higher and spelled for the key that it arrives in.

        Bb in C, 2 → C in D.
        """
        there = self.transpose(semitones)
        letters = "".join(LETTERS)
        steps = letters.index(there.tonic[0]) - letters.index(self.tonic[0])
        pc = (pitch_class(name) + semitones) % 12
        moved = spell(name, steps, pc)
        return moved if moved in FLATS or moved in SHARPS else there.name_of(pc)

    def degree_pc(self, number: int, offset: int = 0) -> int:
        """Pitch class of scale degree 1–7, raised by ``offset`` semitones."""
        return (self.tonic_pc + SCALES[self.mode][number - 1] + offset) % 12

    def degree_name(self, number: int, offset: int = 0) -> str:
        """Name of scale degree 1–7 raised by ``offset`` semitones, on the degree's own letter.

        In C bVII is Bb, in Gb IV is Cb.
        """
        pc = self.degree_pc(number, offset)
        name = spell(self.tonic, number - 1, pc)
        return name if len(name) <= 3 else self.name_of(pc)

    def diatonic_triad(self, number: int) -> str:
        """Quality of the triad on degree 1–7 (natural minor)."""
        return TRIADS[self.mode][number - 1]


@lru_cache(maxsize=256)
def _parse(text: str) -> tuple[Key, bool]:
    """The key, and whether it is only the nearest of the mode that was named."""
    match = _KEY.match(text)
    if not match:
        valid = [f"{n} {m}" for n in NOTE_NAMES for m in ("major", "minor")]
        hint = suggest(text, valid, otherwise="C major")
        raise ValueError(f"key {quoted(text)} is not a tonic A–G with # or b, then major or minor{hint}")
    letter, mode = match.group(1).replace("♯", "#").replace("♭", "b"), match.group(2)
    name = (mode or "").lower()
    minor = letter[0].islower() if mode is None else mode == "m" or name in ("minor", "min", "moll", *_LIKE_MINOR)
    lost = name in _CHURCH and name not in ("ionian", "aeolian")
    return Key(letter[0].upper() + letter[1:], "minor" if minor else "major"), lost
