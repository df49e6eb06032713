"""The words of a chart as they are written: where each stands in the text, which chord it names. No gradio here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from musetune.formats.chart_text import pop_name
from musetune.symbols import Chord, Key

LINE, CHORD, HOLD, MARK, WRONG = "line", "chord", "hold", "mark", "wrong"  # kinds of words
_WORD = re.compile(
    r"(?P<mark>\[[^\[\]|]*\])"
    r"|(?P<line>:?\[?[|│¦‖𝄀𝄁𝄂𝄆𝄇]+\]?:?(?:[ \t]*\(?[x×]\d+\)?(?=[\s|]|$)|\d+(?:[.,-]\d+)*[.,]?(?=\s|$))?)"
    r"|(?P<word>(?:\([^()|]*\)|(?!:\|)[^\s|│¦‖,;])+)"
)
_METER = re.compile(r"=?\d{1,4}/\d{1,4}")
_HOLDS = frozenset({".", "/", "%", "𝄎"})


@dataclass(frozen=True)
class ChartWord:
    """A word of a chart.

    Attributes:
        text: as written.
        start: where it begins in the chart, characters.
        kind: ``line`` (a bar line, with what repeats), ``chord``, ``hold`` (``.``, ``/`` or ``%``), ``mark`` (a section
            or a meter), ``wrong`` (what names no chord).
        chord: of a ``chord``.
        relative: whether the chord is written as a degree of the key: ``ii7``, not ``Dm7``.
    """

    text: str
    start: int
    kind: str
    chord: Chord | None = None
    relative: bool = False

    @property
    def end(self) -> int:
        """Where it ends in the chart, characters."""
        return self.start + len(self.text)


def chart_words(text: str, key: Key) -> list[ChartWord]:
    """Split a chart into its words, as `LeadSheet.parse` reads it.

    Args:
        text: the chart; what cannot be read is a word too.
        key: what degrees count from.

    Example:
        >>> [(word.text, word.kind, word.relative) for word in chart_words("| C . V7/V | x9", Key("C"))][1:4]
        [('C', 'chord', False), ('.', 'hold', False), ('V7/V', 'chord', True)]
    """
    return [_word(match, key) for match in _WORD.finditer(text)]


def _word(match: re.Match[str], key: Key) -> ChartWord:
    text, start = match[0], match.start()
    if match["word"] is None:
        return ChartWord(text, start, LINE if match["line"] else MARK)
    if text in _HOLDS:
        return ChartWord(text, start, HOLD)
    if _METER.fullmatch(text):
        return ChartWord(text, start, MARK)
    name = text if len(text) == 1 else text.removesuffix("?")
    try:
        chord = Chord.parse(name, key)
    except ValueError:
        return ChartWord(text, start, WRONG)
    return ChartWord(text, start, CHORD, chord, not _is_absolute(name))


def _is_absolute(name: str) -> bool:
    """Whether a chord is named by its notes."""
    try:
        Chord.parse(name)
    except ValueError:
        return False
    return True


def transpose_chart(text: str, key: Key, semitones: int, *, key_stays: bool = False) -> tuple[str, Key]:
    """Move a chart and its key; degrees stay as they are, since the key moves under them.

    Args:
        text: the chart; all but its chords stays as written.
        key: what it stands in.
        semitones: how far up; below 0 down.
        key_stays: move the chords alone; degrees become names of chords.

    Returns:
        The chart, and the key that it stands in now.

    Example:
        >>> transpose_chart("| C  A:min7 | V7/V |", Key("C"), 2)
        ('| D  B:min7 | V7/V |', Key(tonic='D', mode='major'))
    """
    out, at = [], 0
    for word in chart_words(text, key):
        if word.chord is None or (word.relative and not key_stays) or word.chord.root is None:
            continue
        moved = word.chord.transpose(semitones, key)
        name = moved.harte if ":" in word.text else pop_name(moved)
        out += [text[at : word.start], name + "?" * word.text.endswith("?")]
        at = word.end
    return "".join([*out, text[at:]]), key if key_stays else key.transpose(semitones)
