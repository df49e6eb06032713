"""Tempi that a prompt leaves open: its numbers, its words such as fast or laid-back, and what its styles allow.

A word moves the tempo within what is usual for the style: fast bebop is another tempo than a fast waltz. Italian terms
have tempi of their own, whatever the style: a presto is one in a waltz, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

Tempi = tuple[int, int]  # fewest and most beats a minute

NAMED_TEMPO = re.compile(
    r"\b(?:slow\w*|fast\w*|quick\w*|rapid|speedy|swift|brisk|lively|(?:up|mid|down)-?tempo|up-?beat|medium|moderate\w*|"
    r"leisurely|unhurried|relaxed|laid[ -]?back|easy-?going|crawling|dragging|sluggish|rushing|racing|hurried|frantic|"
    r"galloping|energetic|high-energy|breakneck|steady|snappy|walking[ -]pace|chilled|tempo|pace|largo|grave|lento|"
    r"larghetto|adagi\w+|andant\w+|moderato|allegr\w+|vivace|vivo|prest\w+|"
    r"blistering\w*|blazing\w*|insanely|furious\w*)\b",
    re.IGNORECASE,
)
# words by their direction: the transformer knows how fast each is, but now and then takes one for the other
FAST = re.compile(
    r"\b(?:(?:up-?|very |really |super )?(?:fast|quick)|up-?(?:beat|tempo)|lively|brisk|energetic|high-energy|rapid|"
    r"presto|vivace|breakneck|blistering\w*|blazing\w*|insanely)\b",
    re.IGNORECASE,
)
SLOW = re.compile(
    r"\b(?:slow(?!(?:ly)? (?:build\w*|burn\w*|crescendo|fade|rise))|slow-moving|crawling|dragging|sluggish|"
    r"largo|lento|adagio|down-?tempo)\b",
    re.IGNORECASE,
)
EASY = re.compile(r"\b(?:leisurely|unhurried|relaxed|laid[ -]?back|easy-?going|chilled)\b", re.IGNORECASE)
MEDIUM = re.compile(r"\b(?:medium|moderate(?:ly)?|mid-?tempo|steady)\b(?![ -]?(?:up|fast|slow))", re.IGNORECASE)
NOT_TOO_FAST = re.compile(r"\bnot (?:too|so|very) (?:fast|quick|hurried)\b", re.IGNORECASE)
NOT_TOO_SLOW = re.compile(r"\bnot (?:too|so|very) slow\b", re.IGNORECASE)
VERY = re.compile(
    r"\b(?:breakneck|blistering\w*|blazing\w*|lightning|furiously|insanely|crawling|"
    r"(?:super|very|really|extremely|ultra)[ -]?(?:fast|quick|slow))\b",
    re.IGNORECASE,
)
HEDGED = re.compile(
    r"\b(?:not (?:too|so|very)|medium|moderate\w*|mid-?tempo|then|but|becom\w+|turn\w*|speed(?:s|ing)?[ -]up|builds?|"
    r"gets?|less|more)\b",
    re.IGNORECASE,
)
NUMBER = re.compile(  # that may be a tempo: 30–399, of nothing else
    r"<(?:0><[3-9]|[123]><\d)><\d>(?! bars| seconds|/|[ -](?:different )?chord|-?bit\b)"
)
ITALIAN = {  # beats a minute that a word allows
    "largo": (42, 60),
    "grave": (38, 54),
    "lento": (46, 64),
    "larghetto": (56, 68),
    "adagio": (60, 76),
    "andante": (74, 100),
    "andantino": (80, 106),
    "moderato": (98, 118),
    "allegretto": (108, 126),
    "allegro": (120, 156),
    "allegro moderato": (112, 128),
    "vivace": (144, 176),
    "presto": (168, 200),
    "prestissimo": (196, 240),
    "allegro vivace": (136, 168),
    "allegro molto": (130, 168),
    "adagietto": (68, 84),
    "andante con moto": (84, 108),
    "allegro con brio": (130, 168),
    "allegro ma non troppo": (112, 140),
    "vivo": (140, 170),
}
MARKING = re.compile(rf"\b(?:{'|'.join(sorted(ITALIAN, key=len, reverse=True))})\b", re.IGNORECASE)
FAST_BPM, SLOW_BPM = (108, 260), (30, 92)  # beats a minute where no style says more
PART, EXTREME = 0.4, 0.25  # of a style's range is what "fast", "very fast" or, of a slow style, "slow" mean
BELOW, NEAR = 0.8, 0.2  # slow for a style that is not: from this share of its slowest tempo to this part of its range


def tempo_range(text: str, ranges: Sequence[Tempi | None]) -> Tempi | None:
    """The tempi that a prompt's words leave open.

    Args:
        text: The prompt's shared words (``prompt_text.shared_words``).
        ranges: Fewest and most beats a minute of each of its styles, the one that goes first first.

    Returns:
        The first style's where neither number nor word names the tempo; an Italian term's own; what a word means of the
        styles', "fast" of the fastest and "slow" of the slowest; None where the transformer reads the tempo.

    Example:
        >>> tempo_range("a fast one", [(120, 180)]), tempo_range("laid-back", [(120, 180)]), tempo_range("fast", [])
        ((156, 180), (120, 150), (108, 260))
    """
    known = [one for one in ranges if one is not None]
    usual = known[0] if known else None
    if NUMBER.search(text):
        return None
    if NAMED_TEMPO.search(text) is None:
        return usual
    if markings := {found.lower() for found in MARKING.findall(text)}:
        return ITALIAN[markings.pop()] if len(markings) == 1 and not HEDGED.search(text) else usual
    fast, slow = FAST.search(text) is not None, SLOW.search(text) is not None
    if HEDGED.search(text) or fast == slow:
        return usual if usual is None else _hedged(text, usual)
    if not known:
        return FAST_BPM if fast else SLOW_BPM
    low, high = max(known, key=sum) if fast else min(known, key=sum)
    part = EXTREME if VERY.search(text) else PART
    if fast:
        return round(high - part * (high - low)), high
    if high <= SLOW_BPM[1]:  # the style is slow itself
        return low, round(low + part * (high - low))
    return round(BELOW * low), round(low + NEAR * (high - low))


def _hedged(text: str, usual: Tempi) -> Tempi:
    """The part of a style's tempi that words of degree mean: medium, not too fast, laid-back."""
    low, high = usual
    first, last = 0.0, 1.0
    if NOT_TOO_FAST.search(text) or EASY.search(text):
        last = 0.5
    elif NOT_TOO_SLOW.search(text):
        first = 0.5
    elif MEDIUM.search(text):
        first, last = 0.15, 0.6
    return round(low + first * (high - low)), round(low + last * (high - low))
