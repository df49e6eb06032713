"""Styles that prompts name, as written in styles.yaml or in a user's file: meters, tempo, harmony, form, instruments.

docs/reference/styles.md describes the fields. A user's styles are read before those of the package; one of the same
name takes its place.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from os import PathLike
from pathlib import Path

from musetune.formats.plain_yaml import read_documents, short
from musetune.planning.planner.player_words import is_player_words, players_called, with_players
from musetune.planning.planner.prompt_text import normalise, shared_words
from musetune.planning.planner.song_style import SongStyle, join_styles
from musetune.planning.planner.style_rows import FIELDS, read_style
from musetune.symbols.names import suggest

BUILT_IN = Path(__file__).with_name("styles.yaml")
LARGEST = 2**17  # bytes of a file of styles
_SPACE = re.compile(r"\\?[ -]")


def styles_in(text: str, file: str | PathLike | None = None) -> tuple[SongStyle, ...]:
    """The styles that a prompt's shared words (``prompt_text.shared_words``) name, those that go first first."""
    return tuple(style for style, words in _table(file) if words.search(text))


def read_styles(file: str | PathLike) -> tuple[SongStyle, ...]:
    """The styles of a YAML file.

    Args:
        file: Its path; at most LARGEST bytes.

    Returns:
        The styles in the file's order.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Something in it is not as docs/reference/styles.md says; the message names the entry and the fix.

    Example:
        >>> styles = read_styles(BUILT_IN)
        >>> next(style.tempo for style in styles if style.style == "techno")
        (122, 140)
    """
    path = Path(file)
    documents = read_documents(path, "styles", LARGEST, str(BUILT_IN))
    if not documents:
        raise ValueError(f"{path.name} is empty; it needs at least style: NAME and one of {', '.join(FIELDS[1:])}")
    styles = tuple(read_style(row, path.name) for row in documents)
    names = [style.style.lower() for style in styles]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"{path.name} has two styles called {twice!r}; put what they say into one")
    return styles


def all_styles(file: str | PathLike | None = None) -> tuple[SongStyle, ...]:
    """The styles of a user's file, then those of the package that it does not replace."""
    own = () if file is None else read_styles(file)
    names = {style.style.lower() for style in own}
    return (*own, *(style for style in _built_in() if style.style.lower() not in names))


def style_called(names: str | None, file: str | PathLike | None = None) -> SongStyle | None:
    """The style that a lead sheet names, for those who play it.

    Args:
        names: Names parted by commas, as in `musetune.symbols.LeadSheet.style`; each says what those before left open.
            "no drums", "with guitar" and "lead on flute" among them say who plays, before all styles.
        file: A user's file of styles, which go first.

    Returns:
        What they say together, under the first one's name; None where no such style is known.

    Example:
        >>> style = style_called("bossa nova")
        >>> style.groove("bass"), style.instrument("lead"), style.feel.kind
        (('bossa_two',), 'flute', 'straight')
    """
    called, players = styles_called(names or "", file), players_called(names or "")
    if not called and not players:
        return None
    joined = join_styles(called)
    grooves, instruments = with_players(joined.grooves, joined.instruments, players)
    return replace(joined, style=joined.style or ", ".join(players), grooves=grooves, instruments=instruments)


def styles_called(names: str, file: str | PathLike | None = None) -> tuple[SongStyle, ...]:
    """The styles of these names, parted by commas, in the names' order; other names are left out."""
    known = {style.style.lower(): style for style in all_styles(file)}
    return tuple(known[name.strip().lower()] for name in names.split(",") if name.strip().lower() in known)


def check_styles(names: str, file: str | PathLike | None = None) -> str:
    """Names of styles, and what is said of players, parted by commas, as the table has them.

    Raises:
        ValueError: For a name that is none, and for what is no text; the message names one that is like it.
    """
    if not isinstance(names, str) or not names.strip():
        raise ValueError(f"style={short(names)} is not the name of a style; give such as 'bossa nova'")
    known = {style.style.lower(): style.style for style in all_styles(file)}
    out = []
    for name in names.split(","):
        plain = name.strip().lower()
        if is_player_words(plain):
            out.append(plain)
            continue
        if plain not in known:
            raise ValueError(
                f"style={short(name.strip())} is not one of the {len(known)} styles of docs/reference/styles.md"
                f"{suggest(plain, tuple(known))}; name it in the prompt, or write it into a file of styles"
            )
        out.append(known[plain])
    return ", ".join(dict.fromkeys(out))


@lru_cache(maxsize=1)
def _built_in() -> tuple[SongStyle, ...]:
    return read_styles(BUILT_IN)


@lru_cache(maxsize=1)
def _built_in_table() -> tuple[tuple[SongStyle, re.Pattern[str]], ...]:
    return tuple((style, _pattern(style)) for style in _built_in())


def _table(file: str | PathLike | None) -> tuple[tuple[SongStyle, re.Pattern[str]], ...]:
    if file is None:
        return _built_in_table()
    return tuple((style, _pattern(style)) for style in all_styles(file))


def plain_genres(text: str) -> str:
    """Shared words with the genres as plain words."""
    return re.sub(r"<genre:(\w+)>", r"\1", text)


def _pattern(style: SongStyle) -> re.Pattern[str]:
    """Any of a style's names as whole words, with or without a space or hyphen between them, also in the plural."""
    words = [plain_genres(shared_words(normalise(name))) for name in (style.style, *style.also)]
    names = [_SPACE.sub("[ -]?", re.escape(word)).replace(r"\*", r"\w*") for word in sorted(words, key=len)[::-1]]
    return re.compile(rf"(?<![\w-])(?:{'|'.join(names)})(?:s|'s)?(?![\w-])", re.IGNORECASE)
