"""Files that a command is to write: none that is there already is lost unless --force says so."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

Force = Annotated[bool, typer.Option("--force", help="write over files that are there already")]


def check_new(paths: Iterable[Path], force: bool, option: str = "-o") -> None:
    """Refuse to write over files, before anything heavy is loaded.

    Args:
        paths: What will be written; a folder counts where it holds something.
        force: Whether all of them may be written over.
        option: The option that names them.

    Raises:
        FileExistsError: One is there already.
    """
    there = [path for path in paths if path.is_file() or (path.is_dir() and any(path.iterdir()))]
    if there and not force:
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        choices = f"give another name with {option}, or --force to write over it"
        raise FileExistsError(f"{there[0]} is there already{more}: {choices}")
