"""Captions for a song's own attributes, in varied wording: what the structure transformer learns to read.

`caption(facts, rng)` names some of the facts and says which; what it leaves out stays open. Tempo words are in one table.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from musetune.planning.plan_text import TENS, UNITS

TEMPO_WORDS: dict[str, tuple[int, int]] = {  # beats a minute that a word allows
    "largo": (42, 60), "grave": (38, 54), "lento": (46, 64), "larghetto": (56, 68), "adagio": (60, 76), "andante": (74, 100),
    "andantino": (80, 106), "moderato": (98, 118), "allegretto": (108, 126), "allegro": (120, 156), "allegro moderato": (112, 128),
    "vivace": (144, 176), "presto": (168, 200), "prestissimo": (196, 240), "allegro vivace": (136, 168), "allegro molto": (130, 168),
    "slow": (50, 80), "very slow": (40, 62), "really slow": (40, 62), "slow-moving": (50, 80), "unhurried": (60, 92), "leisurely": (60, 92),
    "relaxed": (64, 96), "laid-back": (64, 96), "walking-pace": (76, 104), "medium-tempo": (90, 118), "mid-tempo": (90, 118),
    "moderate": (92, 118), "medium": (90, 118), "midtempo": (90, 118), "upbeat": (118, 160), "up-tempo": (122, 168), "uptempo": (122, 168),
    "fast": (128, 176), "quick": (122, 172), "brisk": (116, 156), "lively": (114, 156), "very fast": (160, 220), "rapid": (140, 190),
    "breakneck": (176, 230), "rushing": (140, 190), "speedy": (132, 184), "slowly rolling": (52, 80),
}  # fmt: skip
ITALIAN = frozenset(list(TEMPO_WORDS)[:16])
MOODS = {
    "minor": "sad melancholy melancholic dark gloomy sorrowful mournful tragic brooding wistful lonely tearful bleak ominous sombre heartbroken "
             "grieving haunting mysterious tense menacing moody",
    "major": "happy cheerful joyful bright sunny merry playful triumphant jolly carefree optimistic hopeful glad blissful festive joyous sweet "
             "uplifting proud innocent",
    "any": "dreamy mellow gentle warm nostalgic romantic epic intimate catchy simple lush smooth soulful tender quiet spacious raw late-night "
           "cinematic rainy atmospheric polished rough delicate driving calm",
}  # fmt: skip
MOODS_OF = {mode: tuple(words.split()) for mode, words in MOODS.items()}
GENRE_WORDS = {
    "pop": ("pop", "pop", "pop", "radio pop", "indie pop", "chart pop", "mandopop", "k-pop", "power pop", "folk pop", "easy listening"),
    "rock": ("rock", "rock", "rock", "hard rock", "indie rock", "punk rock", "rock and roll", "rock'n'roll", "garage rock", "grunge", "metal"),
    "jazz": ("jazz", "jazz", "jazz", "swing", "bebop", "cool jazz", "big band", "gypsy jazz", "lounge jazz", "jazz standard", "bossa nova"),
    "blues": ("blues", "blues", "blues", "Chicago blues", "Delta blues", "electric blues", "country blues", "blues shuffle", "boogie"),
    "classical": ("classical", "classical", "classical", "baroque", "chorale", "orchestral", "chamber music", "romantic piano", "symphonic",
                  "hymn", "string quartet", "sonata"),
    "electronic": ("electronic", "electronic", "electronic", "techno", "house", "trance", "EDM", "synthwave", "electro", "dance", "drum and bass",
                   "electronica"),
}  # fmt: skip
METER_WORDS = {
    "3/4": ("3/4", "3/4", "waltz time", "three-four", "three four", "in three", "triple metre", "3/4 time", "three-four time", "triple time"),
    "4/4": ("4/4", "4/4", "common time", "four-four", "four four", "in four", "4/4 time", "four-four time", "four to the bar"),
    "6/8": ("6/8", "6/8", "six-eight", "six eight", "6/8 time", "six-eight time", "compound duple"),
    "2/4": ("2/4", "2/4", "two-four", "two four", "2/4 time", "in two", "march time", "polka time"),
    "2/2": ("2/2", "cut time", "alla breve", "two-two", "2/2 time"), "12/8": ("12/8", "twelve-eight", "twelve eight", "12/8 time"),
    "5/4": ("5/4", "five-four", "in five", "5/4 time", "five four"), "7/8": ("7/8", "seven-eight", "in seven", "7/8 time", "seven eight"),
    "9/8": ("9/8", "nine-eight", "9/8 time"), "7/4": ("7/4", "seven-four", "7/4 time"), "6/4": ("6/4", "six-four", "6/4 time"),
    "5/8": ("5/8", "five-eight", "5/8 time"), "3/8": ("3/8", "three-eight", "3/8 time"),
}  # fmt: skip
NOUNS = (
    "song",
    "song",
    "tune",
    "piece",
    "track",
    "number",
    "composition",
    "instrumental",
    "theme",
    "melody",
    "music",
    "ballad",
)
FILLERS = (
    "for piano and strings", "with acoustic guitar", "with drums and bass", "about the sea", "with a female singer", "for a film", "with violins",
    "for my grandmother", "with a saxophone solo", "like a summer evening", "for guitar, bass and drums", "with a strong chorus", "about home",
    "with piano", "played on an old piano", "with warm pads", "to dance to", "for the end of a party", "with a walking bass", "with brass",
    "about a train that never comes", "for two friends", "with handclaps", "that grows slowly", "for solo guitar", "with a big finish", "for choir",
)  # fmt: skip
ASKING = (
    "",
    "",
    "",
    "",
    "",
    "write ",
    "make ",
    "compose ",
    "give me ",
    "I want ",
    "I'd like ",
    "please write ",
    "we need ",
    "create ",
    "generate ",
)
_UNITS, _TENS = list(UNITS), list(TENS)


@dataclass(frozen=True)
class Facts:
    """What holds in a song: ``tempo_word`` a word whose range holds bpm, or None; ``asked`` as Plan has it; ``form`` such as "AABA" or ""."""

    genre: str
    meter: str
    mode: str
    tonic: str
    bpm: int
    tempo_word: str | None
    asked: tuple[str, int]
    form: str = ""


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


def length_words(asked: tuple[str, int], rng: random.Random) -> list[str]:
    """Ways to say ``asked``."""
    kind, count = asked
    said = number(count, rng)
    if kind == "bars":
        return [f"{said} bars", f"{said} bars long", f"{said} measures", f"in {said} bars", f"of {said} bars", f"length {said} bars", f"{said}-bar",
                f"lasting {said} bars", f"bars: {count}"]  # fmt: skip
    plain = [f"{said} seconds", f"{said} seconds long", f"of {said} seconds", f"{count} s", f"{count}s", f"{count} sec", f"lasting {said} seconds",
             f"about {said} seconds", f"duration {count} seconds", f"for {said} seconds", f"{said}-second"]  # fmt: skip
    minutes, seconds = divmod(count, 60)
    if minutes and seconds == 0:
        many = "a minute" if minutes == 1 else f"{number(minutes, rng)} minutes"
        plain += 3 * [many, f"{many} long", f"of {many}", f"lasting {many}"]
    elif minutes:
        plain += [f"{minutes}:{seconds:02d}", f"{minutes}:{seconds:02d} long", f"{minutes} min {seconds} s"]
    return plain


def key_words(facts: Facts, rng: random.Random) -> list[str]:
    """Ways to say the key."""
    letter, sign = facts.tonic[0], facts.tonic[1:]
    name = facts.tonic
    if sign:
        word = {"#": "sharp", "b": "flat"}[sign]
        name = rng.choice((facts.tonic, f"{letter} {word}", f"{letter}-{word}", letter + {"#": "♯", "b": "♭"}[sign]))
    mode = facts.mode
    short = name + ("m" if mode == "minor" and len(name) < 3 else f" {mode[:3]}")
    ways = [f"in {name} {mode}"] * 4 + [f"{name} {mode}", f"key of {name} {mode}", f"in the key of {name} {mode}", f"in {short}", short,
            f"in {name} {mode.capitalize()}", f"key: {name} {mode}", f"{name} {mode[:3]}", f"in {name}-{mode}"]  # fmt: skip
    return ways + ([f"in {name}", f"key of {name}", f"in the key of {name}"] if mode == "major" else [])


def tempo_words(facts: Facts, rng: random.Random) -> tuple[list[str], str]:
    """Ways to say the tempo after the noun, and the word before it or ""."""
    if facts.tempo_word is None:
        said = number(facts.bpm, rng)
        return [f"at {said} bpm", f"{said} bpm", f"at {said} BPM", f"{said} beats per minute", f"tempo {said}", f"tempo: {said}", f"at {said}",
                f"{facts.bpm}bpm", f"{said} beats a minute", f"at a tempo of {said}", f"bpm {facts.bpm}"], ""  # fmt: skip
    word = facts.tempo_word
    if word in ITALIAN:
        return [
            word,
            f"tempo: {word}",
            f"{word.capitalize()}",
            f"played {word}",
            f"at an {word} tempo",
            f"marked {word}",
        ], word
    return [
        f"at a {word} tempo",
        word,
        f"{word} tempo",
        f"tempo {word}",
        f"at a {word} pace",
        f"and it should be {word}",
    ], word


def caption(facts: Facts, rng: random.Random, named: float = 0.6) -> tuple[str, set[str]]:
    """A wording and the facts that it names: each with the chance ``named``, a length or a tempo word that was asked for always."""
    front: list[str] = []
    tails: list[str] = []
    told = {name for name in ("genre", "meter", "tonic") if rng.random() < named}
    if facts.tempo_word is not None or rng.random() < named:
        told.add("bpm")
    if facts.asked[0] != "open":
        way = rng.choice(length_words(facts.asked, rng))
        (front if way.endswith(("-bar", "-second")) else tails).append(way)
    told |= _mode(facts, rng, front, tails, "tonic" in told)
    if "bpm" in told:
        after, word = tempo_words(facts, rng)
        if word and rng.random() < 0.6:
            front.insert(rng.randrange(len(front) + 1), word)
        else:
            tails.append(rng.choice(after))
    noun = rng.choice(NOUNS)
    if "meter" in told:
        way = rng.choice(METER_WORDS[facts.meter])
        if facts.meter == "3/4" and rng.random() < 0.4:
            noun = "waltz"
        else:
            tails.append(way if way.startswith("in ") or rng.random() < 0.4 else f"in {way}")
    if facts.form and rng.random() < 0.6:
        tails.append(rng.choice(("form {}", "{} form", "in {} form", "with the form {}", "{}")).format(facts.form))
    if "genre" in told:
        front.append(rng.choice(GENRE_WORDS[facts.genre]))
    if rng.random() < 0.35:
        tails.append(rng.choice(FILLERS))
    return wording(front, noun, tails, rng), told


def _mode(facts: Facts, rng: random.Random, front: list[str], tails: list[str], tonic: bool) -> set[str]:
    """Key, mode or mood into the wording; {"mode"} where they tell the mode."""
    told = tonic
    if tonic:
        tails.append(rng.choice(key_words(facts, rng)))
    elif rng.random() < 0.35:
        ways = ("in a {} key", "in {}", "{} key", "{}-key", "in a {} mode", "{} mode")
        tails.append(rng.choice(ways).format(facts.mode))
        told = True
    if rng.random() < 0.55:
        kind = rng.choice((*MOODS_OF, "any")) if told else rng.choice((facts.mode, facts.mode, "any"))
        front.append(rng.choice(MOODS_OF[kind]))
        told = told or kind == facts.mode
    return {"mode"} if told else set()


def wording(front: list[str], noun: str, tails: list[str], rng: random.Random) -> str:
    """The parts put together: as a phrase, as a list or as sentences; sometimes all small or large letters."""
    rng.shuffle(tails)
    style = rng.random()
    if style < 0.62:
        article = rng.choice(("a ", "a ", "the ", "some ", ""))
        text = rng.choice(ASKING) + article + " ".join([*front, noun])
        for tail in tails:
            text += rng.choice((" ", " ", ", ")) + tail
    elif style < 0.85:
        items = [*front, *([noun] if rng.random() < 0.3 or noun == "waltz" or not front + tails else []), *tails]
        rng.shuffle(items)
        text = rng.choice((", ", ", ", "; ", " ", " / ", ". ")).join(items)
    else:
        text = rng.choice(ASKING) + "a " + " ".join([*front, noun]) + "."
        for tail in tails:
            text += rng.choice((" It is ", " It should be ", " Make it ", " ", " Please ")) + tail + "."
    case: Callable[[str], str] = rng.choices((str, str.lower, str.upper, _sentence), (6, 3, 0.4, 2))[0]
    return case(text) + rng.choice(("", "", "", ".", "!", ""))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
