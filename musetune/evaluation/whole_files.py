"""Files and folders that are whole or absent, whenever a process is killed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path


def write_json(path: Path, value: object) -> Path:
    """Write JSON beside its place and rename it into it; the folder is made where it is missing.

    Args:
        path: The file; one that is there is replaced.
        value: What JSON holds; no NaN.

    Returns:
        The file.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_json(folder / "deep" / "figures.json", {"reward": 0.5}).read_text().split()
        ['{', '"reward":', '0.5', '}']
        >>> [path.name for path in (folder / "deep").iterdir()]
        ['figures.json']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(path.name + ".tmp")
    scratch.write_text(json.dumps(value, indent=1, allow_nan=False), encoding="utf-8")
    os.replace(scratch, path)
    return path


def replace_folder(source: Path, target: Path) -> Path:
    """Let a copy of a folder take another one's place; no half copy is ever called `target`.

    Args:
        source: What is copied.
        target: What it becomes; a folder that is there goes.

    Returns:
        `target`.
    """
    scratch = target.with_name(f".writing-{target.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(source, scratch)
    shutil.rmtree(target, ignore_errors=True)
    scratch.rename(target)
    return target
