"""What shipped adapters learned from: the functions and cadences in their music tokens. Frozen.

The weights of every adapter so far were trained on these words, in this order, and on these rules, so nothing here
may change: a chord looked at alone has one of CONDITIONING_FUNCTIONS, and every dominant that meets its tonic is a
cadence. What a chord does in its context is ``musetune.theory.harmony.function.functions``, and where phrases close
is ``musetune.theory.harmony.cadence.cadences``; all other code uses those.
``tests/theory/harmony/test_conditioning_vocabulary.py`` pins every value.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import NamedTuple

from musetune.symbols.chord import Chord
from musetune.symbols.key import SCALES, Key
from musetune.symbols.lead_sheet import LeadSheet
from musetune.symbols.qualities import QUALITY_INTERVALS

CONDITIONING_FUNCTIONS = (
    "none", "tonic", "tonic_substitute", "subdominant", "subdominant_substitute", "dominant", "dominant_substitute",
    "applied_dominant", "borrowed",
)  # fmt: skip
CONDITIONING_CADENCES = ("none", "authentic", "plagal", "half", "deceptive")
_FUNCTIONS = {
    "major": {
        0: "tonic", 2: "subdominant_substitute", 4: "tonic_substitute", 5: "subdominant", 7: "dominant",
        9: "tonic_substitute", 11: "dominant_substitute",
    },
    "minor": {
        0: "tonic", 2: "subdominant_substitute", 3: "tonic_substitute", 5: "subdominant", 7: "dominant",
        8: "tonic_substitute", 10: "dominant_substitute", 11: "dominant_substitute",
    },
}  # fmt: skip
_APPLIED = {
    "major": (2, 4, 9, 11),
    "minor": (0, 2, 5),
}  # degrees whose major triad or 7 is foreign and leads to one of the key's


class Arrival(NamedTuple):
    """A cadence as the tokens hold it: ``type`` of CONDITIONING_CADENCES at the beat of arrival."""

    type: str
    at_beat: Fraction


def conditioning_function(chord: Chord, key: Key) -> str:
    """Function, one of CONDITIONING_FUNCTIONS, of a chord looked at alone: by root degree where its triad is the
    key's own.

    A major or dominant chord that leads to another degree is ``applied_dominant``; any other with foreign tones is
    ``borrowed``.

    Example:
        >>> from musetune.symbols import Chord, Key
        >>> [conditioning_function(Chord.parse(text), Key("C")) for text in ("C", "D7", "Fm", "G7")]
        ['tonic', 'applied_dominant', 'borrowed', 'dominant']
    """
    if chord.root_pc is None:
        return "none"
    degree = (chord.root_pc - key.tonic_pc) % 12
    if chord.quality in ("maj", "7") and degree in _APPLIED[key.mode] and _inverts(chord):
        return "applied_dominant"
    scale = set(SCALES[key.mode]) | ({11} if key.mode == "minor" and degree in (7, 11) else set())
    foreign = any((degree + step) % 12 not in scale for step in QUALITY_INTERVALS[chord.quality][:3])
    if foreign and chord.quality not in ("sus2", "sus4", "5"):
        return "borrowed"
    return _FUNCTIONS[key.mode].get(degree, "borrowed")


def conditioning_cadences(sheet: LeadSheet) -> list[Arrival]:
    """Cadences at chord changes, whatever the phrase; ``theory.harmony.cadence.cadences`` keeps those that close one.

    Authentic: dominant to tonic. Plagal: subdominant to tonic. Deceptive: dominant to vi (VI). Half: arrival on the
    dominant at the end of a four-bar group or of the sheet.

    Example:
        >>> from musetune.symbols import LeadSheet
        >>> sheet = LeadSheet.parse("| C | F | G7 | C |")
        >>> [(arrival.type, int(arrival.at_beat)) for arrival in conditioning_cadences(sheet)]
        [('authentic', 12)]
    """
    phrase = set(sheet.downbeats()[0::4])
    out: list[Arrival] = []
    spans = [span for span in sheet.chords if span.chord.root is not None]
    for before, after in itertools.pairwise(spans):
        if before.chord == after.chord:
            continue
        kind = _kind(before.chord, after.chord, sheet.key_at(after.start))
        if kind == "half" and after.end not in phrase and after.end != sheet.length:
            kind = None
        if kind is not None:
            out.append(Arrival(kind, after.start))
    return out


def _kind(before: Chord, after: Chord, key: Key) -> str | None:
    first, second = conditioning_function(before, key), conditioning_function(after, key)
    from_degree, to_degree = ((chord.root_pc - key.tonic_pc) % 12 for chord in (before, after))  # type: ignore[operator]
    dominant = first in ("dominant", "dominant_substitute") and from_degree in (7, 11)
    if dominant and second == "tonic":
        return "authentic"
    if dominant and to_degree == (9 if key.mode == "major" else 8):
        return "deceptive"
    if first == "subdominant" and second == "tonic":
        return "plagal"
    if second == "dominant" and after.bass_pc == after.root_pc and after.quality in ("maj", "7"):
        return "half"
    return None


def _inverts(chord: Chord) -> bool:
    """Whether the bass is one of the tones that the quality names."""
    return chord.bass_pc is not None and (chord.bass_pc - chord.root_pc) % 12 in QUALITY_INTERVALS[chord.quality]  # type: ignore[operator]
