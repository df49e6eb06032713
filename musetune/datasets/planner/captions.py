"""Captions for a song's own attributes, in varied wording: what the structure transformer learns to read.

`caption(facts, rng)` names some of the facts and says which; what it leaves out stays open. Beside a tempo word may
stand the number, which is what counts. The words are in planner_words.py.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from musetune.datasets.planner.words import (
    ASKING,
    BARE,
    FILLERS,
    GENRE_WORDS,
    GOING,
    ITALIAN,
    LASTING,
    METER_WORDS,
    MOODS_OF,
    NOUNS,
)
from musetune.planning.planner.prompt_text import TENS, UNITS

_UNITS, _TENS = list(UNITS), list(TENS)
STYLED = 0.5  # share of captions of songs that fit a style that name it
BOTH = 0.25  # share of captions with a tempo word that also say the number


@dataclass(frozen=True)
class CaptionFacts:
    """What holds in a song.

    ``tempo_word``: a word whose range holds bpm, or None; ``length``: what was requested, as Plan has it;
    ``form``: such as "AABA" or ""; ``style``: a style that the song fits, such as "bossa nova", or "".
    """

    genre: str
    meter: str
    mode: str
    tonic: str
    bpm: int
    tempo_word: str | None
    length: tuple[str, int]
    form: str = ""
    style: str = ""


def in_words(number: int) -> str:
    """``32`` → ``"thirty-two"``, up to 999."""
    if number < 20:
        return _UNITS[number]
    if number < 100:
        return _TENS[number // 10 - 2] + (f"-{_UNITS[number % 10]}" if number % 10 else "")
    rest = number % 100
    head = "a hundred" if number < 200 else f"{_UNITS[number // 100]} hundred"
    return head + (f" and {in_words(rest)}" if rest else "")


def number(value: int, rng: random.Random) -> str:
    """Digits, or one time in five words."""
    return in_words(value) if rng.random() < 0.2 else str(value)


def amounts(length: tuple[str, int], rng: random.Random) -> list[str]:
    """Ways to say how long: ``"16 bars"``, ``"a minute and a half"``, ``"1:30"``."""
    kind, count = length
    text = number(count, rng)
    if kind == "bars":
        return [f"{text} bars", f"{text} bars", f"{text} bars", f"{text} measures", f"{count}bars"]
    ways = [f"{text} seconds", f"{text} seconds", f"{text} seconds", f"{count} s", f"{count} sec", f"{count} secs"]
    ways += [] if count % 10 == 0 and 20 <= count <= 90 else [f"{count}s"]  # "80s rock" is no length
    minutes, seconds = divmod(count, 60)
    if minutes and seconds == 0:
        many = "a minute" if minutes == 1 else f"{number(minutes, rng)} minutes"
        return ways + 4 * [many] + [f"{minutes}:00", f"{minutes} min"]
    if minutes:
        one = f"{number(minutes, rng)} minute" + ("s" if minutes > 1 else "")
        ways += [f"{minutes}:{seconds:02d}"] * 3 + [f"{minutes} min {seconds} s", f"{minutes}m{seconds}s"]
        ways += [f"{one} and {number(seconds, rng)} seconds", f"{one} {in_words(seconds)}"]
    if seconds == 30:
        ways += 2 * [("half a minute", "a minute and a half", f"{minutes}.5 minutes")[min(minutes, 2)]]
    return ways


def length_words(length: tuple[str, int], rng: random.Random) -> str:
    """A way to say ``length`` after the noun; what ends in -bar, -second or -minute stands before it."""
    kind, count = length
    if rng.random() < 0.1:
        if kind == "seconds" and count % 60 == 0 and rng.random() < 0.5:
            return f"{number(count // 60, rng)}-minute"
        return f"{number(count, rng)}-{kind[:-1]}"
    if kind == "bars" and rng.random() < 0.05:
        return f"bars: {count}"
    return rng.choice(LASTING).format(rng.choice(amounts(length, rng)))


def key_words(facts: CaptionFacts, rng: random.Random) -> list[str]:
    """Ways to say the key."""
    letter, sign = facts.tonic[0], facts.tonic[1:]
    name = facts.tonic
    if sign:
        word = {"#": "sharp", "b": "flat"}[sign]
        name = rng.choice((facts.tonic, f"{letter} {word}", f"{letter}-{word}", letter + {"#": "♯", "b": "♭"}[sign]))
    mode = facts.mode
    short = name + ("m" if mode == "minor" and len(name) < 3 else f" {mode[:3]}")
    ways = [f"in {name} {mode}"] * 4 + [
        f"{name} {mode}",
        f"key of {name} {mode}",
        f"in the key of {name} {mode}",
        f"in {short}",
        short,
        f"in {name} {mode.capitalize()}",
        f"key: {name} {mode}",
        f"{name} {mode[:3]}",
        f"in {name}-{mode}",
    ]
    return ways + ([f"in {name}", f"key of {name}", f"in the key of {name}"] if mode == "major" else [])


def tempo_number(bpm: int, rng: random.Random) -> str:
    """A way to say the tempo as a number."""
    text = number(bpm, rng)
    if rng.random() < 0.25:
        return rng.choice(BARE).format(text)
    units = (
        f"{text} bpm",
        f"{text} bpm",
        f"{text} BPM",
        f"{bpm}bpm",
        f"{text} beats per minute",
        f"{text} beats a minute",
    )
    return rng.choice(GOING).format(rng.choice(units))


def tempo_word(word: str, rng: random.Random) -> str:
    """A way to say a tempo's word after the noun."""
    if word in ITALIAN:
        ways = (word, f"tempo: {word}", word.capitalize(), f"played {word}", f"at an {word} tempo", f"marked {word}")
    else:
        ways = (
            f"at a {word} tempo",
            word,
            f"{word} tempo",
            f"tempo {word}",
            f"at a {word} pace",
            f"and it should be {word}",
        )
    return rng.choice(ways)


def _tempo(facts: CaptionFacts, rng: random.Random, front: list[str], tails: list[str], exact: bool) -> None:
    """The tempo into the wording: a number, a word, or both, of which the number is what counts."""
    word, text = facts.tempo_word, tempo_number(facts.bpm, rng)
    both = word is not None and (exact or rng.random() < BOTH)
    if word is None:
        tails.append(text)
    elif both and rng.random() < 0.3:
        tails.append(
            rng.choice(("{0}, {1}", "{0} {1}", "{1}, {0}", "{0} ({1})", "{1} ({0})", "{0}: {1}")).format(word, text)
        )
    else:
        if rng.random() < 0.6:
            front.insert(rng.randrange(len(front) + 1), word)
        else:
            tails.append(tempo_word(word, rng))
        if both:
            tails.append(text)


def _length(facts: CaptionFacts, rng: random.Random, front: list[str], tails: list[str]) -> str:
    """The length into the wording; what the phrase begins with if it is "two minutes of …"."""
    if facts.length[0] == "open":
        return ""
    if rng.random() < 0.15:
        return rng.choice(amounts(facts.length, rng)) + " of "
    way = length_words(facts.length, rng)
    (front if way.endswith(("-bar", "-second", "-minute")) else tails).append(way)
    return ""


def caption(facts: CaptionFacts, rng: random.Random, named: float = 0.6, exact: bool = False) -> tuple[str, set[str]]:
    """A wording and the facts that it names.

    Each with the chance ``named``, a length or a tempo word that was asked for always. ``exact``: the tempo is named,
    as a number.
    """
    front: list[str] = []
    tails: list[str] = []
    topics = {name for name in ("genre", "meter", "tonic") if rng.random() < named}
    if exact or facts.tempo_word is not None or rng.random() < named:
        topics.add("bpm")
    lead = _length(facts, rng, front, tails)
    topics |= _mode(facts, rng, front, tails, "tonic" in topics)
    if "bpm" in topics:
        _tempo(facts, rng, front, tails, exact)
    noun = rng.choice(NOUNS)
    if "meter" in topics:
        way = rng.choice(METER_WORDS[facts.meter])
        if facts.meter == "3/4" and rng.random() < 0.4:
            noun = "waltz"
        else:
            tails.append(way if way.startswith("in ") or rng.random() < 0.4 else f"in {way}")
    if facts.form and rng.random() < 0.6:
        tails.append(rng.choice(("form {}", "{} form", "in {} form", "with the form {}", "{}")).format(facts.form))
    if facts.style and rng.random() < STYLED:
        topics.add("genre")
        front.append(facts.style)
        noun = "" if noun != "waltz" and rng.random() < 0.35 else noun
    elif "genre" in topics:
        front.append(rng.choice(GENRE_WORDS[facts.genre]))
        noun = "" if noun != "waltz" and rng.random() < 0.35 else noun
    if rng.random() < 0.35:
        tails.append(rng.choice(FILLERS))
    return wording(front, noun, tails, rng, lead), topics


def _mode(facts: CaptionFacts, rng: random.Random, front: list[str], tails: list[str], tonic: bool) -> set[str]:
    """Key, mode or mood into the wording; {"mode"} where they tell the mode."""
    clear = tonic
    if tonic:
        tails.append(rng.choice(key_words(facts, rng)))
    elif rng.random() < 0.35:
        ways = ("in a {} key", "in {}", "{} key", "{}-key", "in a {} mode", "{} mode")
        tails.append(rng.choice(ways).format(facts.mode))
        clear = True
    if rng.random() < 0.55:
        kind = rng.choice((*MOODS_OF, "any")) if clear else rng.choice((facts.mode, facts.mode, "any"))
        front.append(rng.choice(MOODS_OF[kind]))
        clear = clear or kind == facts.mode
    return {"mode"} if clear else set()


def wording(front: list[str], noun: str, tails: list[str], rng: random.Random, lead: str = "") -> str:
    """The parts put together: as a phrase (``lead`` in its article's place), as a list or as sentences.

    Sometimes all small or large letters.
    """
    rng.shuffle(tails)
    style = rng.random() * (0.6 if lead else 1)
    what = " ".join([*front, noun] if noun else front)
    if style < 0.6:
        article = lead or rng.choice(("a ", "a ", "the ", "some ", ""))
        text = rng.choice(ASKING) + article + what
        for tail in tails:
            text += rng.choice((" ", " ", ", ")) + tail
    elif style < 0.85:
        alone = noun and (rng.random() < 0.3 or noun == "waltz" or not front + tails)
        items = [*front, *([noun] if alone else []), *tails]
        rng.shuffle(items)
        text = rng.choice((", ", ", ", ", ", "; ", " ", " / ", ". ", " - ")).join(items)
    else:
        text = rng.choice(ASKING) + "a " + what + rng.choice((".", ".", ":", "!"))
        for tail in tails:
            text += rng.choice((" It is ", " It should be ", " Make it ", " ", " ", " Please ")) + tail + "."
    case: Callable[[str], str] = rng.choices((str, str.lower, str.upper, _sentence), (6, 3, 0.6, 2))[0]
    return case(text) + rng.choice(("", "", "", ".", "!", ""))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
