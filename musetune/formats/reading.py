"""How every reader fails: a ValueError that names the file and says in plain words why, whatever the cause was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from musetune.symbols.limits import shorten


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn whatever goes wrong in reading ``path`` into a ValueError: ``song.mid is not a standard MIDI file …: why``.

    what: what the file should be, "a standard MIDI file". FileNotFoundError and PermissionError stay what they are.
    """
    try:
        yield
    except (FileNotFoundError, PermissionError):
        raise
    except ValueError as error:
        raise ValueError(f"{path.name} is not {what}: {shorten(error, 600)}") from error
    except RecursionError as error:
        raise ValueError(f"{path.name} is not {what}: it is nested too deeply") from error
    except OverflowError as error:
        raise ValueError(f"{path.name} is not {what}: a number in it is too large") from error
    except (LookupError, TypeError, AttributeError, ArithmeticError, EOFError, MemoryError) as error:
        raise ValueError(
            f"{path.name} is not {what}: its parts do not fit together ({type(error).__name__})"
        ) from error
