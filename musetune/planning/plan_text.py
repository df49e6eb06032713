"""Prompts before they are read: numbers as three digits, numbers in words as digits, minutes as seconds, sharps and flats as signs.

This is spelling, no understanding: which number is a tempo and which a length is the model's to find out.
"""

from __future__ import annotations

import re
import unicodedata

from musetune.theory import GENRES
from musetune.theory.meter import METERS

from .plan_vocab import TONICS

_UNITS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
UNITS = {word: value for value, word in enumerate(_UNITS.split())}
TENS = {word: 10 * value for value, word in enumerate(_TENS.split(), 2)}
_WORD = "|".join(sorted((*UNITS, *TENS), key=len, reverse=True))
_SMALL = rf"(?:{_WORD})(?:[ -](?:{_WORD}))?"
_NUMBER = re.compile(rf"\b(?:(?:a|one|two|three) hundred(?:(?: and |[ -]){_SMALL})?|{_SMALL})\b", re.IGNORECASE)
_MINUTES = re.compile(
    r"\b(a|one|half a|a half|\d+(?:\.\d+)?)(?: and a half)?[ -]?(?:minutes?|mins?)\b(?: and a half)?"
    r"(?:(?:,| and)? ?(\d+) ?(?:seconds?|secs?|s)\b)?",
    re.IGNORECASE,
)
_METER = re.compile(r"\b0(\d\d)[ /-]0(\d\d)\b")
_KIND = r"m?[ -]?(?:major|minor|maj|min|dur|moll)\b"
_NOTE = re.compile(
    rf"\b(?:[A-G][#b]?(?=m?(?![\w#]))|[A-G]B(?=(?i:{_KIND}))|[a-g][#b]?(?={_KIND})|[a-g][#b](?=m?(?![\w#]))|[b-g](?=m\b))"
)
_MODE = re.compile(r"\b(?:major|maj|dur|minor|min|moll)\b", re.IGNORECASE)
_GENRE = re.compile(rf"\b(?:{'|'.join(GENRES)})\b", re.IGNORECASE)
_ACCIDENTAL = re.compile(r"\b([A-Ga-g])[ -]?(sharp|flat)\b", re.IGNORECASE)


def normalise(prompt: str) -> str:
    """``"Slow waltz, F sharp minor, a minute and a half"`` → ``"Slow waltz, F# minor, 090 seconds"``."""
    text = unicodedata.normalize("NFKC", prompt).replace("♯", "#").replace("♭", "b").replace("–", "-")
    text = _ACCIDENTAL.sub(lambda m: m[1] + ("#" if m[2].lower() == "sharp" else "b"), text)
    text = _NUMBER.sub(lambda m: " ".join(map(str, numbers(m[0]))), text)
    text = re.sub(r"\b(\d{1,2}):([0-5]\d)\b", lambda m: f"{60 * int(m[1]) + int(m[2])} seconds", text)
    text = _MINUTES.sub(_seconds, text)
    text = re.sub(r"(\d+)\.\d+", r"\1", text)
    return re.sub(r"\d+", lambda m: m[0].lstrip("0").zfill(3), text)


def shared_words(text: str) -> str:
    """What ``normalise`` gave, with the words that prompts and plans share as the plan's: digits, metres, note names, major and minor, genres.

    ``"Jazz in F# minor, 006/008"`` → ``"<genre:jazz> in <tonic:F#> <mode:minor>, <meter:6/8>"``. What was to be copied is then the same token on
    both sides. Angle brackets of the text itself go first.
    """
    text = text.replace("<", " ").replace(">", " ")
    text = _METER.sub(
        lambda m: f"<meter:{int(m[1])}/{int(m[2])}>" if f"{int(m[1])}/{int(m[2])}" in METERS else m[0], text
    )
    text = _NOTE.sub(_tonic, text)
    text = _MODE.sub(lambda m: f"<mode:{'minor' if m[0].lower() in ('minor', 'min', 'moll') else 'major'}>", text)
    text = _GENRE.sub(lambda m: f"<genre:{m[0].lower()}>", text)
    return re.sub(r"<[^>]*>|\d", lambda m: m[0] if m[0][0] == "<" else f"<{m[0]}>", text)


def _tonic(match: re.Match[str]) -> str:
    name = match[0][0].upper() + match[0][1:].lower()
    return f"<tonic:{name}>" if name in TONICS else match[0]


def numbers(words: str) -> list[int]:
    """``"a hundred and twenty"`` → [120], ``"thirty-two"`` → [32], ``"three four"`` → [3, 4]."""
    out: list[int] = []
    hundred, _, rest = words.lower().rpartition("hundred")
    if hundred:
        out = [100 * UNITS.get(hundred.strip(), 1)]
    for word in re.findall(_WORD, re.sub(r"[ -]|\band\b", " ", rest)) if not hundred else re.findall(r"[a-z]+", rest):
        value = UNITS.get(word, TENS.get(word))
        if value is None:
            continue
        joins = (
            out
            and value < 100
            and (out[-1] % 100 == 0 or (out[-1] % 10 == 0 and out[-1] % 100 >= 20 and 0 < value < 10))
        )
        out = [*out[:-1], out[-1] + value] if joins and out[-1] else [*out, value]
    return out


def _seconds(match: re.Match[str]) -> str:
    """Minutes, and seconds after them, as seconds."""
    count = {"a": 1.0, "one": 1.0, "half a": 0.5, "a half": 0.5}.get(match[1].lower())
    minutes = (count if count is not None else float(match[1])) + 0.5 * ("and a half" in match[0].lower())
    return f"{round(60 * minutes) + int(match[2] or 0)} seconds"
