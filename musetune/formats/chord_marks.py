"""Which of a file's marks are chord symbols: those that look like one as a whole, in a file whose marks are chords."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction

from musetune.symbols.chord import Chord
from musetune.symbols.limits import CHORDS, check_count, shorten
from musetune.symbols.remarks import remark

Mark = tuple[Fraction, str]  # place in beats, text
LETTER = re.compile(r"[A-H][1-48]?'{0,2}")  # A, B2, C': a part of the form as often as a chord
SYMBOL = re.compile(
    r"[A-H](?:#|b|♯|♭|m|M|maj|min|dim|aug|sus|add|alt|\d|[-+°øoΔ△∆^/(:])\S*"
)  # what means to be a chord
UNREAD = None  # the place of a symbol that could not be read: nothing is known to sound there


def chords_of(
    marks: Sequence[Mark], agrees: Callable[[Fraction, Chord], bool | None], what: str
) -> list[tuple[Fraction, Chord | None]]:
    """(beat, chord) of the ``marks`` that are chord symbols, UNREAD where one is meant that cannot be read, which is
    remarked.

    A letter alone, or with a small number, is a rehearsal mark unless the other marks are chord symbols beyond doubt
    or, where all are such letters, they are not the first of the alphabet and the notes agree. agrees: whether a
    chord sounds from a beat on; None without notes. what: the marks' name in a remark."""
    if not marks:
        return []
    read = {text: _parse(text) for text in {text for _, text in marks}}
    sure = [mark for mark in marks if isinstance(read[mark[1]], Chord) and not LETTER.fullmatch(mark[1])]
    letters = [mark for mark in marks if LETTER.fullmatch(mark[1])]
    chordal = 2 * len(sure) >= len(letters) if sure else _letters_are_chords(letters, read, agrees)
    out: list[tuple[Fraction, Chord | None]] = []
    for at, text in marks:
        chord = read[text]
        if isinstance(chord, Chord):
            if chordal or not LETTER.fullmatch(text):
                out.append((at, chord))
        elif sure and SYMBOL.fullmatch(text):
            remark(f"the {what} {shorten(text)!r} at beat {float(at):g} means a chord and could not be read: {chord}")
            out.append((at, UNREAD))
    check_count("chord symbols", len(out), CHORDS)
    return out


def _parse(text: str) -> Chord | str:
    """The chord, or why it is none."""
    if text in ("", "X", "x") or len(text) > 40:
        return "it is no name of a chord"
    try:
        return Chord.parse(text)
    except ValueError as error:
        return str(error)


def _letters_are_chords(
    letters: Sequence[Mark], read: dict[str, Chord | str], agrees: Callable[[Fraction, Chord], bool | None]
) -> bool:
    """Whether marks that are all single letters mean chords."""
    names = {text[0] for _, text in letters}
    first_letters = names == set("ABCDEFGH"[: len(names)])
    answers = [agrees(at, chord) for at, text in letters if isinstance(chord := read[text], Chord)]
    if any(answer is None for answer in answers):
        return not first_letters and any(len(text) == 1 for _, text in letters)
    share = sum(map(bool, answers)) / max(len(answers), 1)
    return (share == 1 and len(answers) >= 4) if first_letters else share >= 2 / 3
