"""JSON objects from files that strangers may have written: sizes, kinds and errors in one place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MAX_BYTES = 64 * 2**20  # a large tokenizer takes 20 MiB
LARGEST = 1e30  # of a number; NaN is none either
REMEDY = "write it anew, or take it out"


def read_json_object(path: str | Path) -> dict[str, Any]:
    """Return the JSON object that a file holds.

    Args:
        path: a file of UTF-8 text, at most 64 MiB.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: with the file's name, for a larger file and for what is no JSON object.
    """
    size = Path(path).stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{path} has {size:,} bytes, more than the {MAX_BYTES:,} that are read: {REMEDY}")
    return parse_json_object(Path(path).read_bytes(), str(path))


def parse_json_object(text: bytes | str, source: str) -> dict[str, Any]:
    """Return the JSON object that ``text`` spells.

    Args:
        text: JSON, in UTF-8 where it is bytes.
        source: what the text is called in errors.

    Raises:
        ValueError: for what is no JSON object.
    """
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(f"{source} is not JSON (it is nested too deep): {REMEDY}") from error
    except ValueError as error:
        raise ValueError(f"{source} is not JSON ({error}): {REMEDY}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{source} holds {type(value).__name__}, not an object: {REMEDY}")
    return value


def text_field(values: Mapping[str, Any], key: str, source: str) -> str | None:
    """Return the text under ``key``, None where there is none or null. Raises ValueError for anything else."""
    return _field(values, key, source, str, "text")


def number_field(values: Mapping[str, Any], key: str, source: str) -> float | int | None:
    """Return the finite number under ``key``, None where there is none or null. Raises ValueError for anything else."""
    value = _field(values, key, source, (int, float), "a number")
    if isinstance(value, bool) or (value is not None and not abs(value) < LARGEST):
        raise ValueError(f"{source} says {key}={repr(value)[:80]}, which is not a finite number: {REMEDY}")
    return value


def object_field(values: Mapping[str, Any], key: str, source: str) -> dict[str, Any]:
    """Return the object under ``key``, empty where there is none or null. Raises ValueError for anything else."""
    return _field(values, key, source, dict, "an object") or {}


def _field(values: Mapping[str, Any], key: str, source: str, kinds: type | tuple[type, ...], what: str) -> Any:
    value = values.get(key)
    if value is not None and not isinstance(value, kinds):
        raise ValueError(f"{source} says {key}={repr(value)[:80]}, which is not {what}: {REMEDY}")
    return value
