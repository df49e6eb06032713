"""Whatever a prompt or a pin says, it is read or refused with ValueError, soon."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetune.planning.planner.constraints_from_arguments import PlanArguments, request_from_arguments
from musetune.planning.planner.prompt_text import LONGEST, check_prompt, normalise, shared_words
from tests.helpers.fuzz import fuzz

SLOWEST_S = 2.0
WORDS = (
    "a", "half", "minute", "minutes", "and a half", "hundred", "one", "twenty", "dozen", "bars", "bpm", "seconds",
    "6/8", "F#", "sharp", "minor", "jazz", ":", "'", "0", "1e999", "٣", "♯", "\u200d", "<genre:pop>", "9" * 500,
    "2'30\"", "80s",
)  # fmt: skip
BEYOND: tuple[dict, ...] = (
    {"sections": "A" * 10**6}, {"chords": "C " * 10**6}, {"chords": ["C"] * 10**6}, {"key": "C" * 10**6},
    {"bars": 10**400}, {"bpm": float("nan")}, {"duration_seconds": float("inf")}, {"genre": "x" * 10**6},
    {"sections": [("a",)]}, {"time_signature": "9" * 10**6 + "/4"}, {"sections": [("a", 10**5000)]},
)  # fmt: skip
ANYTHING = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.binary(max_size=5)
    | st.lists(st.text(max_size=5) | st.integers() | st.tuples(st.text(max_size=3), st.integers()), max_size=5)
)  # fmt: skip


@fuzz
@given(st.text(max_size=300) | st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join))
def test_any_prompt(prompt: str) -> None:
    started = time.process_time()
    assert isinstance(shared_words(normalise(prompt)), str)
    assert time.process_time() - started < SLOWEST_S


@pytest.mark.parametrize("unit", ["a", "9", "one hundred ", "minute ", "1:59", "F#", "ﷺ", " ", "and a half ", "1 min "])
def test_the_longest_prompts_are_read_soon(unit: str) -> None:
    prompt = (unit * LONGEST)[:LONGEST]
    started = time.process_time()
    shared_words(normalise(prompt))
    assert time.process_time() - started < SLOWEST_S


@pytest.mark.parametrize(
    "prompt", ["x" * 10**6, "\ud800", None, 5, b"pop"], ids=["long", "half", "none", "int", "bytes"]
)
def test_what_is_no_prompt(prompt: object) -> None:
    with pytest.raises(ValueError, match="prompt "):
        check_prompt(prompt)  # type: ignore[arg-type]


@fuzz
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(PlanArguments.__dataclass_fields__, ANYTHING)))
def test_any_pins(pins: dict) -> None:
    started = time.process_time()
    message = ""
    try:
        request_from_arguments(PlanArguments(**pins))
    except ValueError as error:
        message = str(error)
    assert len(message) < 2000
    assert time.process_time() - started < SLOWEST_S


@pytest.mark.parametrize("pins", BEYOND, ids=lambda pins: next(iter(pins)))
def test_pins_beyond_all_bounds(pins: dict) -> None:
    started = time.process_time()
    with pytest.raises(ValueError):
        request_from_arguments(PlanArguments(**pins))
    assert time.process_time() - started < SLOWEST_S
