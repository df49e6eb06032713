"""JSON objects from files that strangers may have written: sizes, kinds and errors in one place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from musetune.symbols.limits import MIB, check_count, quote, read_bytes

JSON_BYTES = 4 * MIB
LARGEST = 1e30  # of a number; NaN is none either
REMEDY = "write it anew, or take it out"


def read_json(path: Path) -> Any:
    """The value of a file of JSON. Raises ValueError for more than ``JSON_BYTES`` and for what is no JSON."""
    return parse_json(read_bytes(path, JSON_BYTES))


def parse_json(data: bytes | str) -> Any:
    """The value of a JSON text of at most ``JSON_BYTES``.

    Raises ValueError for what is no JSON, NaN and infinities included.
    """
    check_count("bytes of JSON", len(data), JSON_BYTES)
    try:
        text = data if isinstance(data, str) else data.decode("utf-8-sig")
        return json.loads(text, parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no JSON: byte {error.start} is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error}") from error
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply to be read") from error


def _no_number(name: str) -> float:
    raise ValueError(f"it says {name} where a number should stand")


def read_json_object(path: str | Path) -> dict[str, Any]:
    """Return the JSON object that a file holds.

    Args:
        path: a file of UTF-8 text, at most 4 MiB.

    Raises:
        FileNotFoundError: where there is no such file.
        ValueError: with the file's name, for a larger file and for what is no JSON object.
    """
    try:
        text = read_bytes(Path(path), JSON_BYTES)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return parse_json_object(text, str(path))


def parse_json_object(text: bytes | str, source: str) -> dict[str, Any]:
    """Return the JSON object that ``text`` spells.

    Args:
        text: JSON, in UTF-8 where it is bytes.
        source: what the text is called in errors.

    Raises:
        ValueError: for what is no JSON object.
    """
    try:
        value = parse_json(text)
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
        raise ValueError(f"{source} says {key}={quote(value)}, which is not a finite number: {REMEDY}")
    return value


def texts_field(values: Mapping[str, Any], key: str, source: str) -> list[str]:
    """Return the texts under ``key``, none where there is none or null. Raises ValueError for anything else."""
    texts = _field(values, key, source, list, "a list of texts") or []
    if wrong := [value for value in texts if not isinstance(value, str)]:
        raise ValueError(f"{source} says {key} has {repr(wrong[0])[:80]}, which is not text: {REMEDY}")
    return texts


def object_field(values: Mapping[str, Any], key: str, source: str) -> dict[str, Any]:
    """Return the object under ``key``, empty where there is none or null. Raises ValueError for anything else."""
    return _field(values, key, source, dict, "an object") or {}


def _field(values: Mapping[str, Any], key: str, source: str, kinds: type | tuple[type, ...], what: str) -> Any:
    value = values.get(key)
    if value is not None and not isinstance(value, kinds):
        raise ValueError(f"{source} says {key}={quote(value)}, which is not {what}: {REMEDY}")
    return value
