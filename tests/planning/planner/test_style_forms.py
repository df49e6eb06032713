"""Songs of a length have the form of their style: sections come back, phrases are whole, the end is home."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musetune.planning.planner.constraints import MOST_SECTION, PlanConstraints, phrases_near
from musetune.planning.planner.grammar import song
from musetune.planning.planner.language import Plan, PlanChord
from musetune.planning.planner.planner import NANO, Planner
from musetune.planning.planner.prompt_constraints import narrow
from musetune.planning.planner.song_style import SongStyle
from musetune.planning.planner.style_forms import choruses, draw_form_of_length, sections_of
from musetune.planning.planner.style_progressions import _release_ending, _release_static, approaches
from musetune.symbols import Key, LeadSheet, Meter

shipped = pytest.mark.skipif(
    not (NANO / "model.safetensors").is_file(), reason="the planner's weights are not in this checkout"
)
FORMS = ("A:8 A:8 B:8 A:8", "intro:4 verse:8 chorus:8 verse:8 chorus:8 bridge:8 chorus:8 outro:4", "A:16 B:16", "AABB")
TONIC, DOMINANT, SIXTH = ((PlanChord(0, degree, quality),) for degree, quality in ((0, "maj"), (7, "maj"), (9, "min")))


@pytest.fixture(scope="module")
def planner() -> Planner:
    return Planner.from_pretrained("nano")


def at_random(pins: PlanConstraints, seed: int) -> Plan:
    """A plan of words drawn evenly from those that the grammar allows."""
    rng, grammar = random.Random(seed), song(pins)
    words = next(grammar)
    while True:
        try:
            words = grammar.send(rng.choice(words))
        except StopIteration as done:
            return done.value


# -- lengths -----------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(st.sampled_from(FORMS), st.integers(1, 400), st.integers(0, 9))
def test_a_form_of_any_length_is_the_styles(form: str, bars: int, seed: int) -> None:
    drawn = draw_form_of_length([(form, 1.0)], bars, random.Random(seed))
    whole = sections_of(form)
    assert set(drawn) <= set(whole)
    assert bool(drawn) == (bars >= next(count for name, count in whole if name != "intro"))
    if bars >= 32 and drawn:
        labels = [name for name, _ in drawn]
        assert len(set(labels)) < len(labels) or form == "A:16 B:16"
        assert 0.5 <= sum(count for _, count in drawn) / bars <= 2


@settings(max_examples=50)
@given(st.text("ABCD", min_size=1, max_size=10), st.integers(1, 300), st.sampled_from((1, 2, 4)))
def test_sections_stay_near_their_usual_bars(form: str, bars: int, phrase: int) -> None:
    usual = [(label, 8) for label in sorted(set(form))]
    lengths = phrases_near(list(form), bars, phrase, usual)
    if lengths is not None:
        assert sum(lengths[label] for label in form) == bars
        assert all(0 < length <= MOST_SECTION and length % phrase == 0 for length in lengths.values())
    assert phrases_near(list(form), 8 * len(form), phrase, usual) == dict(usual)


def test_choruses_are_whole_and_the_rest_is_an_ending() -> None:
    blues = SongStyle("blues", forms=(("A:12", 1.0),))
    assert choruses(blues, 36) == (("A", 12),) * 3
    assert choruses(blues, 26) == (("A", 12), ("outro", 14))
    assert choruses(blues, 7) == ()


@pytest.mark.parametrize(
    "prompt", ["techno", "bebop", "pop song", "trance", "tango", "lullaby", "12-bar blues", "reggae"]
)
@pytest.mark.parametrize("length", ["1 minute", "2:30", "4 minutes", "64 bars"])
def test_a_song_of_a_length_has_sections_that_come_back(prompt: str, length: str) -> None:
    """Those of trance need more than 64 bars for that."""
    plan = at_random(narrow(PlanConstraints(), f"{prompt}, {length}", "0:0"), 1)
    labels = [label for label in plan.form if label not in ("intro", "outro")]
    assert len(set(labels)) <= 5
    assert len(set(labels)) < len(labels) or plan.bars < (65 if prompt == "trance" else 24)
    assert all(len(bars) % 4 == 0 for label, bars in plan.content.items() if label != "outro"), plan.form


@pytest.mark.parametrize("seconds", [20.0, 61.0, 100.0])
def test_seconds_of_a_caller_are_kept(seconds: float) -> None:
    for prompt in ("blues at 120 bpm", "techno", "pop"):
        plan = at_random(narrow(PlanConstraints(seconds=seconds, bpm=120.0), prompt), 2)
        assert plan.bars * plan.meter.beats_per_bar / 2 == pytest.approx(seconds, abs=1)


def test_sections_that_a_model_makes_up_are_phrases() -> None:
    """No intro of seven bars, and no rest of one: chords pinned, so that no form is drawn."""
    for seed in range(60):
        plan = at_random(PlanConstraints(bars=40, phrase=4), seed)
        assert all(len(bars) >= 4 for bars in plan.content.values())
        assert len(plan.content.get("intro", ())) % 4 == 0


# -- endings -----------------------------------------------------------------------------------------------------------


def test_a_style_comes_home_from_its_own_chords() -> None:
    rock = SongStyle("rock", progressions=(("major", ("C | Bb | F | C", "C | Am")), ("minor", ("Am | G",))))
    assert approaches(rock) == {"major": (7, 5), "minor": (7, 5, 10)}
    flamenco = SongStyle("flamenco", progressions=(("major", ("C | Db",)),))
    assert approaches(flamenco)["major"] == (7, 5, 1)


def test_the_last_two_bars_are_left_open_where_they_are_no_cadence() -> None:
    sections = (("A", 4), ("B", 4))
    bars = {("B", index): bar for index, bar in enumerate((TONIC, DOMINANT, SIXTH, TONIC))}
    _release_ending(bars, sections, (7, 5), home=True)
    assert sorted(bars) == [("B", 0), ("B", 1), ("B", 3)]
    bars = {("B", index): bar for index, bar in enumerate((TONIC, SIXTH, DOMINANT, SIXTH))}
    _release_ending(bars, sections, (7, 5), home=True)
    assert sorted(bars) == [("B", 0), ("B", 1), ("B", 2)]
    bars = {("B", index): bar for index, bar in enumerate((TONIC, SIXTH, SIXTH, DOMINANT))}
    _release_ending(bars, sections, (7, 5), home=False)
    assert len(bars) == 4


def test_no_root_goes_on_too_long_from_section_to_section() -> None:
    sections = (("A", 4), ("A", 4), ("A", 4))
    bars = {("A", index): TONIC for index in range(4)}
    _release_static(bars, sections, 8, home=False)
    assert ("A", 3) not in bars


@shipped
@pytest.mark.slow
def test_songs_of_a_length_end_in_a_cadence(planner: Planner) -> None:
    prompts = ["lullaby, 3 minutes", "synthwave, verse chorus verse chorus, 90 seconds", "country song, 40 bars",
               "soul, 1 minute", "grunge, 2 minutes", "techno, 4 minutes"]  # fmt: skip
    for plan in planner.write(prompts, [PlanConstraints()] * len(prompts), seed=3):
        chords = [chord for label in plan.form for bar in plan.content[label] for chord in bar]
        before = next(chord.degree for chord in reversed(chords) if chord.degree != chords[-1].degree)
        assert chords[-1].degree == 0
        assert before in (7, 5, 10, 1)


def test_a_song_with_an_outro_comes_home_whatever_its_style() -> None:
    """Jazz goes round, but not after an outro: what its progression has there instead of the tonic is left open."""
    pins = narrow(PlanConstraints(), "jazz, intro, verse, chorus, outro")
    sections = (("intro", 4), ("A", 8), ("B", 8), ("outro", 4))
    for mode in ("major", "minor"):
        last = pins.content(Key("A", mode), Meter(4, 4), sections).get(("outro", 3))
        assert last is None or last[-1].degree == 0


@shipped
def test_a_length_does_not_take_the_form_away(planner: Planner) -> None:
    sheet: LeadSheet = planner.plan("techno, 4 minutes", seed=0)
    labels = [section.label for section in sheet.sections]
    assert sheet.duration_s == pytest.approx(240, abs=2)
    assert {"build", "drop"} <= set(labels) <= {"intro", "build", "drop", "breakdown", "outro"}
