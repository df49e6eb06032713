"""Keys as files name them: by fifths and mode, in church modes, or none at all.

Ours are major and minor; what is folded is remarked.
"""

from __future__ import annotations

from musetune.symbols.key import Key
from musetune.symbols.limits import shorten
from musetune.symbols.remarks import remark

# mode → fifths from the tonic of the major key with the same signature to its own
MODES = {
    "major": 0,
    "ionian": 0,
    "lydian": -1,
    "mixolydian": 1,
    "dorian": 2,
    "minor": 3,
    "aeolian": 3,
    "phrygian": 4,
    "locrian": 5,
}


def key_of_fifths(fifths: int, mode: str | None) -> Key | None:
    """The key with so many sharps (flats below 0) in ``mode``, major where none is written.

    Raises nothing: an unknown mode is remarked.
    """
    name = (mode or "major").strip().lower()
    if name in ("", "none"):
        name = "major"
    if name not in MODES:
        remark(f"the mode {shorten(name)!r} is none that is known; the key is read as major")
        name = "major"
    place = fifths + MODES[name] + 1
    letter, marks = "FCGDAEB"[place % 7], place // 7
    return Key.in_mode(letter + ("#" * marks if marks > 0 else "b" * -marks), name)


def read_key(text: object) -> Key | None:
    """The key that a label names: ``D:dorian``, ``Bb:major``, ``A minor``; None for ``N`` and for what is none, which
    is remarked.

    Example:
        >>> read_key("A:minor")
        Key(tonic='A', mode='minor')
    """
    name = str(text).strip()
    if name in ("N", "", "None"):
        return None
    try:
        return Key.parse(name)
    except ValueError as error:
        remark(f"the key {shorten(name)!r} is left out: {error}")
        return None
