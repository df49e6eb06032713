"""Forms that prompts word: names that come back are sections that come back, and what is no form is left alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetune.planning.planner.constraints import PlanConstraints
from musetune.planning.planner.form_words import NAMES, read_form, sections_as_labels
from musetune.planning.planner.grammar import song
from musetune.planning.planner.prompt_constraints import narrow


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        ("verse chorus verse chorus bridge chorus", "verse chorus verse chorus bridge chorus"),
        ("pop: intro, verse, chorus, bridge, chorus x2, outro", "intro verse chorus bridge chorus chorus outro"),
        ("two verses, a chorus and then a middle eight", "verse verse chorus bridge"),
        ("chorus twice, then a coda", "chorus chorus outro"),
        ("intro build drop breakdown drop", "intro build drop breakdown drop"),
        ("verse-chorus form", "verse chorus verse chorus"),
        ("jazz standard, AABA", "A A B A"),
        ("an aaba form ballad", "A A B A"),
        ("32-bar form", "A A B A"),
        ("a rondo", "A B A C A"),
        ("rock song with a bridge", "verse chorus verse chorus bridge chorus"),
        ("EDM drop in F minor", "drop"),
        ("the chorus of a pop hit", "chorus"),
        ("32 bar AABA in Eb, with an intro and a coda", "intro A A B A outro"),
        ("jazz, aaba", "A A B A"),
        ("verse, pre chorus, chorus", "verse pre-chorus chorus"),
        ("verse 16 chorus 8", "verse chorus"),
        ("verse 1, chorus, verse 2, chorus", "verse chorus verse chorus"),
        ("3 verses and 3 choruses", "verse chorus verse chorus verse chorus"),
        ("folk, 4 verses, no chorus", "verse verse verse verse"),
        ("(verse chorus) x 3", "verse chorus verse chorus verse chorus"),
        ("quiet verse loud chorus", "verse chorus verse chorus"),
        ("metal with a breakdown", "verse chorus verse chorus breakdown chorus"),
        ("looped beat", "A"),
        ("metal riff", "A"),
        ("a drum loop", "A"),
    ],
)
def test_words_for_forms_are_sections(prompt: str, names: str) -> None:
    assert " ".join(name for name, _ in read_form(prompt).sections) == names


@pytest.mark.parametrize(
    "prompt",
    [
        "a bad dad in a cab",
        "in the style of ABBA",
        "a chorus of angels",
        "piano solo",
        "a break-up song",
        "drop the bass",
        "builds up slowly",
        "techno, builds up slowly",
        "folk with a drop",
        "16 bars of funk",
        "my hometown has a bridge",
        "",
    ],
)
def test_what_is_no_form_is_none(prompt: str) -> None:
    assert read_form(prompt).sections == ()


@pytest.mark.parametrize(
    ("prompt", "bars"),
    [
        ("8 bar verse, 16 bar chorus, 8 bar verse", [8, 16, 8]),
        ("verse (12 bars), chorus (4 bars), verse", [12, 4, 12]),
        ("intro: 4 bars, verse: 8 bars", [4, 8]),
        ("16-bar loop", [16]),
        ("verse 16 chorus 8", [16, 8]),
        ("32 bar AABA with an intro", [4, 8, 8, 8, 8]),
    ],
)
def test_bars_of_sections_are_as_told(prompt: str, bars: list[int]) -> None:
    form = read_form(prompt)
    assert [count for _, count in form.measure(random.Random(0))] == bars


def test_a_long_song_goes_through_its_form_again() -> None:
    sections = read_form("AABA, 256 bars").measure(random.Random(0))
    assert "".join(name for name, _ in sections) == "AABAAABA"


@given(st.lists(st.sampled_from(sorted(set(NAMES.values()))), min_size=1, max_size=20), st.integers(0, 99))
def test_equal_names_have_equal_labels_and_bars(names: list[str], seed: int) -> None:
    sections = read_form(", ".join(names)).measure(random.Random(seed)) or tuple((name, None) for name in names)
    labels, called = sections_as_labels(sections)
    back = dict(called)
    assert [back[label] for label, _ in labels] == [name for name, _ in sections]
    assert len(set(labels)) == len({name for name, _ in sections})
    assert all(label != "outro" for label, _ in labels[:-1])


@given(
    st.sampled_from(["verse chorus verse chorus bridge chorus", "AABA jazz", "intro verse chorus", "a riff", "blues"]),
    st.integers(1, 512) | st.none(),
    st.floats(1, 999) | st.none(),
)
def test_no_form_contradicts_what_is_pinned(prompt: str, bars: int | None, seconds: float | None) -> None:
    """Whatever the length, the grammar has a way to its end that has this length."""
    pins = narrow(PlanConstraints(bars=bars, seconds=None if bars else seconds), prompt)
    rng = random.Random(0)
    grammar = song(pins)
    choices = next(grammar)
    plan = None
    while plan is None:
        try:
            choices = grammar.send(rng.choice(choices))
        except StopIteration as done:
            plan = done.value
    assert bars is None or plan.bars == bars


@pytest.mark.parametrize(
    ("prompt", "form"),
    [
        ("rock ballad in 6/8, big chorus", "verse chorus verse chorus bridge chorus"),
        ("pop with a huge chorus and a guitar solo", "verse chorus verse chorus solo chorus"),
        ("post-rock, slow build", ""),
    ],
)
def test_parts_that_a_prompt_asks_for_choose_the_form(prompt: str, form: str) -> None:
    assert " ".join(name for name, _ in read_form(prompt).sections) == form


def test_sections_that_a_prompt_excludes_are_left_out_of_the_styles_form() -> None:
    for length in ("", ", 2 minutes"):
        for seed in range(4):
            pins = narrow(PlanConstraints(), f"pop song without a bridge{length}", seed)
            assert "bridge" not in dict(pins.names).values()
            assert "chorus" in dict(pins.names).values()


def test_twelve_bars_of_a_style_that_has_them_are_the_blues() -> None:
    assert narrow(PlanConstraints(), "rock'n'roll 12-bar in A").form == (("A", 12),)
    assert narrow(PlanConstraints(), "12-bar blues, 2 minutes").form == (("A", 12),) * 4
