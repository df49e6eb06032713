"""Harmonic function and cadences from chords in a key: what the model is conditioned on, and what the record says."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction

from musetune.symbols.chord import Chord
from musetune.symbols.key import SCALES, Key
from musetune.symbols.lead_sheet import LeadSheet
from musetune.theory.numerals.roman import roman_of, scale_degree

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


RECORD_FUNCTIONS = (
    "tonic", "tonic_substitute", "subdominant", "subdominant_substitute", "predominant", "dominant", "dominant_substitute",
    "applied_dominant", "applied_subdominant", "borrowed_tonic", "borrowed_subdominant", "borrowed_dominant", "chromatic",
)  # fmt: skip
_DOMINANT_SHAPES = ("maj", "7", "9", "aug")
_DIMINISHED = ("dim", "dim7", "hdim7")
_BORROWED = {
    0: "borrowed_tonic", 1: "predominant", 2: "borrowed_subdominant", 3: "borrowed_tonic", 5: "borrowed_subdominant",
    7: "borrowed_dominant", 8: "borrowed_subdominant", 10: "borrowed_dominant",
}  # fmt: skip


def functions(sheet: LeadSheet) -> list[str]:
    """One of RECORD_FUNCTIONS for each sounding chord, in its local key and by what comes before and after it.

    ``function_of`` looks at one chord alone and is what the model was conditioned on; this is what the record says. Riemann's three
    functions with their substitutes, and: a cadential six-four is a dominant; Neapolitan and augmented sixths are ``predominant``;
    a chord that resolves as a dominant (or its tritone substitute, or a leading-tone chord) to another degree than the tonic is
    ``applied_dominant``, the ii before it ``applied_subdominant``; borrowed chords say what they do; ``chromatic`` is the rest.
    """
    spans = [span for span in sheet.chords if span.chord.root is not None]
    out: list[str] = []
    follower: tuple[Chord, str] | None = None  # the next chord on another root, and its function
    for index in range(len(spans) - 1, -1, -1):
        chord = spans[index].chord
        if index + 1 < len(spans) and spans[index + 1].chord.root_pc != chord.root_pc:
            follower = spans[index + 1].chord, out[-1]
        before = next((s.chord for s in reversed(spans[:index]) if s.chord.root_pc != chord.root_pc), None)
        out.append(function_in(chord, sheet.key_at(spans[index].start), before, follower))
    return out[::-1]


def function_in(chord: Chord, key: Key, before: Chord | None, follower: tuple[Chord, str] | None) -> str:
    """One of RECORD_FUNCTIONS for a sounding ``chord`` in ``key``, between ``before`` and the ``follower`` with its function."""
    degree = scale_degree(chord, key)
    to = None if follower is None else scale_degree(follower[0], key)
    if is_cadential_six_four(chord, key, follower and follower[0]):
        return "dominant"
    pre = _predominant(chord, key, degree, to)
    if pre:
        return pre
    if follower and follower[1] == "applied_dominant" and chord.quality in ("min", "min7", "min9", "hdim7"):
        foreign = not set(chord.pitch_classes) <= key_pitch_classes(key)
        if to == (degree + 5) % 12 and (foreign or chord.quality == "hdim7"):
            return "applied_subdominant"
    if _applies(chord, key, degree, to, follower and follower[0]):
        return "applied_dominant"
    own = function_of(chord, key)
    if own in ("borrowed", "applied_dominant"):
        return _borrowed(chord, key, degree, to, before)
    if key.mode == "minor" and degree == 8 and to in (2, 7):
        return "subdominant_substitute"
    return own


def is_cadential_six_four(chord: Chord, key: Key, after: Chord | None) -> bool:
    """Whether the tonic triad over its fifth leads to the dominant, which it then embellishes (Aldwell and Schachter, ch. 11)."""
    tonic = chord.inversion == 2 and chord.quality in ("maj", "min") and scale_degree(chord, key) == 0
    return tonic and after is not None and scale_degree(after, key) == 7 and after.bass_pc == chord.bass_pc


def key_pitch_classes(key: Key) -> set[int]:
    """Pitch classes of the key's scale, in minor with the raised seventh as well."""
    steps = set(SCALES[key.mode]) | ({11} if key.mode == "minor" else set())
    return {(key.tonic_pc + step) % 12 for step in steps}


def _predominant(chord: Chord, key: Key, degree: int, to: int | None) -> str:
    """Neapolitan, augmented sixths and tritone substitutes of V; "" for another chord."""
    assert chord.bass_pc is not None
    bass = (chord.bass_pc - key.tonic_pc) % 12
    if degree == 1 and chord.quality in ("7", "9"):
        return "dominant_substitute"
    if degree == 1 and chord.quality in ("maj", "maj7"):
        return "predominant"
    sixth = chord.quality == "7" and (degree == 8 or (degree == 2 and bass == 8))
    return "predominant" if sixth and to in (0, 7) else ""


def _applies(chord: Chord, key: Key, degree: int, to: int | None, after: Chord | None) -> bool:
    """Whether ``chord`` acts as dominant of another degree than the tonic; without its resolution a seventh must say so."""
    tones = {(pc - key.tonic_pc) % 12 for pc in chord.pitch_classes}
    if chord.quality in _DIMINISHED:
        leading = tones if chord.quality == "dim7" else {degree}
        return 11 not in leading and to not in (None, 0) and (to - 1) % 12 in leading  # type: ignore[operator]
    if chord.quality not in _DOMINANT_SHAPES or degree == 7:
        return False
    seventh = chord.quality in ("7", "9")
    scale = {(pc - key.tonic_pc) % 12 for pc in key_pitch_classes(key)}
    foreign = not tones <= scale
    if to == (degree + 5) % 12 and to != 0 and to in scale:
        blues = after is not None and after.quality in ("7", "9") and degree == 0
        return (foreign and not blues) or (seventh and key.mode == "minor" and degree == 10)
    if seventh and to == (degree + 5) % 12 and to in (1, 3, 8, 10):
        return after is not None and after.quality in ("maj", "maj7", "maj6")  # to a borrowed degree: Eb7 Ab in C
    if seventh and foreign and to == (degree - 1) % 12 and to in scale:
        return degree not in (0, 5)
    by_shape = function_of(chord, key) == "applied_dominant" and degree not in (0, 5)
    return by_shape and (seventh or to is None or to == (degree + 1) % 12)


def _borrowed(chord: Chord, key: Key, degree: int, to: int | None, before: Chord | None) -> str:
    """What a chord with foreign tones does that is no applied dominant."""
    tones = {(pc - key.tonic_pc) % 12 for pc in chord.pitch_classes}
    if chord.quality == "dim7":
        return "dominant_substitute" if 11 in tones else "chromatic"
    if degree == 8 and before is not None and scale_degree(before, key) == 7 and to != 7:
        return "borrowed_tonic"  # it deceives
    if degree == 10 and to == 5:
        return "borrowed_subdominant"  # bVII IV I: the plagal step twice
    if degree in (4, 9) and key.mode == "minor":
        return "borrowed_tonic"
    return "chromatic" if degree == 2 and chord.quality in _DOMINANT_SHAPES else _BORROWED.get(degree, "chromatic")


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
