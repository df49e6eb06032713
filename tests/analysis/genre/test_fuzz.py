"""A user's file of genres is read or refused with ValueError, soon and in a message of bounded length."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetune.analysis.genre.conventions import BUILT_IN, load_conventions
from tests.helpers.fuzz import fuzz

SLOWEST_S = 3.0
GOOD = [path.read_text(encoding="utf-8") for path in sorted(BUILT_IN.glob("*.yaml"))]
LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]\n" for a, b in zip("abcdefghijkl", "bcdefghijklm")
)
PIECES = (
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "<<: ",
    "- ",
    "? ",
    "!!python/object:os.system ",
    "!!binary ",
    "\t",
    "---\n",
    "1e999",
    ".nan",
    "0x" + "f" * 6000,
    "9" * 5000,
    "2020-13-45",
    "190:20:30",
    "null",
    "~",
    "\0",
    "\ufeff",
    "%YAML 9\n",
)
BOMBS = {
    "laughs": LAUGHS,
    "itself": "genre: &a [*a]",
    "brackets": "[" * 60000,
    "dashes": "- " * 30000,
    "digits": "genre: x\ntempo: [0x" + "f" * 60000 + ", 3]",
    "large": "genre: x\n" * 9999,
    "date": "genre: x\ntempo: [3, 2020-99-99]",
    "key": "? [a]\n: b",
    "nan": "genre: x\ntempo: [.nan, .inf]",
    "falling": "genre: x\ntempo: [9e99, -9e99]",
}


def outcome(path: Path, data: bytes) -> bool:
    """Whether the file is read."""
    path.write_bytes(data)
    started = time.process_time()
    message = "genres.yaml"
    try:
        rows = load_conventions(path)
    except ValueError as error:
        rows, message = (), str(error)
    assert time.process_time() - started < SLOWEST_S
    assert "genres.yaml" in message
    assert len(message) < 3000
    return bool(rows)


@fuzz
@given(
    st.sampled_from(GOOD),
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from(PIECES) | st.text(max_size=4)), max_size=4),
)
def test_mutated_files(tmp_path: Path, text: str, changes: list[tuple[float, str]]) -> None:
    for where, piece in changes:
        at = int(where * len(text))
        text = text[:at] + piece + text[at + len(piece) // 2 :]
    outcome(
        tmp_path / "genres.yaml",
        text.encode(errors="surrogateescape") if text.isascii() else text.encode("utf-8", "replace"),
    )


@fuzz
@given(st.binary(max_size=200))
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    outcome(tmp_path / "genres.yaml", data)


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_bombs(tmp_path: Path, text: str) -> None:
    assert not outcome(tmp_path / "genres.yaml", text.encode())


def test_the_shipped_files_are_read(tmp_path: Path) -> None:
    assert all(outcome(tmp_path / "genres.yaml", text.encode()) for text in GOOD)
