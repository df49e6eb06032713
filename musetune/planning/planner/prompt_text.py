"""Prompts before they are read.

Numbers and their units in one spelling (``plan_numbers``), sharps and flats as signs, small letters.

This is spelling, no understanding: which number is a tempo and which a length is the model's to find out.
"""

from __future__ import annotations

import re
import unicodedata

from musetune.planning.planner.numbers import spell_numbers
from musetune.planning.planner.vocabulary import TONICS
from musetune.symbols import GENRES
from musetune.symbols.meter import METERS

LONGEST = 5000  # characters of a prompt
_METER = re.compile(r"\b0(\d\d)[ /-]0(\d\d)\b")
_KIND = r"m?[ -]?(?:major|minor|maj|min|dur|moll)\b"
_NOTE = re.compile(
    rf"\b(?:[A-G][#b]?(?=m?(?![\w#]))|[A-G]B(?=(?i:{_KIND}))|[a-g][#b]?(?={_KIND})|[a-g][#b](?=m?(?![\w#]))|[b-g](?=m\b))"
)
_MODE = re.compile(r"\b(?:major|maj|dur|minor|min|moll)\b", re.IGNORECASE)
_GENRE = re.compile(rf"\b(?:{'|'.join(GENRES)})\b", re.IGNORECASE)
_ACCIDENTAL = re.compile(r"\b([A-Ga-g])[ -]?(sharp|flat)\b", re.IGNORECASE)


def check_prompt(prompt: str) -> str:
    """Return a prompt that can be read. Raises ValueError for what is no text, or longer than LONGEST characters."""
    if not isinstance(prompt, str):
        raise ValueError(f"prompt is a {type(prompt).__name__}, not text")
    if len(prompt) > LONGEST:
        raise ValueError(f"prompt has {len(prompt)} characters; at most {LONGEST} are read: describe the song in less")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"prompt holds {prompt[error.start]!r}, half a character: take it out") from None
    return prompt


def normalise(prompt: str) -> str:
    """``"Slow waltz, F sharp minor, a minute and a half"`` → ``"Slow waltz, F# minor, 090 seconds"``."""
    text = unicodedata.normalize("NFKC", prompt).replace("♯", "#").replace("♭", "b").replace("–", "-")
    text = _ACCIDENTAL.sub(lambda m: m[1] + ("#" if m[2].lower() == "sharp" else "b"), text)
    return spell_numbers(text)


def shared_words(text: str) -> str:
    """What ``normalise`` gave, with the words that prompts and plans share as the plan's.

    Digits, meters, note names, major and minor, genres.

    ``"Jazz in F# minor, 006/008"`` → ``"<genre:jazz> in <tonic:F#> <mode:minor>, <meter:6/8>"``. What was to be copied
    is then the same token on both sides. All other words get small letters; angle brackets of the text itself go first.
    """
    text = text.replace("<", " ").replace(">", " ")
    text = _METER.sub(
        lambda m: f"<meter:{int(m[1])}/{int(m[2])}>" if f"{int(m[1])}/{int(m[2])}" in METERS else m[0], text
    )
    text = _NOTE.sub(_tonic, text)
    text = _MODE.sub(lambda m: f"<mode:{'minor' if m[0].lower() in ('minor', 'min', 'moll') else 'major'}>", text)
    text = _GENRE.sub(lambda m: f"<genre:{m[0].lower()}>", text)
    return re.sub(r"<[^>]*>|\d|[^<\d]+", _word, text)


def _word(match: re.Match[str]) -> str:
    text = match[0]
    return text if text[0] == "<" else f"<{text}>" if text.isdecimal() else text.lower()


def _tonic(match: re.Match[str]) -> str:
    name = match[0][0].upper() + match[0][1:].lower()
    return f"<tonic:{name}>" if name in TONICS else match[0]
