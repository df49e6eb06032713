"""TAVERN's variations by Mozart and Beethoven with their analyses: Humdrum files of a phrase each.

J. Devaney, C. Arthur, N. Condit-Schultz, K. Nisula: Theme And Variation Encodings with Roman Numerals, ISMIR 2015;
https://github.com/jcdevaney/TAVERN, CC BY-SA 4.0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import groupby
from pathlib import Path

from musetune.datasets.numerals.labels import Label, label_of
from musetune.symbols.beat_grid import BeatGrid
from musetune.symbols.key import Key
from musetune.symbols.meter import Meter
from musetune.symbols.score import Score
from musetune.symbols.spans import KeySpan, MeterSpan, Note
from musetune.symbols.timeline import beats_of

PHRASE = re.compile(r"(?P<variation>.+_\d+)_\d+[a-z]*_a\.krn")
TOKEN = re.compile(r"(?P<duration>\d+\.*)?(?P<figure>.*)")
FIGURE = re.compile(
    r"(?P<accidental>[-#]?)(?P<numeral>[ivIV]+)(?P<quality>[o+]?)(?P<seventh>D7|m7|M7|7)?(?P<ninth>m9|9)?(?P<inversion>[bcd]?)"
)
SPECIAL = {"Cc": "Cad64", "Gn": "Ger65", "Lt": "It6", "Fr": "Fr43", "Nb": "bII6", "N": "bII"}
INVERSIONS = {False: {"": "", "b": "6", "c": "64"}, True: {"": "7", "b": "65", "c": "43", "d": "42"}}


def variations(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """(name, files of its phrases in order) of each theme and variation, as the first analyst read them."""
    files = sorted(path for path in folder.rglob("*_a.krn") if PHRASE.fullmatch(path.name))

    def name_of(path: Path) -> str:
        match = PHRASE.fullmatch(path.name)
        assert match is not None
        return f"{path.parts[-4]}/{path.parts[-3]}/{match['variation']}"

    for name, phrases in groupby(files, name_of):
        yield name, list(phrases)


@dataclass
class Writing:
    """What is read of the columns of notes, places and lengths in quarters.

    Args:
        notes: (start, length, name) of each, the name as in Humdrum: "cc#", "BB-".
        meter: Time signature.
        signature: Sharps, flats below 0.
        bars: Places of the bar lines.
        end: Where the last row ends.
    """

    notes: list[tuple[Fraction, Fraction, str]] = field(default_factory=list)
    meter: tuple[int, int] = (4, 4)
    signature: int = 0
    bars: list[Fraction] = field(default_factory=list)
    end: Fraction = Fraction(0)


def read_variation(phrases: list[Path]) -> tuple[Score, list[Label]]:
    """The score of a theme or variation and its labels, from the files of its phrases.

    Raises:
        ValueError: A file is broken, has another meter than the first, or what is analysed is not as long as what is
            written.
    """
    rows = [_rows(path) for path in phrases]
    labels, length = _labels(rows)
    writing = Writing()
    for number, phrase in enumerate(rows):
        meter = writing.meter
        _read_notes(phrase, writing)
        if number and writing.meter != meter:
            raise ValueError(f"{phrases[number].name}: {writing.meter} after {meter}")
    if abs(writing.end - length) > Fraction(1, 2):
        raise ValueError(f"{phrases[0].name}: {float(writing.end)} quarters of notes, {float(length)} of analysis")
    return _score(writing), labels


def _rows(path: Path) -> list[list[str]]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("!")]


def _read_notes(rows: list[list[str]], into: Writing) -> None:
    """Read the columns from the third on; a row lasts until the shortest of its notes ends."""
    at, ends = into.end, [into.end] * (len(rows[0]) - 2)
    tied: dict[str, int] = {}
    for row in rows:
        tokens = row[2:]
        if row[0].startswith("*"):
            _read_interpretation(tokens, into)
            ends = _spines(tokens, ends)
        elif row[0].startswith("="):
            into.bars.append(max(at, min(ends)))
        else:
            if len(tokens) != len(ends):
                raise ValueError(f"{len(tokens)} columns of notes where {len(ends)} are open")
            fresh = [i for i, token in enumerate(tokens) if token != "." and "q" not in token.lower()]
            at = min((ends[i] for i in fresh), default=at)
            for column in fresh:
                ends[column] = at + _read_token(tokens[column], at, tied, into)
    into.end = max(ends)


def _read_interpretation(tokens: list[str], into: Writing) -> None:
    for token in tokens:
        if match := re.fullmatch(r"\*M(\d+)/(\d+)", token):
            into.meter = (int(match[1]), int(match[2]))
        elif match := re.fullmatch(r"\*k\[(.*)\]", token):
            into.signature = match[1].count("#") - match[1].count("-")


def _spines(tokens: list[str], ends: list[Fraction]) -> list[Fraction]:
    """Where each column ends after columns part (*^) and meet (*v)."""
    out: list[Fraction] = []
    meeting = False
    for token, end in zip(tokens, ends):
        if token == "*v" and meeting:
            out[-1] = max(out[-1], end)
            continue
        meeting = token == "*v"
        out += [end, end] if token == "*^" else [end]
    return out


def _read_token(token: str, at: Fraction, tied: dict[str, int], into: Writing) -> Fraction:
    """Add the notes of a token; how long it lasts."""
    length = Fraction(0)
    for part in token.split(" "):
        value, name = re.search(r"(\d+)(\.*)", part), re.search(r"([A-Ga-g])\1*[#-]*", part)
        if value is None:
            continue
        whole = Fraction(8) if value[1] == "0" else Fraction(4, int(value[1]))
        length = whole * (2 - Fraction(1, 2 ** len(value[2])))
        if name is None:
            continue
        if ("_" in part or "]" in part) and name[0] in tied:
            start, before, _ = into.notes[tied[name[0]]]
            into.notes[tied[name[0]]] = (start, before + length, name[0])
        else:
            into.notes.append((at, length, name[0]))
            tied[name[0]] = len(into.notes) - 1
        if "[" not in part and "_" not in part:
            tied.pop(name[0], None)
    return length


def _score(writing: Writing) -> Score:
    """The notes as a score; notes that sound at once are in voices of their own."""
    meter = Meter(*writing.meter)
    bar = meter.beats_per_bar * meter.beat_quarters
    at = beats_of([(Fraction(0), meter)])
    first = next((line for line in writing.bars if 0 < line < bar), Fraction(0))
    voices: list[list[tuple[Note, int]]] = []
    for start, length, name in sorted(writing.notes):
        note = Note(at(start), at(start + length) - at(start), _pitch(name))
        voice = next((v for v in voices if v[-1][0].start + v[-1][0].beats <= note.start), None)
        if voice is None:
            voices.append(voice := [])
        voice.append((note, _fifths(name)))
    sharps = writing.signature
    tonic = "FCGDAEB"[(sharps + 1) % 7] + ("#" * ((sharps + 1) // 7) if sharps > 0 else "b" * -((sharps + 1) // 7))
    length = at(writing.end)
    return Score(
        voices=tuple(tuple(note for note, _ in voice) for voice in voices),
        names=("",) * len(voices),
        percussion=(),
        meters=(MeterSpan(Fraction(0), meter),),
        signatures=(KeySpan(Fraction(0), Key(tonic)),),
        grid=BeatGrid.constant(bpm=100, n_beats=int(length) + 1),
        length=length,
        first_downbeat=at(first),
        fifths=tuple(tuple(fifths for _, fifths in voice) for voice in voices),
    )


def _pitch(name: str) -> int:
    letters = name.rstrip("#-")
    octave = 4 + len(letters) - 1 if letters[0].islower() else 4 - len(letters)
    step = (0, 2, 4, 5, 7, 9, 11)["CDEFGAB".index(letters[0].upper())]
    return 12 * (octave + 1) + step + name.count("#") - name.count("-")


def _fifths(name: str) -> int:
    return "FCGDAEB".index(name[0].upper()) - 1 + 7 * (name.count("#") - name.count("-"))


def _labels(phrases: list[list[list[str]]]) -> tuple[list[Label], Fraction]:
    """Labels at their places in quarters, and where the last one ends."""
    at, key, out = Fraction(0), "C", []
    for rows in phrases:
        for row in rows:
            if match := re.fullmatch(r"\*([A-Ga-g])([-#]?):", row[1]):
                key = match[1] + match[2]
            if row[1].startswith(("*", "!", "=")) or row[1] == ".":
                continue
            token = TOKEN.fullmatch(row[1].strip("()[]{}"))
            if token is None or not token["duration"]:
                raise ValueError(f"numeral {row[1]!r} has no duration")
            label = label_of((roman_text(token["figure"]), key))
            if label is not None:
                out.append(replace(label, start=at))
            number = token["duration"].rstrip(".")
            dots = len(token["duration"]) - len(number)
            at += Fraction(8 if number == "0" else 4) / (int(number) or 1) * (2 - Fraction(1, 2**dots))
    return out, at


def roman_text(figure: str) -> str:
    """A numeral of **harm in RomanText; "" for what has no chord.

    Example:
        >>> roman_text("V7b/ii"), roman_text("viioD7"), roman_text("iiom7b"), roman_text("Cc")
        ('V65/ii', 'viio7', 'iiø65', 'Cad64')
    """
    head, *targets = re.sub(r"\[.*?\]", "", figure).split("/")
    if head in SPECIAL:
        return "/".join([SPECIAL[head], *map(_accidental, targets)])
    match = FIGURE.fullmatch(head)
    if match is None:
        return ""
    seventh, quality = match["seventh"] or "", match["quality"]
    if seventh == "m7" and quality == "o":
        quality = "ø"
    figures = INVERSIONS[bool(seventh or match["ninth"])].get(match["inversion"])
    if figures is None:
        return ""
    return "/".join(
        [_accidental(match["accidental"]) + match["numeral"] + quality + figures, *map(_accidental, targets)]
    )


def _accidental(text: str) -> str:
    return text.replace("-", "b")
