"""Keys as files name them: by fifths and mode, in church modes, or none at all.

Ours are major and minor; what is folded is remarked.
"""

from __future__ import annotations

import re

from musetune.symbols.key import Key
from musetune.symbols.limits import shorten
from musetune.symbols.remarks import remark

# mode → fifths from the tonic of the major key with the same signature to its own, and the mode that it is kept as
MODES = {
    "major": (0, "major"),
    "ionian": (0, "major"),
    "lydian": (-1, "major"),
    "mixolydian": (1, "major"),
    "dorian": (2, "minor"),
    "minor": (3, "minor"),
    "aeolian": (3, "minor"),
    "phrygian": (4, "minor"),
    "locrian": (5, "minor"),
}
_NAME = re.compile(r"([A-Ga-g](?:##|bb|#|b|♯|♭)?)[\s:_-]*([A-Za-z]*)")


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
    index = fifths + MODES[name][0] + 1
    letter, marks = "FCGDAEB"[index % 7], index // 7
    return key_in_mode(letter + ("#" * marks if marks > 0 else "b" * -marks), name)


def key_in_mode(tonic: str, mode: str) -> Key:
    """The key on ``tonic`` in one of MODES: a church mode is kept as major or minor, whichever its third makes it, and
    remarked.
    """
    family = MODES[mode][1]
    if mode not in ("major", "minor", "ionian", "aeolian"):
        remark(f"the key {tonic} {mode} is kept as {tonic} {family}, the nearer of the two modes that keys have here")
    return Key(tonic, family)


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
    match = _NAME.fullmatch(name[:40])
    if match is not None and match[2].lower() in MODES:
        tonic = match[1][0].upper() + match[1][1:].replace("♯", "#").replace("♭", "b")
        return key_in_mode(tonic, match[2].lower())
    try:
        return Key.parse(name)
    except ValueError as error:
        remark(f"the key {shorten(name)!r} is left out: {error}")
        return None
