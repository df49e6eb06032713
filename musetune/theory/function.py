"""Harmonic function and cadences from chords in a key."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction

from musetune.theory.chord import Chord
from musetune.theory.key import SCALES, Key
from musetune.theory.leadsheet import LeadSheet
from musetune.theory.roman import roman_of, scale_degree

FUNCTIONS = (
    "none", "tonic", "tonic_substitute", "subdominant", "subdominant_substitute", "dominant", "dominant_substitute",
    "applied_dominant", "borrowed",
)  # fmt: skip
CADENCES = ("none", "authentic", "plagal", "half", "deceptive")
_MAJOR = {
    0: "tonic",
    2: "subdominant_substitute",
    4: "tonic_substitute",
    5: "subdominant",
    7: "dominant",
    9: "tonic_substitute",
    11: "dominant_substitute",
}
_MINOR = {
    0: "tonic", 2: "subdominant_substitute", 3: "tonic_substitute", 5: "subdominant", 7: "dominant", 8: "tonic_substitute",
    10: "dominant_substitute", 11: "dominant_substitute",
}  # fmt: skip
_OWN_COLOURS = ("sus2", "sus4", "5", "N")


def function_of(chord: Chord, key: Key) -> str:
    """One of FUNCTIONS (Riemann's three with their substitutes): by root degree where the chord is the key's own.

    A chord applied to another degree is ``applied_dominant``; any other chord with foreign tones is ``borrowed``.
    """
    if chord.root_pc is None:
        return "none"
    if "/" in roman_of(chord, key) and roman_of(chord, key).partition("/")[2][0] in "IViv":
        return "applied_dominant"
    degree = scale_degree(chord, key)
    table = _MAJOR if key.mode == "major" else _MINOR
    scale = set(SCALES[key.mode]) | ({11} if key.mode == "minor" and degree in (7, 11) else set())
    foreign = [pc for pc in chord.pitch_classes[:3] if (pc - key.tonic_pc) % 12 not in scale]
    if degree not in table or (foreign and chord.quality not in _OWN_COLOURS):
        return "borrowed"
    return table[degree]


@dataclass(frozen=True)
class Cadence:
    """``type`` of CADENCES at the beat of arrival; ``subtype`` perfect or imperfect for authentic; strength 0–1."""

    type: str
    subtype: str
    at_beat: Fraction
    strength: float


def cadences(sheet: LeadSheet) -> list[Cadence]:
    """Cadences at chord changes, weighed by metre: full strength on a bar line at a four-bar boundary or the end, less elsewhere.

    Authentic: dominant to tonic; perfect where both are in root position. Plagal: subdominant to tonic. Deceptive: dominant to
    vi (VI). Half: arrival on the dominant at the end of a four-bar group or of the sheet.
    """
    bars = sheet.downbeats()
    phrase = set(bars[0::4])
    out: list[Cadence] = []
    spans = [s for s in sheet.chords if s.chord.root is not None]
    for before, after in itertools.pairwise(spans):
        if before.chord == after.chord:
            continue
        key = sheet.key_at(after.start)
        kind = _kind(before.chord, after.chord, key)
        ends = after.end in phrase or after.end == sheet.length
        if kind == ("half", "") and not ends:
            kind = None
        if kind is None:
            continue
        weight = 1.0 if after.start in phrase or ends else 0.75 if after.start in bars else 0.5
        factor = {"authentic": 1.0 if kind[1] == "perfect" else 0.8, "plagal": 0.6, "half": 0.5, "deceptive": 0.6}[
            kind[0]
        ]
        out.append(Cadence(kind[0], kind[1], after.start, round(weight * factor, 3)))
    return out


def _kind(before: Chord, after: Chord, key: Key) -> tuple[str, str] | None:
    first, second = function_of(before, key), function_of(after, key)
    dominant = first in ("dominant", "dominant_substitute") and scale_degree(before, key) in (7, 11)
    if dominant and second == "tonic":
        perfect = before.inversion == 0 and after.inversion == 0 and first == "dominant"
        return "authentic", "perfect" if perfect else "imperfect"
    if dominant and scale_degree(after, key) == (9 if key.mode == "major" else 8):
        return "deceptive", ""
    if first == "subdominant" and second == "tonic":
        return "plagal", ""
    if second == "dominant" and after.inversion == 0 and after.quality in ("maj", "7"):
        return "half", ""
    return None
