"""MusicXML's <harmony>: root, kind, degrees, bass, or a function in the key → a chord of exactly those tones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from musetune.symbols.chord import NO_CHORD, Chord
from musetune.symbols.key import Key
from musetune.symbols.limits import fraction, shorten
from musetune.symbols.names import LETTERS, pitch_class, transpose_name
from musetune.symbols.qualities import degree_name
from musetune.symbols.remarks import remark

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

# kind → semitones above the root by scale degree
MAJOR, MINOR, DIMINISHED, AUGMENTED = ({1: 0, 3: t, 5: f} for t, f in ((4, 7), (3, 7), (3, 6), (4, 8)))
NINTH, ELEVENTH, THIRTEENTH = {9: 14}, {9: 14, 11: 17}, {9: 14, 11: 17, 13: 21}
SEVENTHS = {"dominant": MAJOR | {7: 10}, "major": MAJOR | {7: 11}, "minor": MINOR | {7: 10}}
KINDS = {
    "major": MAJOR,
    "minor": MINOR,
    "augmented": AUGMENTED,
    "diminished": DIMINISHED,
    "power": {1: 0, 5: 7},
    "dominant": SEVENTHS["dominant"],
    "major-seventh": SEVENTHS["major"],
    "minor-seventh": SEVENTHS["minor"],
    "diminished-seventh": DIMINISHED | {7: 9},
    "augmented-seventh": AUGMENTED | {7: 10},
    "half-diminished": DIMINISHED | {7: 10},
    "major-minor": MINOR | {7: 11},
    "major-sixth": MAJOR | {6: 9},
    "minor-sixth": MINOR | {6: 9},
    **{
        f"{name}-{size}": tones | more
        for name, tones in SEVENTHS.items()
        for size, more in (("ninth", NINTH), ("11th", ELEVENTH), ("13th", THIRTEENTH))
    },
    "suspended-second": {1: 0, 2: 2, 5: 7},
    "suspended-fourth": {1: 0, 4: 5, 5: 7},
    "Neapolitan": MAJOR,
    "Italian": {1: 0, 3: 4, 7: 10},
    "French": {1: 0, 3: 4, 5: 6, 7: 10},
    "German": MAJOR | {7: 10},
    "Tristan": {1: 0, 3: 3, 5: 6, 7: 10},
    # as some programs write them
    "min": MINOR,
    "aug": AUGMENTED,
    "dim": DIMINISHED,
    "maj7": SEVENTHS["major"],
    "min7": SEVENTHS["minor"],
    "maj69": MAJOR | {6: 9, 9: 14},
    "dominant-seventh": SEVENTHS["dominant"],
    "half-diminished-seventh": DIMINISHED | {7: 10},
    "minor-major-seventh": MINOR | {7: 11},
    "minor-major": MINOR | {7: 11},
    "augmented-ninth": AUGMENTED | {7: 10, 9: 14},
    "suspended-fourth-seventh": {1: 0, 4: 5, 5: 7, 7: 10},
}
SCALE = {
    1: 0,
    2: 2,
    3: 4,
    4: 5,
    5: 7,
    6: 9,
    7: 10,
    8: 12,
    9: 14,
    10: 16,
    11: 17,
    12: 19,
    13: 21,
}  # an added seventh is minor


@dataclass(frozen=True)
class Symbol:
    """A chord symbol: its ``chord``, or the numeral that names it in the ``key`` at its place, or why it is neither."""

    chord: Chord | None = None
    numeral: str = ""
    tones: tuple[tuple[int, int], ...] = ()  # of a numeral whose kind says more than it
    where: str = ""
    why: str = ""

    def chord_in(self, key: Key) -> Chord | None:
        """The chord; None for a symbol that cannot be read, which is remarked with its place and the reason."""
        if self.chord is not None:
            return self.chord
        try:
            if self.why:
                raise ValueError(self.why)
            chord = Chord.parse(self.numeral, key)
            return chord if not self.tones or chord.root is None else chord_of(chord.root, dict(self.tones), chord.bass)
        except ValueError as error:
            remark(f"{self.where}: the chord symbol {self} could not be read, none is taken to be there: {error}")
            return None

    def same_as(self, other: Symbol) -> bool:
        """Whether both say the same, wherever they stand."""
        return (self.chord, self.numeral, self.tones) == (other.chord, other.numeral, other.tones)

    def __str__(self) -> str:
        return self.chord.harte if self.chord is not None else repr(shorten(self.numeral or "?"))


def symbol_of(harmony: Element, semitones: int, where: str) -> Symbol:
    """The symbol in a <harmony>, ``semitones`` from written to sounding. where: its place, for a remark."""
    try:
        return _symbol(harmony, semitones, where)
    except ValueError as error:
        return Symbol(numeral=_printed_text(harmony), where=where, why=str(error))


def _symbol(harmony: Element, semitones: int, where: str) -> Symbol:
    functions = [(item.text or "").strip() for item in harmony.findall("function")]
    if functions:
        tones = _tones(harmony)
        numeral = "/".join(functions)
        figure = numeral.rstrip("/").partition("/")[0]
        own = (
            tones
            if figure.rstrip("iIvVb#♭♯") == "" and (harmony.findtext("kind") or "").strip() not in ("", "none", "other")
            else {}
        )
        return Symbol(numeral=numeral, tones=tuple(own.items()), where=where)
    if harmony.find("numeral") is not None:
        return _numeral_symbol(harmony, where)
    roots = harmony.findall("root")
    kind = (harmony.findtext("kind") or "").strip()
    if kind == "none":
        return Symbol(NO_CHORD)
    if not roots:
        raise ValueError("it has no root")
    if len(roots) > 1:
        remark(f"{where}: of a chord over a chord ({_printed_text(harmony)}) the lower one is read")
    root = transpose_name(_note(roots[-1], "root"), semitones)
    below = harmony.find("bass")
    bass = None if below is None else transpose_name(_note(below, "bass"), semitones)
    kinds = harmony.findall("kind")
    return Symbol(_chord_on(root, kinds[-1] if kinds else None, harmony, bass, where))


def _chord_on(root: str, kind: Element | None, harmony: Element, bass: str | None, where: str) -> Chord:
    """The chord on ``root``."""
    name = (kind.text or "").strip() if kind is not None else "major"
    text = (kind.get("text") or "").strip() if kind is not None else ""
    slash = "1" if bass is None else _interval(root, bass)
    if name in ("other", ""):
        if text or harmony.find("degree") is None:
            if not text and name == "other":
                remark(f"{where}: the symbol on {root} is of a kind that is not said; it is read as {root} major")
            parsed = Chord.parse(root + text)
            return parsed if bass is None else Chord.parse(f"{root}{text}/{bass}")
        return chord_of(root, _alter({1: 0}, harmony), slash)
    if name == "pedal":
        remark(f"{where}: the pedal on {root} is read as the note alone, with its fifth")
        return chord_of(root, {1: 0, 5: 7}, slash)
    tones = _tones(harmony)
    inversion = _number(harmony.findtext("inversion"))
    if bass is None and 0 < inversion < len(tones):
        slash = _interval_name(sorted(tones.items(), key=lambda pair: pair[1])[inversion][1])
    return chord_of(root, tones, slash)


def _tones(harmony: Element) -> dict[int, int]:
    """Scale degree → semitones of the kind with its degrees. Raises ValueError for a kind that is none."""
    kinds = harmony.findall("kind")
    name = (kinds[-1].text or "").strip() if kinds else "major"
    if name in ("none", "other", ""):
        return {}
    if name not in KINDS:
        raise ValueError(f"its kind {shorten(name)!r} is none of MusicXML's")
    return _alter(dict(KINDS[name]), harmony)


def _alter(tones: dict[int, int], harmony: Element) -> dict[int, int]:
    """``tones`` with the <degree>s: an alteration is relative to the kind's own degree, an added one to a dominant
    chord.
    """
    for degree in harmony.findall("degree"):
        number, alter = _number(degree.findtext("degree-value")), _number(degree.findtext("degree-alter"))
        change = (degree.findtext("degree-type") or "add").strip()
        if number not in SCALE:
            raise ValueError(f"its degree {number} is outside 1–13")
        if change == "subtract":
            tones.pop(number, tones.pop(number - 7, None) if number > 7 else None)
        elif change == "alter" and number in tones:
            tones[number] += alter
        elif change == "add" and number in tones and tones[number] != SCALE[number] + alter:
            tones[-number] = SCALE[number] + alter  # beside the one that is there: b9 and #9
        else:
            tones[number] = SCALE[number] + alter
    return tones


def chord_of(root: str, tones: dict[int, int], bass: str = "1") -> Chord:
    """The chord on ``root`` of exactly these ``tones``, scale degree → semitones."""
    return Chord.from_intervals(root, sorted({step % 12 if step < 0 else step for step in tones.values()}), bass)


def degrees_of(chord: Chord, kind: str) -> list[tuple[str, int, int]]:
    """(type, degree, alteration) of the <degree>s that make a chord of ``kind`` the exact ``chord``.

    Example:
        >>> degrees_of(Chord.parse("C7(b5,#9)"), "dominant")
        [('alter', 5, -1), ('add', 9, 1)]
    """
    if not chord.intervals:
        return []
    base, sounding = KINDS[kind], {step % 12 for step in chord.intervals}
    missing = {degree: step for degree, step in base.items() if step % 12 not in sounding}
    there = {step % 12 for step in base.values()}
    out = []
    for step in chord.intervals:
        if step % 12 in there:
            continue
        number = int(degree_name(step, chord.intervals).lstrip("b#"))
        if number in missing:
            out.append(("alter", number, step - missing.pop(number)))
        else:
            out.append(("add", number, step - SCALE[number]))
    return [("subtract", degree, 0) for degree in missing] + out


def _interval(root: str, bass: str) -> str:
    return _interval_name((pitch_class(bass) - pitch_class(root)) % 12)


def _interval_name(step: int) -> str:
    return ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")[step % 12]


def _note(item: Element, what: str) -> str:
    """The name of a root or bass. Raises ValueError for none."""
    step, alter = (item.findtext(f"{what}-step") or "").strip(), _number(item.findtext(f"{what}-alter"))
    if step not in LETTERS or abs(alter) > 2:
        raise ValueError(f"its {what} {shorten(step)!r} is no letter A–G with at most two accidentals")
    return step + ("#" * alter if alter > 0 else "b" * -alter)


def _numeral_symbol(harmony: Element, where: str) -> Symbol:
    """A symbol of scale number, alteration and kind (MusicXML 4.0's <numeral>)."""
    number, alter = (_number(harmony.findtext(f"numeral/numeral-{tag}")) for tag in ("root", "alter"))
    if not 1 <= number <= 7 or abs(alter) > 2:
        raise ValueError(f"its numeral {number} is outside 1–7")
    marks = "#" * alter if alter > 0 else "b" * -alter
    roman = ("I", "II", "III", "IV", "V", "VI", "VII")[number - 1]
    return Symbol(numeral=marks + roman, tones=tuple(_tones(harmony).items()), where=where)


def _number(text: str | None) -> int:
    return round(float(fraction(text))) if text is not None and text.strip() else 0


def _printed_text(harmony: Element) -> str:
    """What the symbol says, for a remark."""
    words = [
        (item.text or "").strip() for item in harmony.iter() if not len(item) and item.tag not in ("offset", "staff")
    ]
    kind = harmony.find("kind")
    text = "" if kind is None else kind.get("text") or ""
    return shorten(" ".join(word for word in [*words, text] if word))
