"""Chord qualities: the model's vocabulary, Harte's intervals, and the quality nearest to any set of notes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from musetune.symbols.limits import quote
from musetune.symbols.names import suggest

# Semitones above the root; the order is the model's vocabulary.
QUALITY_INTERVALS: dict[str, tuple[int, ...]] = {
    "maj": (0, 4, 7), "min": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8), "sus2": (0, 2, 7), "sus4": (0, 5, 7),
    "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "min7": (0, 3, 7, 10), "minmaj7": (0, 3, 7, 11), "dim7": (0, 3, 6, 9),
    "hdim7": (0, 3, 6, 10), "maj6": (0, 4, 7, 9), "min6": (0, 3, 7, 9), "9": (0, 4, 7, 10, 2), "maj9": (0, 4, 7, 11, 2),
    "min9": (0, 3, 7, 10, 2), "5": (0, 7), "N": (),
}  # fmt: skip
QUALITIES = tuple(QUALITY_INTERVALS)
DEGREE_SEMITONES = {
    "1": 0, "2": 2, "3": 4, "4": 5, "5": 7, "6": 9, "7": 11, "8": 12, "9": 14, "10": 16, "11": 17, "12": 19, "13": 21,
}  # fmt: skip
FLAT_DEGREES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")
HIGHEST = 21  # a thirteenth: higher intervals are read an octave or more lower
_UPPER = {13: "b9", 14: "9", 15: "#9", 17: "11", 18: "#11", 20: "b13", 21: "13"}
_BY_TONES = {frozenset(own): quality for quality, own in QUALITY_INTERVALS.items() if own}


def degree_semitones(degree: str) -> int:
    """Semitones of a Harte interval: ``b7`` → 10, ``#4`` → 6, ``9`` → 14.

    Raises:
        ValueError: For anything but a number 1–13 after at most three flats or sharps.
    """
    number = degree.lstrip("b#") if isinstance(degree, str) else ""
    signs = degree[: len(degree) - len(number)] if number else ""
    if number not in DEGREE_SEMITONES or len(signs) > 3 or len(set(signs)) > 1:
        raise ValueError(
            f"interval {quote(degree)} is not one of {', '.join(DEGREE_SEMITONES)} with b or #"
            f"{suggest(degree, FLAT_DEGREES)}"
        )
    return DEGREE_SEMITONES[number] + signs.count("#") - signs.count("b")


def degree_name(semitones: int, chord: Iterable[int]) -> str:
    """Harte interval of a tone 0–21 semitones above the root of ``chord``: 6 is ``#4`` beside a 5, else ``b5``."""
    if semitones > 11:
        return _UPPER[semitones]
    if semitones in (6, 8) and 7 in chord:
        return {6: "#4", 8: "b6"}[semitones]
    return "#5" if semitones == 8 else FLAT_DEGREES[semitones]


def normal_intervals(intervals: Iterable[int]) -> tuple[int, ...]:
    """Intervals in rising order, 0–21, each pitch class once and as low as it stands.

    Octaves, tenths and twelfths are read as roots, thirds and fifths; an eleventh without a third is a fourth.

    Raises:
        ValueError: For no interval at all, or one that is not a whole number 0–127.
    """
    values = list(intervals)
    wrong = [i for i in values if isinstance(i, bool) or not isinstance(i, int) or not 0 <= i <= 127]
    if wrong or not values:
        raise ValueError(
            f"intervals={quote(values)} must be one or more whole numbers 0–127, semitones above the root: (0, 4, 7)"
        )
    out: list[int] = []
    low = [i if i <= HIGHEST else HIGHEST - 11 + (i - HIGHEST + 11) % 12 for i in values]
    for value in sorted(i - 12 if i in (12, 16, 19) else i for i in low):
        if all((value - other) % 12 for other in out):
            out.append(value)
    if 17 in out and not {3, 4} & set(out):
        out = sorted({*out, 5} - {17})
    return tuple(out)


@lru_cache(maxsize=4096)
def nearest_quality(intervals: tuple[int, ...]) -> str:
    """Quality of QUALITIES that says most of ``intervals`` and, where one can, adds nothing to them.

    Only a quality's perfect fifth may be missing. A minor third under a flat fifth is a diminished chord. A thirteenth
    on a dominant seventh stands for the ninth too, as players read G7(13) and G13. Where no quality fits, the one that
    shares most tones.

    Args:
        intervals: Semitones above the root, as ``normal_intervals`` gives them.

    Example:
        >>> nearest_quality((0, 4, 7, 10, 15)), nearest_quality((0, 5, 7, 10, 14)), nearest_quality((0, 3, 6, 10))
        ('7', 'sus4', 'hdim7')
    """
    tones = {0} | {i % 12 for i in intervals}
    if frozenset(tones) in _BY_TONES:
        return _BY_TONES[frozenset(tones)]
    added_ninth = 14 in intervals  # no suspended second
    tones = {0} | {i % 12 for i in intervals if i not in (15, 18, 20)}  # #9, #11 and b13 are no third, fifth or fifth
    if {4, 7, 10} <= tones and 21 in intervals and not {13, 14, 15, 1, 2, 3} & set(intervals):
        return "9"
    named = [q for q, own in QUALITY_INTERVALS.items() if own and not (added_ninth and q == "sus2")]
    fits = [q for q in named if set(QUALITY_INTERVALS[q]) - {7} <= tones]
    if {3, 6} <= tones and not {4, 7} & tones:
        fits = [q for q in fits if q in ("dim", "dim7", "hdim7")]
    if 7 not in tones and tones != {0}:
        fits = [q for q in fits if q != "5"]
    if fits:
        return max(fits, key=lambda q: (len(set(QUALITY_INTERVALS[q]) & tones), len(QUALITY_INTERVALS[q])))

    def likeness(quality: str) -> tuple[int, int]:
        own = set(QUALITY_INTERVALS[quality])
        return len(own & tones), -len(own - tones)

    return max(named, key=likeness)
