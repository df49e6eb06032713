"""TAVERN's variations by Mozart and Beethoven with their analyses: Humdrum files of a phrase each, a column of numerals.

J. Devaney, C. Arthur, N. Condit-Schultz, K. Nisula: Theme And Variation Encodings with Roman Numerals, ISMIR 2015;
https://github.com/jcdevaney/TAVERN, CC BY-SA 4.0.
"""

from __future__ import annotations

import re
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import groupby
from pathlib import Path

from music21 import converter
from music21.exceptions21 import Music21Exception

from musetune.datasets.numerals.labels import Label, label_of
from musetune.formats.scores import read_score
from musetune.symbols.remarks import collected
from musetune.symbols.score import Score

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


def read_variation(phrases: list[Path]) -> tuple[Score, list[Label]]:
    """The score of a theme or variation and its labels, from the files of its phrases.

    Raises:
        ValueError: The phrases do not fit together, or what is analysed is not as long as what is written.
    """
    rows = [_rows(path) for path in phrases]
    labels, length = _labels(rows)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        try:
            stream = converter.parse(_notes(rows), format="humdrum", forceSource=True)
            written = Path(stream.write("musicxml", Path(folder) / "score.musicxml"))
        except (Music21Exception, AttributeError, IndexError, TypeError, KeyError) as error:
            raise ValueError(f"{phrases[0].name}: music21 cannot read it: {error}") from error
        with collected():
            score = read_score(written, repeats=False)
    sounding = Fraction(stream.highestTime).limit_denominator(96)
    if abs(sounding - length) > Fraction(1, 2):
        raise ValueError(f"{phrases[0].name}: {float(sounding)} quarters of notes, {float(length)} of analysis")
    return score, labels


def _rows(path: Path) -> list[list[str]]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("!!")]


def _notes(phrases: list[list[list[str]]]) -> str:
    """One Humdrum file of the columns of notes; later phrases without their heads."""
    out: list[str] = []
    width = len(phrases[0][0])
    for number, rows in enumerate(phrases):
        if len(rows[0]) != width:
            raise ValueError("phrases of different numbers of staves")
        music = False
        for row in rows:
            music |= not row[0].startswith(("*", "!"))
            spines = any(token in ("*^", "*v", "*-") for token in row)
            if row[0] == "*-" or (number and not music and not spines):
                continue
            out.append("\t".join(row[2:]))
    return "\n".join([*out, "\t".join(["*-"] * (width - 2))]) + "\n"


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
    return "/".join([_accidental(match["accidental"]) + match["numeral"] + quality + figures, *map(_accidental, targets)])


def _accidental(text: str) -> str:
    return text.replace("-", "b")
