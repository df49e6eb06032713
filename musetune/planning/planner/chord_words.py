"""Chords that a prompt writes out: "with the chords I V vi IV", "a song on Am F C G"."""

from __future__ import annotations

import re

from musetune.symbols import Key, LeadSheet
from musetune.symbols.remarks import remark

LEAST = 3  # chords in a row that are a progression; two where the prompt calls them chords
_SUFFIX = r"(?:maj|min|dim|aug|sus|add|mM|M|m|o|ø|°|\+|-(?=\d)|[b#]?\d{1,2}|\([b#\d,]+\))*"
_NAME = rf"[A-G][#b♯♭]?{_SUFFIX}(?:/[A-G][#b♯♭]?)?"
_NUMERAL = r"[b#♭♯]?(?:VII|VI|IV|V|III|II|I|vii|vi|iv|v|iii|ii|i)(?:maj7|m7b5|dim7?|aug|sus[24]|°7?|o7?|ø7?|\+|[679])?"
_GAP = r"(?:\s*[-–—|,>→]+\s*|\s+)"
_CALLED = re.compile(r"\b(?:chords?|progression|changes|loop(?: of)?|over|vamp(?: on)?)\b", re.IGNORECASE)
_ROWS = tuple(
    re.compile(rf"(?<![\w#/♭♯-]){one}(?:{_GAP}{one}){{{LEAST - 2},63}}(?![\w#♭♯])") for one in (_NAME, _NUMERAL)
)
_FORM = re.compile(r"[A-H]")


def chords_in(prompt: str) -> str | None:
    """The progression that a prompt writes out, as `LeadSheet.from_progression` reads it; None where there is none.

    Letters that are a form, and "I" at the beginning of a sentence, are no chords. What looks like a progression and
    cannot be read is left out with a remark.

    Example:
        >>> chords_in("a song with Am F C G"), chords_in("pop with the chords I V vi IV, 8 bars")
        ('Am F C G', 'I V vi IV')
        >>> chords_in("A B A form"), chords_in("I want I don't know what") is None
        (None, True)
    """
    for one, row in zip((_NAME, _NUMERAL), _ROWS, strict=True):
        for match in row.finditer(prompt):
            chords = re.findall(one, match[0])
            if not _is_progression(chords, prompt[max(0, match.start() - 40) : match.start()], prompt[match.end() :]):
                continue
            text = " ".join(chords).replace("♯", "#").replace("♭", "b")
            try:
                LeadSheet.from_progression(text, key=Key("C"))  # letters say their key themselves
            except ValueError as error:
                remark(f"the chords {match[0]!r} of the prompt are left out: {error}")
                return None
            return text
    return None


def _is_progression(chords: list[str], before: str, after: str) -> bool:
    """Whether several chords in a row are meant as such, by what stands before and after them."""
    called = _CALLED.search(before) is not None or re.match(r"\s*(?:chords?|progression|changes|loop|vamp)\b", after)
    if len(chords) < (2 if called else LEAST):
        return False
    if re.match(r"\s+(?:major|minor|maj|min|sharp|flat)\b", after) or re.search(r"\b(?:part|movement|act)s? $", before):
        return False
    if len(chords) == 2 and chords[0] == "A" and re.search(r"(?:^|[.!?]\s*)$", before):
        return False  # "A G chord vamp" has one
    if all(_FORM.fullmatch(chord) for chord in chords):
        new = list(dict.fromkeys(chords))
        form = new == [chr(ord("A") + index) for index in range(len(new))] or re.match(
            r"\s*(?:form|structure)\b", after
        )
        return bool(called) or not form
    return True
