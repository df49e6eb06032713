"""Under which licence an adapter may be shared: what follows from its base and from the music that it learned."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

UNKNOWN = "unknown"  # the Hub's word too
OPEN = re.compile(
    r"cc0.*|cc-?zero.*|(public|open) ?domain|pd|pddl.*|mit|apache.*|bsd.*|isc|unlicense|cc-by(-\d.*)?|own|mine|my own|"
    r"all rights mine"
)
MUSIC = (
    "An adapter keeps something of its music; whether that makes it a derived work is not settled, so this card takes "
    "the careful side. It is no legal advice."
)


class Licence(NamedTuple):
    """A licence as the Hub spells it, and why it is that one."""

    name: str
    reason: str


def normal(text: str) -> str:
    """A licence's name in small letters with hyphens: "CC BY-NC 4.0" is cc-by-nc-4.0."""
    words = re.sub(r"[\s_]+", " ", text.strip().lower())
    return words.replace(" ", "-") if words.startswith(("cc", "apache", "bsd")) else words


def kind_of_licence(text: str) -> str:
    """`open`, `nc`, `sa`, `nc-sa`, `nd` or `unknown`: what a licence of music asks of what is made from it.

    Example:
        >>> [kind_of_licence(text) for text in ("CC BY 4.0", "CC-BY-NC-SA-4.0", "own", "all rights reserved")]
        ['open', 'nc-sa', 'open', 'unknown']
    """
    name = normal(text)
    if OPEN.fullmatch(name):
        return "open"
    if match := re.fullmatch(r"cc-by((?:-(?:nc|nd|sa))+)(-\d.*)?", name):
        parts = set(match[1].strip("-").split("-"))
        return "nd" if "nd" in parts else "-".join(part for part in ("nc", "sa") if part in parts)
    return UNKNOWN


def derive_licence(base: str | None, base_reason: str, music: Sequence[str]) -> Licence:
    """The licence of an adapter.

    Args:
        base: Of the base, as the Hub spells it; None: unknown.
        base_reason: Why that one, in a sentence.
        music: Of the music, each licence once; "unknown" among them where a song has none; empty: nobody said.

    Returns:
        The licence; `unknown` where it cannot be told, and the reason says what to do.

    Example:
        >>> derive_licence("apache-2.0", "", ["CC-BY-4.0", "CC BY-NC 4.0"]).name
        'cc-by-nc-4.0'
        >>> derive_licence("apache-2.0", "", []).name
        'unknown'
    """
    if base is None:
        return Licence(UNKNOWN, base_reason)
    kinds = {licence: kind_of_licence(licence) for licence in music}
    if not music or UNKNOWN in music:
        return Licence(
            UNKNOWN,
            f"Unknown: {'of some of the music' if music else 'of the music'} nobody said under which licence it is. "
            "Train with --data-license, or state the adapter's licence yourself with --license.",
        )
    listed = ", ".join(music)
    if blocked := [licence for licence, kind in kinds.items() if kind in ("nd", UNKNOWN)]:
        return Licence(
            UNKNOWN,
            f"Unknown: from music under {', '.join(blocked)} nothing follows that this card could name. State the "
            "adapter's licence yourself with --license, if you may share it.",
        )
    demands = {kind for kind in kinds.values() if kind != "open"}
    if base == "cc-by-nc-sa-4.0":
        demands.discard("nc")
        if "sa" in demands:
            return _contradiction(f"the base under {base}", listed)
        return Licence(base, f"{base_reason} The music is under {listed}, which allows that. {MUSIC}")
    if not demands:
        return Licence(base, f"{base_reason} The music is under {listed}, which allows that; name its authors. {MUSIC}")
    if demands == {"nc"}:
        return Licence("cc-by-nc-4.0", f"CC BY-NC 4.0: the music is under {listed}, so not for commercial use. {MUSIC}")
    shared = sorted({normal(licence) for licence, kind in kinds.items() if kind.endswith("sa")})
    if len(shared) == 1 and (demands == {"sa"} or "sa" not in demands):
        return Licence(shared[0], f"{shared[0]}: the music is under {listed}, whose share-alike clause holds. {MUSIC}")
    return _contradiction(f"music under {' and '.join(shared)}", listed)


def _contradiction(first: str, listed: str) -> Licence:
    return Licence(
        UNKNOWN,
        f"Unknown: {first} and music under {listed} ask for different licences of what is made from them. Leave some "
        "of the music out, or state the adapter's licence yourself with --license, if you may share it.",
    )
