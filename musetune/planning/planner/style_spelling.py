"""Names of styles that a prompt misspells: "raggae", "bosa nova", "synth wave"."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from os import PathLike

from musetune.planning.planner.song_style import SongStyle
from musetune.planning.planner.song_styles import all_styles

SHORTEST = 5  # letters of a word that may be a name misspelled
ALIKE = 0.83  # share of letters that it has in common with the name
PLAIN = ("song", "pop", "rock")  # styles beside which another one may be meant
OCCASIONS = frozenset(  # whose names are near everyday words: "music" is no slip of "musical"
    (
        "musical", "classical", "film score", "horror", "noir", "lounge", "funeral", "acoustic music", "piano piece",
        "orchestral", "workout music", "boss fight", "video game", "party", "halloween", "wedding", "christmas",
        "children's song", "summer", "love song", "anime", "jingle", "break-up song", "show tune", "riff", "beat",
    )
)  # fmt: skip
NO_SLIPS = frozenset(  # words of their own beside a style's name
    (
        "music", "classic", "singing", "singer", "break", "breaks", "breaking", "mental", "heartbeat", "minute",
        "phrase", "phrases", "trail", "thrill", "county", "trace", "trash", "grudge", "strike", "strive", "coral",
        "sewing", "counter", "horse", "house", "mouse",
    )
)  # fmt: skip
MOST_WORDS = 4  # of a name
SMALL = frozenset(
    ("a", "an", "the", "in", "of", "on", "my", "some", "or", "and", "with", "no", "is", "as")
)  # at no beginning
MOST_READ = 60  # words of a prompt that are looked at
_WORD = re.compile(r"(?<![<\w:/])[a-z&'-]+(?![\w>:/])")


def _names(file: str | PathLike | None) -> tuple[str, ...]:
    """Names of the styles that say how music goes, occasions left out."""
    return tuple(
        name.lower()
        for style in all_styles(file)
        if style.meters and style.progressions and style.style not in PLAIN and style.style not in OCCASIONS
        for name in (style.style, *style.also)
        if "*" not in name and len(name) >= SHORTEST
    )


def respell(text: str, found: Sequence[SongStyle], file: str | PathLike | None = None) -> tuple[str, tuple[str, ...]]:
    """A prompt's words with the name of a style in place of what is nearly one.

    Args:
        text: The prompt's shared words.
        found: The styles that it names as it stands. Where one of them has progressions, nothing is changed.
        file: A YAML file of styles that go before those of the package.

    Returns:
        The words, and what is to be remarked: at most one name is changed.

    Example:
        >>> respell("raggae in the sun", ())
        ('reggae in the sun', ("'raggae' is no style: it is read as reggae",))
    """
    if any(style.progressions and style.style not in PLAIN for style in found):
        return text, ()
    words = list(_WORD.finditer(text))[:MOST_READ]
    best: tuple[float, int, int, str] | None = None
    squeezed = {name.replace(" ", "").replace("-", ""): name for name in _names(file)}
    for size in range(MOST_WORDS, 0, -1):
        for first in range(len(words) - size + 1):
            if words[first].group() in SMALL:  # "a rock song" is no alt rock
                continue
            start, end = words[first].start(), words[first + size - 1].end()
            spelled = text[start:end]
            plain = re.sub(r"[ '-]", "", spelled)
            if len(plain) < SHORTEST or spelled in NO_SLIPS or re.search(r"[<>,.;]", spelled):
                continue
            for match in difflib.get_close_matches(plain, squeezed, n=1, cutoff=ALIKE):
                ratio = difflib.SequenceMatcher(None, plain, match).ratio()
                if plain.startswith(match) and plain != match:  # "bluesy", "swings": a colour, not a slip
                    continue
                if match[0] == plain[0] and spelled != squeezed[match] and (best is None or ratio > best[0]):
                    best = ratio, start, end, squeezed[match]
    if best is None:
        return text, ()
    _, start, end, name = best
    return text[:start] + name + text[end:], (f"{text[start:end]!r} is no style: it is read as {name}",)
