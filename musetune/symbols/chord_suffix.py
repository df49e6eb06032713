"""What stands after a chord's root: pop suffixes, Harte's shorthands and lists of intervals, read and written exactly.

A pop suffix is read by a grammar, not from a list: third, fifth, seventh and extensions in any order that players
write, so that ``C7b9b13``, ``C7(b13,b9)`` and ``C7(b9/13-)`` are one chord. Harte's are those of Harte et al., ISMIR
2005."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from musetune.symbols.qualities import (
    DEGREE_SEMITONES,
    QUALITY_INTERVALS,
    degree_name,
    degree_semitones,
    normal_intervals,
)

_SIGNS = str.maketrans({
    "♭": "b", "♯": "#", "△": "^", "∆": "^", "Δ": "^", "º": "o", "°": "o", "˚": "o", "Ø": "ø",
    "−": "-", "–": "-", "‐": "-", "‑": "-",
})  # fmt: skip
_TOKEN = re.compile(
    r"(?P<mark>[(),/ ])"
    r"|(?P<sus>[Ss][Uu][Ss](?:2sus4|4sus2|24|42|2|4)?)"
    r"|(?:[Aa]dd|ADD)(?P<add>[b#+-]?(?:13|11|9|7|6|5|4|3|2))"
    r"|(?:[Nn]o|NO|[Oo]mit|OMIT)\.?(?P<no>[b#]?(?:13|11|9|7|6|5|4|3|2|1))(?:rd|th|st)?"
    r"|(?P<half>hdim|ø)|(?P<dim>[Dd]im|DIM|o)|(?P<aug>[Aa]ug|AUG)|(?P<alt>[Aa]lt|ALT)|(?P<dom>[Dd]om)|(?P<power>power)"
    r"|(?P<major>[Mm]ajor|MAJOR|[Mm]aj|MAJ|[Mm]a(?!dd|ug)|MA|j|\^)"
    r"|(?P<minor>[Mm]inor|MINOR|[Mm]in|MIN|[Mm]i|MI|m)|(?P<triad>M)"
    r"|(?P<sign>bb|[b#+-])(?P<degree>13|11|9|7|6|5|4|3|2)"
    r"|(?P<plus>\+)|(?P<minus>-)"
    r"|(?P<number>69|13|11|9|7|6|5|4|2)(?P<after>M(?!I)|[+-](?!\d))?"
)
_PLAIN = ("b5", "#5", "b9", "9", "#9", "11", "#11", "b13", "13")  # what a list says without "add"
_BASS = re.compile(
    r"[b#]*(?:1|2|3|7)|[b#]*[b#][46]|5|8|10|12"
)  # after a slash: a bass as Harte writes it; 9, 13, 4, b5 … are tensions
_LIST = re.compile(r"(\*?)([b#]*)(\d+)")


SUFFIXES = {
    "maj": "", "min": "m", "dim": "dim", "aug": "aug", "sus2": "sus2", "sus4": "sus4", "7": "7", "maj7": "maj7",
    "min7": "m7", "minmaj7": "m(maj7)", "dim7": "dim7", "hdim7": "m7b5", "maj6": "6", "min6": "m6", "9": "9",
    "maj9": "maj9", "min9": "m9", "5": "5",
}  # fmt: skip
# Names of exact chords that players know; any other is a quality with a list
_USUAL = (
    "7sus4", "9sus4", "13sus4", "maj7sus4", "7sus2", "add9", "madd9", "6/9", "m6/9", "11", "13", "m11", "m13", "maj13",
    "aug7", "aug9", "7b5", "maj7#5", "maj7b5", "m7b5(9)", "no3", "7no3", "7no5",
)  # fmt: skip


# Words that put tones at steps outright
_STEMS = {
    "half": {3: 3, 5: 6, 7: 10}, "dim": {3: 3, 5: 6}, "aug": {5: 8}, "plus": {5: 8}, "alt": {5: 8, 7: 10, 9: 15},
}  # fmt: skip


def plain_signs(text: str) -> str:
    """``text`` with one sign for each of ♭ ♯ △ ∆ Δ º ° Ø and the dashes."""
    return text.translate(_SIGNS)


def split_bass(suffix: str) -> tuple[str, str]:
    """A pop suffix without its bass, and the bass: a note name or a Harte interval after the last slash, else ""."""
    head, slash, tail = suffix.rpartition("/")
    if slash and head.count("(") == head.count(")") and (_BASS.fullmatch(tail) or re.fullmatch("[A-G][b#]{0,2}", tail)):
        return head, tail
    return suffix, ""


class _Tones:
    """Notes of a chord while its suffix is read, by scale step: 3 for the third or what is suspended in its place."""

    def __init__(self) -> None:
        self.steps: dict[int, set[int]] = {1: {0}, 3: {4}, 5: {7}}
        self.major_seventh = self.diminished = False

    def put(self, step: int, *semitones: int) -> None:
        self.steps[step] = set(semitones)

    def add(self, step: int, semitones: int) -> None:
        self.steps.setdefault(step, set()).add(semitones)

    def drop(self, step: int) -> None:
        """Leave a step out; what is suspended stands at the third's place, a diminished seventh is a sixth too."""
        self.put(step)
        self.put(20 + step)
        if step in (2, 4, 6):
            self.steps.get(3 if step < 6 else 7, set()).discard(DEGREE_SEMITONES[str(step)])

    def alter(self, step: int, offset: int) -> None:
        """A fifth, ninth, … with a sharp or flat takes the place of the natural one."""
        natural = DEGREE_SEMITONES[str(step)]
        self.steps.get(step, set()).discard(natural)
        self.add(step, natural + offset)

    def seventh(self) -> None:
        if not self.steps.get(7):
            self.put(7, 11 if self.major_seventh else 9 if self.diminished else 10)

    def figure(self, number: int) -> None:
        """Stack 7, 9, 11 or 13; the natural eleventh below a thirteenth only where the third is minor."""
        self.seventh()
        for step in (9, 11, 13):
            if step <= number and not (step == 11 and number == 13 and self.steps.get(3) != {3}):
                self.steps.setdefault(step, {DEGREE_SEMITONES[str(step)]})

    def intervals(self) -> tuple[int, ...] | None:
        notes = [note for step in self.steps.values() for note in step]
        return normal_intervals(notes) if notes else None


def read_suffix(text: str) -> tuple[int, ...] | None:
    """Semitones above the root that a pop suffix without its bass says, in rising order; None where it is no suffix.

    ``alt`` is read as its usual voicing, #5 and #9.

    Example:
        >>> read_suffix("7b9b13"), read_suffix("m7(11)"), read_suffix("maj"), read_suffix("hello")
        ((0, 4, 7, 10, 13, 20), (0, 3, 7, 10, 17), (0, 4, 7), None)
    """
    text = plain_signs(text)
    if text == "1":
        return (0,)
    if not _is_balanced(text):
        return None
    tones, at, listed, depth, figured, first = _Tones(), 0, False, 0, False, True
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            return None
        at = token.end()
        kind = (
            token.lastgroup
            if token.lastgroup not in ("degree", "after")
            else {"degree": "sign", "after": "number"}[token.lastgroup]
        )
        value = token[kind] if kind else ""
        if kind == "mark":
            depth += {"(": 1, ")": -1}.get(value, 0)
            listed = depth > 0 or value in "/,"
            continue
        if kind == "number":
            if not _number(tones, token["number"], token["after"] or "", listed, figured):
                return None
            figured = figured or not listed
        elif not _word(tones, kind or "", value, token["degree"], first):
            return None
        first = False
    return tones.intervals()


def _is_balanced(text: str) -> bool:
    depth = 0
    for sign in text:
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth < 0:
            return False
    return depth == 0 and "()" not in text and not text.endswith(("/", ","))


def _word(tones: _Tones, kind: str, value: str, degree: str | None, first: bool) -> bool:
    """Take in a token that is no bare number; False where it cannot stand there."""
    if kind in _STEMS:
        for step, tone in _STEMS[kind].items():
            tones.put(step, tone)
        tones.diminished |= kind == "dim"
    elif kind in ("major", "triad"):
        tones.major_seventh = True
        if value == "^" or tones.steps.get(7):
            tones.put(7, 11)
    elif kind == "minor" or kind == "minus":
        if tones.steps[3] != {4} or (kind == "minus" and not first):
            return False
        tones.put(3, 3)
    elif kind == "power":
        tones.put(3)
    elif kind == "sus":
        lowered = value.lower()
        tones.put(3, *([2] if "2" in lowered else []), *([5] if "4" in lowered or "2" not in lowered else []))
    elif kind == "add":
        tones.add(20 + int(value.lstrip("b#+-")), _sign_of(value))
    elif kind == "no":
        tones.drop(int(value.lstrip("b#")))
    elif kind == "sign":
        return _alter(tones, value, int(degree or 0), first)
    return True


def _alter(tones: _Tones, sign: str, degree: int, first: bool) -> bool:
    offset = {"b": -1, "-": -1, "bb": -2}.get(sign, 1)
    if first and degree != 5 and sign in "+-":  # C-9 is Cm9, C+9 an augmented ninth
        tones.put(*((3, 3) if sign == "-" else (5, 8)))
        return _number(tones, str(degree), "", False, False)
    if sign == "+" and degree == 7:
        tones.major_seventh = tones.steps[3] == {3}
        if not tones.major_seventh:
            tones.put(5, 8)
        tones.seventh()
    elif degree == 7:
        tones.put(7, 11 + min(offset, 0))
    elif degree in (5, 9, 11, 13):
        tones.alter(degree, offset)
    elif degree in (2, 4, 6):
        tones.add(20 + degree, DEGREE_SEMITONES[str(degree)] + offset)
    else:
        tones.put(3, 4 + offset)
    return True


def _number(tones: _Tones, number: str, after: str, listed: bool, figured: bool) -> bool:
    """Take in a number: the figure of the chord, or, in a list (parentheses, commas, slashes), one more tone."""
    over_suspension = figured and bool(tones.steps[3]) and not {3, 4} & tones.steps[3]  # C7sus13
    if listed and after in ("+", "-"):
        return number != "69" and _alter(tones, after, int(number), False)
    if after == "M":
        tones.major_seventh = True
    if number in ("6", "69") or (number == "9" and figured and 9 in tones.steps.get(6, ())):
        tones.put(6, 9) if number != "9" else None
        if number != "6":
            tones.add(9, 14)
    elif number == "7" or (tones.major_seventh and not tones.steps.get(7) and number in ("9", "11", "13")):
        tones.figure(int(number))
    elif number in ("9", "11", "13") and (listed or over_suspension):
        tones.alter(int(number), 0)
    elif number in ("2", "4"):
        suspends = tones.steps.get(3) == {4} and (number == "4" or not listed)
        tones.put(3, DEGREE_SEMITONES[number]) if suspends else tones.add(20 + int(number), DEGREE_SEMITONES[number])
    elif listed or figured:
        return False
    elif number == "5":
        if tones.steps[3] != {4}:
            return False
        tones.put(3)
    else:
        tones.figure(int(number))
    if after == "+":
        tones.put(5, 8)
    return after != "-" and (listed or over_suspension or not figured or number == "9")


def _sign_of(degree: str) -> int:
    return degree_semitones(degree.replace("+", "#").replace("-", "b"))


def read_harte(text: str) -> tuple[int, ...] | None:
    """Semitones above the root that a Harte chord says after its colon, without the bass; None where it is none.

    Pop suffixes are read as well. A b5 or #5 in the list takes the place of the shorthand's fifth, as annotators mean
    it, unless the list names 5 too.

    Example:
        >>> read_harte("7(#9)"), read_harte("min7(*5)"), read_harte("(1,b3,5)"), read_harte("x")
        ((0, 4, 7, 10, 15), (0, 3, 10), (0, 3, 7), None)
    """
    text = plain_signs(text)
    match = re.fullmatch(r"([^()]*)(?:\(([^()]*)\))?", text)
    if match is None or not text:
        return None
    short, items = match[1], match[2]
    own = _shorthand(short) if short else (0,)
    listed = [_LIST.fullmatch(item.strip()) for item in ("1" if items is None else items).split(",")]
    if own is None or None in listed:
        return None if own is None or not _is_balanced(text) else read_suffix(text)
    tones, degrees = set(own), [item[2] + item[3] for item in listed if item]
    try:
        for item, degree in zip(listed, degrees):
            tone = degree_semitones(degree)
            if item and item[1]:
                tones -= {i for i in tones if (i - tone) % 12 == 0}
                continue
            if degree in ("b5", "#5") and short and "5" not in degrees:
                tones.discard(7)
            tones.add(tone % 12 if tone < 0 or tone > 21 else tone)
    except ValueError:
        return None
    return normal_intervals(tones or {0})


def _shorthand(text: str) -> tuple[int, ...] | None:
    if text == "N":
        return None
    if text in QUALITY_INTERVALS:
        return quality_tones(text)
    return read_suffix(text)


def quality_tones(quality: str) -> tuple[int, ...]:
    """Intervals of a quality as ``normal_intervals`` gives them: the ninth of a ninth chord at 14."""
    own = QUALITY_INTERVALS[quality]
    return tuple(sorted(14 if i == 2 and len(own) == 5 else i for i in own))


def write_list(quality: str, intervals: Iterable[int]) -> str:
    """Harte's shorthand and list for ``intervals`` beside ``quality``: ``7(#9)``, ``7(*5,#5)``, ``min7``."""
    tones = tuple(intervals)
    if not tones:
        return quality
    missing, more, quality = _changes(quality, tones)
    return f"{quality}({','.join([f'*{name}' for name in missing] + more)})"


def _changes(quality: str, tones: tuple[int, ...]) -> tuple[list[str], list[str], str]:
    """Harte intervals that ``tones`` lack and that they add, beside the quality that is the third value."""
    if quality == "9" and 14 not in tones and 2 not in tones:  # G:7(13), which has the quality 9
        quality = "7"
    own = quality_tones(quality)
    missing = [degree_name(i, own) for i in own if i not in tones]
    return missing, [degree_name(i, tones) for i in tones if i not in own], quality


def write_suffix(quality: str, intervals: Iterable[int]) -> str:
    """Pop suffix of ``intervals`` beside ``quality``, which ``read_suffix`` reads as the same notes.

    Example:
        >>> write_suffix("7", (0, 4, 7, 10, 15)), write_suffix("9", (0, 4, 7, 10, 14, 21)), write_suffix("min7", ())
        ('7(#9)', '13', 'm7')
    """
    tones = tuple(intervals)
    if not tones:
        return SUFFIXES[quality]
    if tones in _usual():
        return _usual()[tones]
    missing, more, quality = _changes(quality, tones)
    altered = {"b5", "#5"} & set(more)  # which takes the place of the fifth by itself
    items = [f"no{name.lstrip('b#')}" for name in missing if not (name == "5" and altered)]
    beside = {name for name in more if name[0] in "b#" and DEGREE_SEMITONES[name[1:]] in tones}  # b9 where 9 sounds too
    items += [name if name in _PLAIN and name not in beside else f"add{name}" for name in more]
    return f"{SUFFIXES[quality]}({','.join(items)})"


@cache
def _usual() -> dict[tuple[int, ...], str]:
    """Names of _USUAL by their intervals."""
    return {tones: name for name in _USUAL if (tones := read_suffix(name))}
