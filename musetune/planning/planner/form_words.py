"""Forms that prompts word: "verse chorus verse chorus bridge chorus", "AABA", "intro, build, drop", "loop".

A name that comes back is a section that comes back.
"""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass

from musetune.planning.planner.prompt_text import LONGEST, normalise, shared_words
from musetune.planning.planner.vocabulary import LETTERS, MOST_SECTION

Sections = tuple[tuple[str, int | None], ...]  # name and bars, where they are told
NAMES = {  # words for sections, singular, and what they are called
    "pre-chorus": "pre-chorus", "pre chorus": "pre-chorus", "prechorus": "pre-chorus", "verse": "verse",
    "chorus": "chorus", "refrain": "chorus",
    "hook": "hook", "bridge": "bridge", "middle eight": "bridge", "middle 8": "bridge", "intro": "intro",
    "introduction": "intro", "outro": "outro", "coda": "outro", "ending": "outro", "drop": "drop", "build-up": "build",
    "build up": "build", "buildup": "build", "build": "build", "breakdown": "breakdown", "break": "break",
    "interlude": "interlude", "solo": "solo", "vamp": "vamp",
}  # fmt: skip
BARS = {  # of a section whose length nobody tells, and how often each is meant
    "verse": (8, 8, 16), "hook": (4, 8), "intro": (4, 4, 8), "outro": (4,), "drop": (16,), "pre-chorus": (4,),
    "interlude": (4,), "break": (4,), "vamp": (4,),
}  # fmt: skip
USUAL_BARS = (8,)
EDGES = ("intro", "outro")
LEAST_BARS = 4  # that a number behind a section's name means: "verse 2" is the second one
LOOP_BARS = (4, 4, 8)
USUAL_MOST_BARS, USUAL_MOST_SECONDS = 32, 60  # of a section: a song that is longer goes through its form again
LONGEST_LOOP = 32  # bars; what is asked to be longer is a song
MOST_NAMED = 24  # sections that are read in a prompt
MOST_TIMES = 16  # times that a song goes through its form
KNOWN_FORMS = {
    "rondo": "ABACA",
    "ternary form": "ABA",
    "binary form": "AB",
    "32 bars form": "AABA",
    "song form": "AABA",
}
ELECTRONIC = re.compile(  # styles whose songs build and drop
    r"\b(?:edm|dubstep|[a-z]*step|house|techno|[a-z]*trance|electro\w*|rave|club|dance|big room|hardstyle|future bass|"
    r"trap|drum ?(?:and|&|n|'n'?) ?bass|dnb|d&b|jungle|garage|synth ?wave|breakbeat|hyperpop|phonk|gabber)\b"
)
CLUB = "intro build drop breakdown build drop outro"
SONG_WITH = {  # where a prompt asks for a song with one such section
    "chorus": "verse chorus verse chorus bridge chorus",
    "verse": "verse chorus verse chorus",
    "hook": "verse hook verse hook",
    "intro": "intro verse chorus verse chorus",
    "outro": "verse chorus verse chorus outro",
    "bridge": "verse chorus verse chorus bridge chorus",
    "pre-chorus": "verse pre-chorus chorus verse pre-chorus chorus",
    "drop": CLUB,
    "build": CLUB,
    "breakdown": CLUB,  # of electronic styles; elsewhere as in ELSEWHERE
    "solo": "verse chorus verse chorus solo chorus",
    "interlude": "verse chorus interlude verse chorus",
}
ELSEWHERE = {"breakdown": "verse chorus verse chorus breakdown chorus", "drop": "", "build": ""}
VERBS = ("builds", "drops", "breaks", "hooks")  # that are no sections where they stand without an article
_COUNTS = {"one": 1, "a": 1, "an": 1, "the": 1, "double": 2}
_WORD = "|".join(sorted(map(re.escape, NAMES), key=len, reverse=True))
_SECTION = re.compile(
    rf"(?:(?P<times>\d\d?|a|an|the|one|double) )?(?:(?P<before>\d\d?) bars? )?\b(?P<name>{_WORD})(?:e?s)?\b"
    r"(?! (?:of|time)\b)(?: ?[(:]? ?(?:of )?(?P<after>\d\d?) bars?\)?"
    r"| (?P<bare>\d\d?)(?! ?[x×]|\d| bars| seconds| bpm))?"
    r"(?: ?[x×] ?(?P<again>\d)\b|(?P<twice> twice))?"
)
_COLOURS = (  # of sections: "quiet verse loud chorus"
    "big|huge|quiet|loud|soft|short|long|heavy|calm|catchy|gentle|sparse|epic|simple|hushed|massive|soaring|mellow|"
    "half-time|stripped-down|explosive|anthemic"
)
_BETWEEN = re.compile(
    r"[\s,;:/>→|+&.\-–]*"
    rf"(?:(?:and|then|to|into|with|followed by|back to|again|finally|last|(?:an? |the )?(?:{_COLOURS}))[\s,]*)*"
)
_LETTERS = re.compile(
    r"(?<![\w-])([A-H]{3,12})(?![\w-])|(?<![\w-])(a[a-d]{2,11})(?![\w-])"
    r"|(?<![\w-])([A-Ha-h]{2,12})(?=[ -](?:song )?(?:form|structure)\b)"
)
_ASK = r"(?:(?:just|only|write|make|give me|play) )*(?:an?|the|one|just the|only the)?"
_VENUE = "edm|dubstep|bass|house|techno|trance|electronic|streamer|stream|podcast|video|youtube"
_ONE_PART = re.compile(
    rf"^\W*{_ASK} ?(?P<first>{_WORD})(?: (?:of (?:an?|the|my)|for|in|only)\b|[,.:;]|$)"
    rf"|\b(?:one|the|just an?|only an?) (?P<one>{_WORD})(?: of (?:an?|the|my)\b|[,.]|$)"
    rf"|\b(?:{_VENUE}) (?P<kind>drop|intro|outro)\b"
)
_PLAYERS = "guitar|sax|saxophone|piano|organ|trumpet|flute|fiddle|drum|synth|bass"
_WITH = re.compile(
    rf"(?:\b(?:with|including|plus|and)|,) (?:(?:an?|the|some) (?:\w+ )?)?(?:(?:{_COLOURS}|{_PLAYERS}) )*"
    rf"(?P<name>{_WORD})s?\b(?! (?:of|time|beat)\b)"
)
_GROUP = re.compile(r"\(([^()]{1,200})\) ?[x×] ?([2-9])\b|\b([2-9]) ?[x×] ?\(([^()]{1,200})\)")
_LEFT_OUT = re.compile(rf"\b(?:no|without(?: an?| any)?) (?P<name>{_WORD})(?:e?s)?\b(?! (?:of|time)\b)")
_LOOP = re.compile(r"\b(?:loop(?:s|ed|ing)?|riffs?|licks?|vamps?|grooves? loop|phrase|snippet)\b")
_TOTAL = re.compile(r"(?<!every )(?<!each )(?<!after )(?<!first )(?<!last )\b(\d{1,3}) (bars|seconds)\b")
_DIGITS = re.compile(r"<(\d)><(\d)><(\d)>")


@dataclass(frozen=True)
class WordedForm:
    """What a prompt says of a song's form.

    Attributes:
        sections: Names in order, with bars where the prompt tells them.
        bars: Bars of the whole that the prompt tells, None otherwise.
        seconds: Seconds of the whole that the prompt tells, None otherwise.
        loop: Whether one short part is meant that may be played round.
        left_out: Names of sections that it shall not have.
    """

    sections: Sections = ()
    bars: int | None = None
    seconds: int | None = None
    loop: bool = False
    left_out: tuple[str, ...] = ()

    def measure(self, rng: random.Random) -> Sections:
        """The sections with their bars: as told, else usual ones where the whole's length is open."""
        if self.bars is not None or self.seconds is not None:
            return repeat(self.sections, self.bars, self.seconds)
        if self.loop:
            return tuple((name, count or rng.choice(LOOP_BARS)) for name, count in self.sections)
        usual: dict[str, int] = {}
        for name, count in self.sections:
            usual.setdefault(name, count or rng.choice(BARS.get(name, USUAL_BARS)))
        return tuple((name, usual[name]) for name, _ in self.sections)


def read_form(prompt: str) -> WordedForm:
    """Read a prompt's words for the form of a song.

    Example:
        >>> [name for name, _ in read_form("pop, verse chorus verse chorus bridge chorus").sections]
        ['verse', 'chorus', 'verse', 'chorus', 'bridge', 'chorus']
        >>> read_form("jazz standard, AABA, 32 bars").bars
        32
    """
    text = _DIGITS.sub(lambda m: str(int(m[1] + m[2] + m[3])), shared_words(normalise(_spread_groups(prompt))))
    left_out = tuple(dict.fromkeys(NAMES[match["name"]] for match in _LEFT_OUT.finditer(text)))
    text = _LEFT_OUT.sub(" ", text)
    names, told = _named_sections(text)
    totals = {unit: int(count) for count, unit in _TOTAL.findall(_without(text, told))}
    bars, seconds = totals.get("bars"), totals.get("seconds")
    letters = _letters(prompt)
    if letters and (edges := _edges(text)) and all(name in EDGES for name, _ in names):
        edged = _with_edges(letters, edges, bars)
        return WordedForm(edged, None if all(count for _, count in edged) else bars, seconds, left_out=left_out)
    sections = names or letters or _known(text) or _one_part(text) or _with_part(text)
    sections = tuple(section for section in sections if section[0] not in left_out)
    if sections and sum(count or 1 for _, count in sections) > (bars or 10**6):
        sections = ()  # the bars that are told are no sum of these sections
    if sections and all(count for _, count in sections):
        return WordedForm(sections, left_out=left_out)
    if not sections and _LOOP.search(text) and (bars or 1) <= LONGEST_LOOP and (seconds or 1) <= 2 * LONGEST_LOOP:
        return WordedForm((("A", bars),), bars, seconds, loop=True)
    return WordedForm(sections, bars, seconds, left_out=left_out)


def _spread_groups(prompt: str) -> str:
    """A prompt with ``(verse chorus) x 3`` written out."""
    return _GROUP.sub(lambda m: ", ".join([m[1] or m[4]] * int(m[2] or m[3])), prompt[:LONGEST])


def _edges(text: str) -> set[str]:
    """Which of intro and outro a prompt asks for beside letters."""
    return {NAMES[match["name"]] for match in _SECTION.finditer(text) if NAMES[match["name"]] in EDGES}


def _with_edges(letters: Sections, edges: set[str], bars: int | None) -> Sections:
    """Letters between an intro and an outro; bars that are told are those of the letters, shared out evenly."""
    each = bars // len(letters) if bars and bars % len(letters) == 0 and bars // len(letters) <= MOST_SECTION else None
    middle = tuple((name, each) for name, _ in letters)
    size = min(BARS["intro"]) if each else None
    return (*((("intro", size),) * ("intro" in edges)), *middle, *((("outro", size),) * ("outro" in edges)))


def repeat(sections: Sections, bars: int | None, seconds: float | None) -> Sections:
    """The sections again and again, as often as a song of so many bars or seconds needs them."""
    if not sections:
        return ()
    times = max((bars or 0) / USUAL_MOST_BARS, (seconds or 0) / USUAL_MOST_SECONDS) / len(sections)
    return sections * min(max(1, math.ceil(times)), MOST_TIMES)


def sections_as_labels(sections: Sections) -> tuple[Sections, tuple[tuple[str, str], ...]]:
    """Sections by the plan language's labels, and what these labels are called.

    An intro that begins the song and an outro that ends it have labels of their own; all others are letters in order.
    """
    labels: dict[str, str] = {}
    names = [name for name, _ in sections]
    for index, name in enumerate(names):
        alone = len(names) > 1 and names.count(name) == 1 and index == {"intro": 0, "outro": len(names) - 1}.get(name)
        free = next(letter for letter in LETTERS if letter not in labels.values())
        labels.setdefault(name, name if alone else free)
    lengths = {name: count for name, count in sections if count}
    return tuple((labels[name], lengths.get(name)) for name in names), tuple((v, k) for k, v in labels.items())


def _named_sections(text: str) -> tuple[Sections, list[str]]:
    """The longest run of two or more words for sections, and the words that tell sections' bars."""
    best: list[re.Match[str]] = []
    run: list[re.Match[str]] = []
    for match in list(_SECTION.finditer(text))[: 4 * MOST_NAMED]:
        joined = bool(run) and _BETWEEN.fullmatch(text, run[-1].end(), match.start())
        run = [*run, match] if joined else [match]
        best = run if len(run) > len(best) else best
    parts: list[tuple[str, int | None, int]] = []
    for match in best:
        bare = int(match["bare"] or 0)
        bars = int(match["before"] or match["after"] or 0) or (bare if bare >= LEAST_BARS else 0) or None
        word = match["times"] or "one"
        plural = match[0].rstrip(" )").endswith("s") or match["after"] is not None
        times = (
            int(match["again"] or 0)
            or (2 if match["twice"] else 0)
            or _COUNTS.get(word)
            or (int(word) if plural else 1)
        )
        bars = bars if bars and bars <= MOST_SECTION else None
        parts.append((NAMES[match["name"]], bars, min(max(times, 1), 8)))
    counted = len(best) == 1 and parts[0][2] > 1 and parts[0][0] in ("verse", "chorus", "hook")
    if sum(times for *_, times in parts) < 2 or (len(best) < 2 and not counted):
        return (), []
    out = _in_turn(parts)
    two = len(out) == 2 and len(best) == 2 and out[0][0] != out[1][0]
    form = re.search(r"^[ -](?:form|structure)\b", text[best[-1].end() :])
    if two and (form or [name for name, _ in out] == ["verse", "chorus"]) and not any(count for _, count in out):
        out = out * 2
    lengths: dict[str, int] = {}
    for name, count in out:
        if count:
            lengths.setdefault(name, count)
    sections = tuple((name, lengths.get(name)) for name, _ in out[:MOST_NAMED])
    return sections, [match[0] for match in best]


def _in_turn(parts: list[tuple[str, int | None, int]]) -> list[tuple[str, int | None]]:
    """Sections (name, bars, times) in order; "3 verses and 3 choruses" take turns."""
    both = [times for *_, times in parts]
    if len(parts) == 2 and min(both) > 1:
        return [(name, bars) for turn in range(max(both)) for name, bars, times in parts if turn < times]
    return [(name, bars) for name, bars, times in parts for _ in range(times)]


def _without(text: str, parts: list[str]) -> str:
    for part in parts:
        text = text.replace(part, " ", 1)
    return text


def _letters(prompt: str) -> Sections:
    """AABA, ABA form: letters that come in the order of the alphabet."""
    for match in _LETTERS.finditer(prompt):
        letters = (match[1] or match[2] or match[3]).upper()
        new = "".join(dict.fromkeys(letters))
        if LETTERS[: len(new)] == tuple(new) and len(new) > 1 and (letters != "ABBA" or match[3]):
            return tuple((letter, None) for letter in letters)
    return ()


def _known(text: str) -> Sections:
    letters = next((letters for name, letters in KNOWN_FORMS.items() if re.search(rf"\b{name}\b", text)), "")
    return tuple((letter, None) for letter in letters)


def _one_part(text: str) -> Sections:
    match = _ONE_PART.search(text)
    return ((NAMES[match["first"] or match["one"] or match["kind"]], None),) if match else ()


def _with_part(text: str) -> Sections:
    """The usual form that has most of the parts a prompt asks for, the others before its last section."""
    club = ELECTRONIC.search(text) is not None
    usual = SONG_WITH if club else SONG_WITH | ELSEWHERE
    names = [NAMES[match["name"]] for match in _WITH.finditer(text) if match[0].split(" ", 1)[-1] not in VERBS]
    names = [name for name in names if usual.get(name)]
    if not names:
        return ()
    form = max((usual[name].split() for name in names), key=lambda form: sum(name in form for name in names))
    form[-1:-1] = [name for name in dict.fromkeys(names) if name not in form]
    return tuple((name, None) for name in form)
