"""Phrases: whole ones in worded forms, sections that close, songs that end, no chord that outstays its welcome."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetune.planning.planner.constraints import PlanConstraints, whole_phrases
from musetune.planning.planner.everyday_words import read_everyday_words
from musetune.planning.planner.form_words import read_form
from musetune.planning.planner.planner import NANO, Planner
from musetune.planning.planner.prompt_constraints import narrow
from musetune.planning.planner.song_styles import check_styles
from musetune.symbols import LeadSheet
from musetune.symbols.remarks import collected

shipped = pytest.mark.skipif(
    not (NANO / "model.safetensors").is_file(), reason="the planner's weights are not in this checkout"
)
SONG = "verse chorus verse chorus bridge chorus"


@pytest.fixture(scope="module")
def planner() -> Planner:
    return Planner.from_pretrained("nano")


@given(st.text("ABCD", min_size=1, max_size=8), st.integers(1, 200), st.sampled_from((2, 4)))
def test_whole_phrases_add_up(form: str, bars: int, phrase: int) -> None:
    lengths = whole_phrases(list(form), bars, phrase)
    if lengths is not None:
        assert sum(lengths[label] for label in form) == bars
        assert all(length % phrase == 0 and length > 0 for length in lengths.values())
    singles = [label for label in form if form.count(label) == 1]
    if singles and bars % phrase == 0 and bars >= phrase * len(form) and bars <= 60:
        assert lengths is not None


def bars_of_sections(sheet: LeadSheet) -> list[int]:
    return [int(section.beats / sheet.meter.beats_per_bar) for section in sheet.sections]


@shipped
def test_worded_forms_of_worded_seconds_are_whole_phrases(planner: Planner) -> None:
    free = planner.plan(f"slow ballad, 90 seconds, {SONG}")
    assert [section.label for section in free.sections] == SONG.split()
    assert not [count for count in bars_of_sections(free) if count % 4]
    assert free.duration_s == pytest.approx(90, abs=60 * 4 / free.bpm)
    with collected() as said:
        pinned = planner.plan(f"pop at 100 bpm, 81 seconds, {SONG}")
    assert not [count for count in bars_of_sections(pinned) if count % 4]
    assert pinned.duration_s == pytest.approx(81, abs=5.1)
    assert pinned.duration_s != pytest.approx(81, abs=1.2)
    assert any("81 seconds" in remark and "phrases" in remark for remark in said)


@shipped
def test_tempi_are_chosen_so_that_seconds_are_whole_phrases(planner: Planner) -> None:
    for seed in range(3):
        sheet = planner.plan("reggae, 45 seconds", seed=seed)
        assert len(sheet.downbeats()) % 4 == 0
        assert sheet.duration_s == pytest.approx(45, abs=2.5)


@shipped
@pytest.mark.slow
def test_songs_come_home_and_sections_end_on_no_inversion(planner: Planner) -> None:
    prompts = ["military march", "lullaby", "minuet", "pop song", "country song", "ragtime"]
    pins = [PlanConstraints()] * len(prompts)
    for plan in planner.write(prompts, pins, seed=3):
        last = plan.content[plan.form[-1]][-1][-1]
        assert (last.degree, last.bass) == (0, 0)


@shipped
@pytest.mark.parametrize(
    "prompt", ["heavy dubstep, 140 bpm", "gospel waltz, slow, in F", "slow jazz ballad in A flat, 16 bars"]
)
def test_a_chord_leads_home_however_often_chords_have_changed(planner: Planner, prompt: str) -> None:
    """V, IV, ♭VII or ♭II stand before the last tonic, not what has sounded for bars."""
    sheet = planner.plan(prompt, seed=0)
    degrees = [(span.chord.root_pc - sheet.key.tonic_pc) % 12 for span in sheet.chords if span.chord.root is not None]
    assert degrees[-1] == 0
    assert next(degree for degree in reversed(degrees) if degree) in (1, 5, 7, 10)


@shipped
def test_chorales_end_on_the_tonic_in_root_position(planner: Planner) -> None:
    for seed in range(3):
        sheet = planner.plan("hymn for four voices in D, 16 bars", seed=seed)
        last = sheet.chords[-1].chord
        assert last.root_pc == sheet.key.tonic_pc
        assert last.bass_pc == last.root_pc


@shipped
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_no_chord_is_held_too_long_across_sections(planner: Planner, seed: int) -> None:
    prompts = ["punk", "bossa nova", "swing tune, AABA", "folk song", "gospel"]
    plans = planner.write(prompts, [PlanConstraints()] * len(prompts), seed=seed)
    for prompt, plan in zip(prompts, plans, strict=True):
        hold = read_everyday_words(prompt).style.hold
        roots = [chord[1:3] for label in plan.form for bar in plan.content[label] for chord in bar]
        starts = [index == 0 for label in plan.form for bar in plan.content[label] for index, _ in enumerate(bar)]
        longest = run = 0
        for index, (chord, start) in enumerate(zip(roots, starts, strict=True)):
            run = run + start if index and chord == roots[index - 1] else 1
            longest = max(longest, run)
        assert hold is not None
        assert longest <= hold, prompt


@shipped
def test_equal_seeds_draw_other_keys_for_other_prompts(planner: Planner) -> None:
    prompts = ["a pop song", "a rock song", "a folk song", "a soul song", "a disco song", "a loop", "a riff", "a vamp"]
    keys = {str(planner.plan(f"{prompt}, 4 bars", seed=1).key) for prompt in prompts}
    assert len(keys) > 3
    again = [planner.plan("a pop song, 4 bars", seed=1) for _ in range(2)]
    assert again[0] == again[1]


# -- words -------------------------------------------------------------------------------------------------------------


def test_sections_may_be_coloured() -> None:
    assert [name for name, _ in read_form("grunge song, quiet verse loud chorus").sections] == ["verse", "chorus"] * 2
    assert [name for name, _ in read_form("a soft intro, then a big chorus").sections] == ["intro", "chorus"]


def test_instruments_do_not_go_before_styles() -> None:
    blues = narrow(PlanConstraints(), "a standard 12-bar blues, guitar and harmonica")
    assert blues.style is not None
    assert blues.style.startswith("12-bar blues")
    assert blues.form == (("A", 12),)
    assert read_everyday_words("upbeat pop song with piano").meters == ("4/4",)
    assert dict(read_everyday_words("smoky jazz ballad").style.vocabulary)["sevenths"][0] > 0.6
    assert read_everyday_words("bebop head at breakneck speed").bpm == (248, 270)


def test_what_prompts_tell_of_the_length_is_pinned() -> None:
    assert narrow(PlanConstraints(), "folk tune, 20 bars").bars == 20
    assert narrow(PlanConstraints(), "folk tune, a minute long").seconds == 60
    assert narrow(PlanConstraints(bars=8), "folk tune, 20 bars").bars == 8
    assert narrow(PlanConstraints(), "folk tune with a fill every 4 bars").bars is None


# -- a style that is pinned --------------------------------------------------------------------------------------------


@shipped
def test_a_pinned_style_goes_before_the_prompts(planner: Planner) -> None:
    sheet = planner.plan("something for the beach, 8 bars", style="Bossa nova")
    assert sheet.style == "bossa nova, summer"
    assert (sheet.genre, 110 <= sheet.bpm <= 144) == ("jazz", True)
    assert planner.plan("", style="bossa nova", bpm=90, genre="pop", bars=4).bpm == pytest.approx(90)
    longer = planner.plan("", sheet=sheet, bars=12)
    assert (longer.style, len(longer.downbeats())) == (sheet.style, 12)


def test_unknown_styles_are_named_with_one_that_is_like_them() -> None:
    with pytest.raises(ValueError, match="did you mean 'bossa nova'"):
        check_styles("bosa nova")
    with pytest.raises(ValueError, match="name of a style"):
        check_styles(" ")
    assert check_styles("Swing, bossa nova,swing") == "swing, bossa nova"
