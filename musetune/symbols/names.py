"""Note names: pitch classes, spellings, and the nearest valid spelling of a wrong one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from musetune.symbols.limits import QUOTED_CHARACTERS, quote

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SHARPS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
FLATS = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
NOTE_NAMES = tuple(letter + accidental for letter in LETTERS for accidental in ("", "#", "b"))
_NOTE = re.compile("[A-G](?:#{1,4}|b{1,4})?")
FLAT_KEYS = frozenset({"F", "Bb", "Eb", "Ab", "Db", "Gb", "Cb"})


def pitch_class(name: str) -> int:
    """Pitch class 0–11 of a note name such as ``F#``, ``Bb`` or ``Cbb``.

    Raises ValueError for anything else.
    """
    if not isinstance(name, str) or not _NOTE.fullmatch(name):
        raise ValueError(f"note {quote(name)} is not a letter A–G with # or b{suggest(name, NOTE_NAMES)}")
    return (LETTERS[name[0]] + name.count("#") - name.count("b")) % 12


def transpose_name(name: str, semitones: int, flats: bool | None = None) -> str:
    """The name ``semitones`` higher, with flats where asked or where ``name`` has one; 0 keeps the spelling."""
    if semitones % 12 == 0:
        return name
    use_flats = ("b" in name) if flats is None else flats
    return (FLATS if use_flats else SHARPS)[(pitch_class(name) + semitones) % 12]


def spell(name: str, steps: int, pc: int) -> str:
    """Pitch class ``pc`` written on the letter ``steps`` above that of ``name``: ("C", 6, 10) → ``Bb``, ("Gb", 3, 11)
    → ``Cb``.
    """
    letters = "".join(LETTERS)
    letter = letters[(letters.index(name[0]) + steps) % 7]
    offset = (pc - LETTERS[letter] + 6) % 12 - 6
    return letter + ("#" * offset if offset > 0 else "b" * -offset)


def suggest(value: object, valid: Iterable[str], otherwise: str = "") -> str:
    """``"; did you mean 'x'?"`` with the nearest of ``valid``; where none is near, with ``otherwise``, or nothing
    without it.
    """
    near = difflib.get_close_matches(str(value)[:QUOTED_CHARACTERS], list(valid), n=1, cutoff=0.4) or [otherwise]
    return f"; did you mean {near[0]!r}?" if near[0] else ""
