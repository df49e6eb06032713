"""What a prompt says that goes before its style, or is read as something else: meters, modes, chords, misspellings."""

from __future__ import annotations

import pytest

from musetune.planning.planner.chord_words import chords_in
from musetune.planning.planner.constraints import PlanConstraints
from musetune.planning.planner.everyday_words import read_everyday_words
from musetune.planning.planner.language import PlanChord, absolute
from musetune.planning.planner.planner import NANO, Planner
from musetune.planning.planner.prompt_constraints import narrow
from musetune.symbols import Key
from musetune.symbols.remarks import collected

shipped = pytest.mark.skipif(
    not (NANO / "model.safetensors").is_file(), reason="the planner's weights are not in this checkout"
)


def test_a_worded_meter_is_the_plans_and_contradictions_are_said() -> None:
    with collected() as said:
        pins = narrow(PlanConstraints(), "jazz waltz in 4/4")
    assert pins.meters == ("4/4",)
    assert said == ["jazz waltz is in 3/4; the prompt's 4/4 goes before it"]
    with collected() as said:
        assert narrow(PlanConstraints(), "jazz waltz in 3/4").meters == ("3/4",)
    assert said == []


@pytest.mark.parametrize(
    ("prompt", "style"),
    [
        ("bosa nova for two", "bossa nova"),
        ("raggae", "reggae"),
        ("techo at night", "techno"),
        ("synth wave", "synthwave"),
        ("drum n base", "drum and bass"),
    ],
)
def test_misspelled_styles_are_read_with_a_remark(prompt: str, style: str) -> None:
    reading = read_everyday_words(prompt)
    assert reading.styled == style
    assert any("is read as" in said for said in reading.remarks)


@pytest.mark.parametrize(
    "prompt",
    [
        "house of cards",
        "a trap door",
        "my soul is tired",
        "the horse in the rain",
        "a song",
        "bluesy rock",
        "a rock song",
        "write a rock tune in E",
        "pop, verse chorus",
        "happy music",
        "classic pop song",
        "birds singing in the morning",
        "break my heart",
        "she breaks my heart",
        "a mental state",
        "my heartbeat",
        "every minute of it",
        "a phrase on a trail",
        "a thrill in the county",
        "trash without a trace",
        "a grudge, a strike",
        "coral reef",
        "a song about a truck driver",
        "slow lfo modulation",
    ],
)
def test_what_only_sounds_like_a_style_is_none(prompt: str) -> None:
    reading = read_everyday_words(prompt)
    assert not {"house", "trap", "soul"} & set(reading.styled.split(", "))
    assert reading.remarks == ()


@pytest.mark.parametrize(
    ("prompt", "keys", "remarked"),
    [
        ("A mixolydian rock", ["A major"], True),
        ("flamenco in E phrygian", ["E minor"], True),
        ("metal in E phrygian dominant", ["E major"], True),
        ("a ballad in d-Moll", ["D minor"], False),
        ("Es ist C-Dur", ["C major"], False),
    ],
)
def test_church_modes_and_german_keys(prompt: str, keys: list[str], remarked: bool) -> None:
    reading = read_everyday_words(prompt)
    assert [str(key) for key in reading.keys] == keys
    assert bool(reading.remarks) == remarked


@pytest.mark.parametrize("prompt", ["prog rock, not in 4/4", "anything but 4/4", "rock, no 4/4"])
def test_a_meter_that_is_not_meant_is_left_out(prompt: str) -> None:
    meters = read_everyday_words(prompt).meters
    assert meters
    assert "4/4" not in meters


def test_words_that_are_no_length_leave_the_styles_form() -> None:
    for prompt in ("country song about a bad day", "a little love song for my dad"):
        assert narrow(PlanConstraints(), prompt).form
    form = read_everyday_words("AABA with an intro, 30 bars").form
    assert form.bars == 30
    assert [name for name, _ in form.sections] == ["intro", "A", "A", "B", "A"]


def test_a_change_of_key_is_not_left_out_in_silence() -> None:
    assert any("one key" in said for said in read_everyday_words("pop with a key change at the end").remarks)


@pytest.mark.parametrize("style", ["techno", "trance"])
def test_modes_are_drawn_as_the_style_weighs_them(style: str) -> None:
    modes = [{key.mode for key in narrow(PlanConstraints(), style, seed).keys or ()} for seed in range(40)]
    assert all(len(one) == 1 for one in modes)
    assert sum(one == {"minor"} for one in modes) in range(22, 40)
    assert {key.mode for key in narrow(PlanConstraints(), f"happy {style}").keys or ()} == {"major"}


# -- chords ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "chords"),
    [
        ("a song with Am F C G", "Am F C G"),
        ("pop with the chords I V vi IV", "I V vi IV"),
        ("jazz, ii7–V7–Imaj7, 120 bpm", "ii7 V7 Imaj7"),
        ("funk over Em7 A7", "Em7 A7"),
        ("blues on C7#9, F7, G7#9", "C7#9 F7 G7#9"),
        ("jazz, C-7 F7 Bbmaj7", "C-7 F7 Bbmaj7"),
        ("A G chord vamp", None),
        ("getting over it. A D minor ballad", None),
        ("symphony, parts I, II, III", None),
        ("AABA, A B A", None),
        ("in C or G", None),
        ("I want I don't know what", None),
    ],
)
def test_chords_that_a_prompt_writes_out(prompt: str, chords: str | None) -> None:
    assert chords_in(prompt) == chords


@shipped
def test_the_prompts_chords_are_the_plans() -> None:
    planner = Planner.from_pretrained("nano")
    assert planner.plan("a song with Am F C G, 8 bars").chord_labels[:4] == ["A:min", "F:maj", "C:maj", "G:maj"]
    sheet = planner.plan("pop with the chords I V vi IV in D, 8 bars")
    assert (str(sheet.key), sheet.chord_labels[:2]) == ("D major", ["D:maj", "A:maj"])


@pytest.mark.parametrize(
    ("key", "chord", "name"),
    [
        ("G# minor", PlanChord(0, 4, "5"), "C:5"),
        ("Eb major", PlanChord(0, 8, "7"), "B:7"),
        ("G major", PlanChord(0, 8, "dim7"), "D#:dim7"),
        ("C major", PlanChord(0, 3, "maj"), "Eb:maj"),
        ("F# major", PlanChord(0, 11, "hdim7"), "E#:hdim7"),
    ],
)
def test_roots_have_names_that_musicians_read(key: str, chord: PlanChord, name: str) -> None:
    assert str(absolute(chord, Key.parse(key))) == name
