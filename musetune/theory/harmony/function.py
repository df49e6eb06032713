"""Harmonic functions: what each chord of a lead sheet does in its key, by what comes before and after it."""

from __future__ import annotations

from musetune.symbols.chord import Chord
from musetune.symbols.key import SCALES, Key
from musetune.symbols.lead_sheet import LeadSheet
from musetune.symbols.qualities import QUALITY_INTERVALS
from musetune.theory.numerals.roman import applied_target, scale_degree

FUNCTIONS = (
    "tonic",
    "tonic_substitute",
    "subdominant",
    "subdominant_substitute",
    "predominant",
    "dominant",
    "dominant_substitute",
    "applied_dominant",
    "applied_subdominant",
    "borrowed_tonic",
    "borrowed_subdominant",
    "borrowed_dominant",
    "chromatic",
)
_OWN = {
    "major": {
        0: "tonic", 2: "subdominant_substitute", 4: "tonic_substitute", 5: "subdominant", 7: "dominant",
        9: "tonic_substitute", 11: "dominant_substitute",
    },
    "minor": {
        0: "tonic", 2: "subdominant_substitute", 3: "tonic_substitute", 5: "subdominant", 7: "dominant",
        8: "tonic_substitute", 10: "dominant_substitute", 11: "dominant_substitute",
    },
}  # fmt: skip
_OPEN = ("sus2", "sus4", "5")  # without a third: a foreign tone does not make them borrowed
_DOMINANT_SHAPES = ("maj", "7", "9", "aug")
_DIMINISHED = ("dim", "dim7", "hdim7")
_BORROWED = {
    0: "borrowed_tonic", 1: "predominant", 2: "borrowed_subdominant", 3: "borrowed_tonic", 5: "borrowed_subdominant",
    7: "borrowed_dominant", 8: "borrowed_subdominant", 10: "borrowed_dominant",
}  # fmt: skip


def functions(sheet: LeadSheet) -> list[str]:
    """Function of each sounding chord, in its local key and by what comes before and after it.

    Riemann's three functions (Vereinfachte Harmonielehre, 1893) with their substitutes, and: a cadential six-four is
    a dominant; Neapolitan and augmented sixths are ``predominant``; a chord that resolves as a dominant (or its
    tritone substitute, or a leading-tone chord) to another degree than the tonic is ``applied_dominant``, the ii
    before it ``applied_subdominant``; borrowed chords say what they do; ``chromatic`` is the rest.

    Args:
        sheet: Chords and keys.

    Returns:
        One of FUNCTIONS for each chord span that sounds; silences have none.

    Example:
        >>> from musetune.symbols import LeadSheet
        >>> functions(LeadSheet.parse("| C | A7 | Dm | G7 |"))
        ['tonic', 'applied_dominant', 'subdominant_substitute', 'dominant']
    """
    spans = [span for span in sheet.chords if span.chord.root is not None]
    out: list[str] = []
    follower: tuple[Chord, str] | None = None  # the next chord on another root, and its function
    for index in range(len(spans) - 1, -1, -1):
        chord = spans[index].chord.simplify()
        if index + 1 < len(spans) and spans[index + 1].chord.root_pc != chord.root_pc:
            follower = spans[index + 1].chord, out[-1]
        before = next((s.chord for s in reversed(spans[:index]) if s.chord.root_pc != chord.root_pc), None)
        out.append(function_in(chord, sheet.key_at(spans[index].start), before, follower))
    return out[::-1]


def function_in(chord: Chord, key: Key, before: Chord | None, follower: tuple[Chord, str] | None) -> str:
    """Function, one of FUNCTIONS, of a sounding ``chord`` in ``key``, between ``before`` and the ``follower`` with
    its function.
    """
    chord = chord.simplify()
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
    own = _own(chord, key, degree)
    if own is None:
        return _borrowed_function(chord, key, degree, to, before)
    if key.mode == "minor" and degree == 8 and to in (2, 7):
        return "subdominant_substitute"
    return own


def _own(chord: Chord, key: Key, degree: int) -> str | None:
    """Function of a chord of the key's own scale (in minor V and vii with the raised seventh); None where its triad
    has foreign tones.
    """
    scale = set(SCALES[key.mode]) | ({11} if key.mode == "minor" and degree in (7, 11) else set())
    own = all((degree + step) % 12 in scale for step in QUALITY_INTERVALS[chord.quality][:3])
    return _OWN[key.mode].get(degree) if own or chord.quality in _OPEN else None


def is_cadential_six_four(chord: Chord, key: Key, after: Chord | None) -> bool:
    """Whether the tonic triad over its fifth leads to the dominant, which it then embellishes (Aldwell and Schachter,
    ch. 11).
    """
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
    """Whether ``chord`` acts as dominant of another degree than the tonic; without its resolution a seventh must say
    so.
    """
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
    by_shape = applied_target(chord, key) != "" and degree not in (0, 5)
    return by_shape and (seventh or to is None or to == (degree + 1) % 12)


def _borrowed_function(chord: Chord, key: Key, degree: int, to: int | None, before: Chord | None) -> str:
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
