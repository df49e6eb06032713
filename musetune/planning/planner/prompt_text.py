"""Prompts before they are read.

Numbers and their units in one spelling, sharps and flats as signs, small letters: digits for words; ``bpm``, ``bars``
and ``seconds`` for all that means the same, seconds for minutes.

This is spelling, no understanding: which number is a tempo and which a length is the model's to find out.
"""

from __future__ import annotations

import re
import unicodedata

from musetune.planning.planner.vocabulary import TONICS
from musetune.symbols import GENRES
from musetune.symbols.meter import METERS

LONGEST = 5000  # characters of a prompt
_METER = re.compile(r"\b0(\d\d)[ /-]0(\d\d)\b")
_KIND = r"m?[ -]?(?:major|minor|maj|min|dur|moll)\b"
_NOTE = re.compile(
    rf"\b(?:[A-G][#b]?(?=m?(?![\w#]))|[A-G]B(?=(?i:{_KIND}))|[a-g][#b]?(?=(?i:{_KIND}))|[a-g][#b](?=m?(?![\w#]))|[b-g](?=m\b))"
)
_MODE = re.compile(r"\b(?:major|maj|dur|minor|min|moll)\b", re.IGNORECASE)
_GENRE = re.compile(rf"\b(?:{'|'.join(GENRES)})\b", re.IGNORECASE)
_ACCIDENTAL = re.compile(r"\b([A-Ga-g])[ -]?(sharp|flat)\b", re.IGNORECASE)

_UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
UNITS = {word: value for value, word in enumerate(_UNITS.split())}
TENS = {word: 10 * value for value, word in enumerate(_TENS.split(), 2)}
_WORD = "|".join(sorted((*UNITS, *TENS), key=len, reverse=True))
_ONE = "|".join(list(UNITS)[1:10])
_TEN = "|".join(sorted((*list(UNITS)[10:], *TENS), key=len, reverse=True))
_SMALL = rf"(?:{_WORD})(?:[ -](?:{_WORD}))?"
_NUMBER = re.compile(
    rf"\b(?:(?:(?:a|{_ONE})[ -])?hundred(?:(?: and |[ -]){_SMALL})?|(?:one|two)[ -](?:{_TEN})(?:[ "
    rf"-](?:{_ONE}))?|{_SMALL})\b",
    re.IGNORECASE,
)
_DOZEN = re.compile(r"\b(?:(half a|an?|one|two|three|four|five) )?dozen\b", re.IGNORECASE)
_DOZENS = {"half a": 6, "two": 24, "three": 36, "four": 48, "five": 60}
_NO_DECADE = (  # what follows "30s" where that is a length
    "a|about|ad|advert|and|at|clip|cue|for|in|intro|jingle|long|loop|max|minimum|of|only|or|outro|piece|please|total|track|"
    "version|with"
)
_DECADE = re.compile(  # "80s rock", "the 1990s", "90s boy band": no length; nor are "808s", a drum machine
    rf"(?:\b(?:19|20)\d|(?<=the )'?[2-9]|\b[2-9](?=0s-|0s (?!(?:{_NO_DECADE})\b)[a-z]))0'?s\b|"
    r"\b(?:19\d\d|20[0-2]\d)\b(?![ -]?(?:bpm|bars?|measures?|seconds?))|"
    r"\b(?:808|909|707|303)s\b|\b(?:808|909)(?= (?:bass|beat|drum|kick))",
    re.IGNORECASE,
)
_BPM = re.compile(
    r"(?:(\d)[ -]?|\b)(?:bpm\b|bmp\b|b\.p\.m\.?|beats?(?: (?:per|a|each|every) |/|-per-)min(?:ute)?s?\b)", re.IGNORECASE
)
_CLOCK = re.compile(
    r"\b(\d{1,2})(?::([0-5]\d)\b|['′] ?([0-5]?\d)(?:\"|''|″))(?: ?(?:minutes?|mins?|m)\b)?", re.IGNORECASE
)
_MINUTES = re.compile(
    r"(?:\b(a(?= minute|-minute)|half an?|half)|\b(\d+(?:\.\d+)?))(?: and a half)?"
    r"(?:[ -]?(?:minutes?|mins?\.?)(?![a-z])|(?<=\d) ?m(?= ?\d+ ?s|\b))(?: and a half)?"
    r"(?:(?:,| and)? ?(\d+)[ -]?(?:seconds?|secs?|s)\b| ([0-5]?\d)(?![\d/:]|[ "
    r"-]?(?:bpm|bars?|beats?|measures?|to|on|\d)\b| \d))?",
    re.IGNORECASE,
)
_SECONDS = re.compile(r"(\d)[ -]?(?:seconds?|secs?|s)\b", re.IGNORECASE)
MOST_MINUTES = 1000  # beyond any song: what is longer is as long as this
_BARS = re.compile(r"(\d)[ -]?(?:bars?|measures?)\b", re.IGNORECASE)


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


def spell_numbers(text: str) -> str:
    """``"twelve-bar tune at one twenty BPM"`` → ``"012 bars tune at 120 bpm"``: each whole number three digits,
    fractions cut off.
    """
    text = _DOZEN.sub(lambda m: str(_DOZENS.get((m[1] or "a").lower(), 12)), text)
    text = _NUMBER.sub(lambda m: " ".join(map(str, numbers(m[0]))), text)
    text = _DECADE.sub("decade", text)
    text = _BPM.sub(lambda m: f"{m[1]} bpm" if m[1] else "bpm", text)  # before minutes: "120 beats a minute"
    text = re.sub(r"[♩♪] ?= ?", "tempo ", text)
    text = _CLOCK.sub(lambda m: f"{60 * int(m[1]) + int(m[2] or m[3])} seconds", text)
    text = re.sub(r"\ba couple of (?=min)", "2 ", text, flags=re.IGNORECASE)
    text = _MINUTES.sub(_seconds, text)
    text = _SECONDS.sub(r"\1 seconds", text)
    text = _BARS.sub(r"\1 bars", text)
    text = re.sub(r"(\d+)\.\d+", r"\1", text)
    return re.sub(r"\d+", lambda m: m[0].lstrip("0").zfill(3), text)


def numbers(words: str) -> list[int]:
    """``"a hundred and twenty"`` and ``"one twenty"`` → [120], ``"thirty-two"`` → [32], ``"three four"`` → [3, 4]."""
    hundred, _, rest = words.lower().rpartition("hundred")
    if hundred or words.lower().startswith("hundred"):
        parts = [UNITS.get(word, TENS.get(word, 0)) for word in re.findall("[a-z]+", rest)]
        return [100 * UNITS.get(hundred.strip(" -"), 1) + sum(parts)]
    out: list[int] = []
    for word in re.findall(_WORD, rest):
        value = UNITS.get(word, TENS.get(word, 0))
        joins = out and out[-1] % 10 == 0 and out[-1] >= 20 and 0 < value < 10
        out = [*out[:-1], out[-1] + value] if joins else [*out, value]
    if len(out) == 2 and out[0] in (1, 2) and out[1] >= 10:  # "one twenty"
        return [100 * out[0] + out[1]]
    return out


def _seconds(match: re.Match[str]) -> str:
    """Minutes, and seconds after them, as seconds."""
    word = (match[1] or "").lower()
    minutes = min(float(match[2]), MOST_MINUTES) if match[2] else 0.5 if word.startswith("half") else 1.0
    minutes += 0.5 * ("and a half" in match[0].lower())
    seconds = min(float(match[3] or match[4] or 0), 60 * MOST_MINUTES)
    return f"{round(60 * minutes) + int(seconds)} seconds"


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
