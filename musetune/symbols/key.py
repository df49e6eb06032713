"""Major and minor keys."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from musetune.symbols.limits import quote
from musetune.symbols.names import (
    FLAT_KEYS,
    FLATS,
    LETTERS,
    NOTE_NAMES,
    SHARPS,
    pitch_class,
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
_KEY = re.compile(r"^([A-Ga-g](?:##|bb|#|b|♯|♭)?)[\s:_-]*((?i:major|maj|minor|min|dur|moll)|M|m)?$")
MODES = {  # church mode → the mode that it is kept as, by its third
    **dict.fromkeys(("ionian", "lydian", "mixolydian"), "major"),
    **dict.fromkeys(("dorian", "phrygian", "aeolian", "locrian"), "minor"),
}
_CHURCH = re.compile(rf"([A-Ga-g](?:##|bb|#|b|♯|♭)?)[\s:_-]*({'|'.join(MODES)})", re.IGNORECASE)


@dataclass(frozen=True)
class Key:
    """Major or minor key.

    Args:
        tonic: Note name as spelled, "Bb".
        mode: "major" or "minor".

    Raises:
        ValueError: For a tonic or mode that does not exist.

    Example:
        >>> key = Key.parse("Bbm")
        >>> str(key), str(key.transpose(2)), key.name_of(6)
        ('Bb minor', 'C minor', 'Gb')
    """

    tonic: str
    mode: str = "major"

    def __post_init__(self) -> None:
        pitch_class(self.tonic)
        if self.mode not in SCALES:
            raise ValueError(f"mode={self.mode!r} is not major or minor{suggest(self.mode, SCALES)}")

    @staticmethod
    def parse(text: str) -> Key:
        """Read ``Bb major``, ``f# Minor``, ``Am``, ``C``, ``A:min``; a lower-case letter alone is minor.

        A church mode is kept as major or minor, whichever its third makes it, with a remark: ``D dorian`` is D minor.

        Raises:
            ValueError: that names the text and the nearest valid spelling.

        Example:
            >>> str(Key.parse("Eb:lydian"))
            'Eb major'
        """
        church = _CHURCH.fullmatch(text.strip())
        return _parse(text.strip()) if church is None else Key.in_mode(_tonic(church[1]), church[2].lower())

    @staticmethod
    def in_mode(tonic: str, mode: str) -> Key:
        """Make the key on ``tonic`` in major, minor or a church mode, which is kept as one of them with a remark.

        Example:
            >>> Key.in_mode("A", "aeolian")
            Key(tonic='A', mode='minor')
        """
        nearest = MODES.get(mode, mode)
        if mode in MODES and mode not in ("ionian", "aeolian"):
            remark(
                f"the key {tonic} {mode} is kept as {tonic} {nearest}, the nearer of the two modes that keys have here"
            )
        return Key(tonic, nearest)

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
        """Move the key ``semitones`` up, spelled with at most six accidentals."""
        if semitones % 12 == 0:
            return self
        pc = (self.tonic_pc + semitones) % 12
        flats = pc in ((1, 3, 5, 8, 10) if self.mode == "major" else (0, 2, 3, 5, 7, 10))
        return Key((FLATS if flats else SHARPS)[pc], self.mode)

    def name_of(self, pc: int) -> str:
        """Name that this key gives to a pitch class: its own degrees, else b2, b3, #4, b6, b7 (in minor #3, #6, #7).

        A name that would need two accidentals gives way to the plain one: D, not Ebb.
        """
        name = spell(self.tonic, STEPS[(pc - self.tonic_pc) % 12], pc % 12)
        return name if len(name) <= 2 else (FLATS if self.uses_flats else SHARPS)[pc % 12]

    def transpose_name(self, name: str, semitones: int) -> str:
        """Move a note of this key ``semitones`` up, spelled for the key that it arrives in.

        Example:
            >>> Key("C").transpose_name("Bb", 2), Key("C").transpose_name("Bb", 1)
            ('C', 'Cb')
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

        Example:
            >>> Key("C").degree_name(7, -1), Key("Gb").degree_name(4)
            ('Bb', 'Cb')
        """
        pc = self.degree_pc(number, offset)
        name = spell(self.tonic, number - 1, pc)
        return name if len(name) <= 3 else self.name_of(pc)

    def diatonic_triad(self, number: int) -> str:
        """Quality of the triad on degree 1–7 (natural minor)."""
        return TRIADS[self.mode][number - 1]


@lru_cache(maxsize=256)
def _parse(text: str) -> Key:
    match = _KEY.match(text)
    if not match:
        valid = [f"{n} {m}" for n in NOTE_NAMES for m in ("major", "minor")]
        tonic = re.match(r"[A-Ga-g][#b]?(?![a-z])", text)
        near = f"{_tonic(tonic[0])} {'minor' if text[0].islower() else 'major'}" if tonic else "C major"
        hint = suggest(text, valid, otherwise=near)
        raise ValueError(f"key {quote(text)} is not a tonic A–G with # or b, then major or minor{hint}")
    letter, mode = match.groups()
    minor = letter[0].islower() if mode is None else mode == "m" or mode.lower() in ("minor", "min", "moll")
    return Key(_tonic(letter), "minor" if minor else "major")


def _tonic(text: str) -> str:
    return text[0].upper() + text[1:].replace("♯", "#").replace("♭", "b")
