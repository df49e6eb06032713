"""YAML files that a user wrote: documents parted by ---, without anchors, of a bounded size, with errors to act on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from reprlib import Repr

import yaml  # type: ignore[import-untyped]

from musetune.symbols.names import suggest

_shorten = Repr()
_shorten.maxstring = _shorten.maxother = 80


def short(value: object) -> str:
    """Show a value of a user's file in a message, cut where it is long."""
    try:
        return _shorten.repr(value)
    except ValueError:  # an integer of more digits than Python writes
        return f"a {type(value).__name__} of very many digits"


class _PlainLoader(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
    """Reads YAML without anchors: a few of them can stand for more than fits into memory."""

    def compose_node(self, parent: object, index: object) -> object:
        """Refuse what refers to another place."""
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.composer.ComposerError(
                None, None, "write values out: * is not read", self.peek_event().start_mark
            )
        return super().compose_node(parent, index)


def read_documents(file: Path, kind: str, largest: int, example: str) -> list[object]:
    """The documents of a YAML file, empty ones left out.

    Args:
        file: The file.
        kind: What its documents are, plural, for messages: "genres".
        largest: Most bytes.
        example: Where examples of such a file are, for messages.

    Returns:
        What each document holds.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is too large, no YAML, or nests too deeply.
    """
    if not file.is_file():
        raise FileNotFoundError(f"no file {file}; give a YAML file of {kind}, such as those in {example}")
    if file.stat().st_size > largest:
        raise ValueError(f"{file.name} has more than {largest} bytes; few {kind} need so many: split the file")
    try:
        return [row for row in yaml.load_all(file.read_bytes().decode(), _PlainLoader) if row is not None]
    except (yaml.YAMLError, ValueError, ArithmeticError) as error:  # of dates and numbers Python's own errors
        raise ValueError(f"{file.name} is not YAML: {' '.join(str(error).split())[:300]}") from None
    except RecursionError:
        raise ValueError(f"{file.name} is not a list of {kind}: it nests too deeply") from None


def check_fields(row: dict, allowed: Iterable[str], where: str) -> None:
    """Raise ValueError for an entry that is none of the ``allowed``; ``where`` begins the message."""
    names = tuple(allowed)
    for name in row:
        if name not in names:
            raise ValueError(
                f"{where}: unknown entry {short(name)}; allowed are {', '.join(names)}{suggest(short(name), names)}"
            )


def read_range(value: object, allowed: tuple[float, float], where: str, name: str) -> tuple[float, float]:
    """Two numbers that rise within ``allowed``, both ends included.

    Raises ValueError for anything else; ``where`` names the file, ``name`` the entry.
    """
    low, high = allowed
    numbers = isinstance(value, list) and all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in value)
    if not numbers or len(value) != 2:  # type: ignore[arg-type]
        raise ValueError(
            f"{where}: {name}={short(value)} is not two numbers; write for example {name}: [{low:g}, {high:g}]"
        )
    ends: list[float] = value  # type: ignore[assignment]
    first, last = ends
    if not low <= first <= last <= high:
        fix = f"write [{short(last)}, {short(first)}]" if first > last else "move it inside"
        raise ValueError(f"{where}: {name}={short(value)} does not rise within {low:g}–{high:g}; {fix}")
    return float(first), float(last)
