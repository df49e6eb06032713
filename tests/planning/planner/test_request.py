"""What is pinned stays to the letter; the rest is written; what cannot be is said."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from small_planner import small_planner

from musetune.planning.planner.constraints_from_arguments import PlanArguments, request_from_arguments
from musetune.planning.planner.planner import Planner
from musetune.symbols import BeatGrid, Chord, ChordSpan, Key, KeySpan, LeadSheet, Meter, MeterSpan, Section


@pytest.fixture(scope="module")
def planner() -> Planner:
    return small_planner()


def labels(sheet: LeadSheet) -> list[tuple[str, int]]:
    return [(section.label, int(section.beats / sheet.meter.beats_per_bar)) for section in sheet.sections]


@pytest.mark.parametrize(
    ("pins", "holds"),
    [
        ({"key": "F# minor"}, lambda s: s.key == Key("F#", "minor")),
        ({"key": "E# minor"}, lambda s: s.key == Key("E#", "minor")),
        ({"bpm": 97.5}, lambda s: s.bpm == pytest.approx(97.5)),
        ({"time_signature": "12/8"}, lambda s: s.meter == Meter(12, 8)),
        ({"genre": "blues"}, lambda s: s.genre == "blues"),
        ({"bars": 7, "time_signature": "5/4"}, lambda s: s.length == 35),
        ({"duration_seconds": 30, "bpm": 120, "time_signature": "3/4"}, lambda s: s.duration_s == pytest.approx(30)),
        ({"sections": "AABA", "bars": 32}, lambda s: labels(s) == [("A", 8), ("A", 8), ("B", 8), ("A", 8)]),
        ({"sections": [("verse", 4), ("chorus", 6)]}, lambda s: labels(s) == [("verse", 4), ("chorus", 6)]),
        ({"sections": "verse chorus verse"}, lambda s: [name for name, _ in labels(s)] == ["verse", "chorus", "verse"]),
        (
            {"sections": [("B", 4)], "bars": 9},
            lambda s: labels(s)[0] == ("B", 4) and s.length == 9 * s.meter.beats_per_bar,
        ),
    ],
)
def test_a_pin_holds(planner, pins, holds):
    for seed in range(3):
        assert holds(planner.plan("anything", seed=seed, temperature=1.5, **pins))


def test_a_progression_fills_the_first_section_and_the_rest_is_written(planner):
    sheet = planner.plan(
        "anything", key="D minor", chords="i VII VI V", sections=[("A", 8), ("B", 4)], time_signature="4/4"
    )
    first = [span.chord.harte for span in sheet.chords if span.start < 32]
    assert first == ["D:min", "C:maj", "Bb:maj", "A:maj"] * 2
    assert [span for span in sheet.chords if span.start >= 32]


def test_chords_choose_the_mode_or_the_key(planner):
    for seed in range(4):
        assert planner.plan("x", chords="i iv V", bars=3, seed=seed, temperature=1.5).key.mode == "minor"
        assert planner.plan("x", chords="I IV V", bars=3, seed=seed, temperature=1.5).key.mode == "major"
        absolute = planner.plan(
            "x", chords="| Am | F C | G |", bars=3, seed=seed, temperature=1.5, time_signature="4/4"
        )
        assert str(absolute.key) in ("A minor", "C major")
        assert [span.chord.harte for span in absolute.chords] == ["A:min", "F:maj", "C:maj", "G:maj"]


def test_a_chart_keeps_its_inversions_and_places(planner):
    sheet = planner.plan("x", key="G major", chords="| G . G/B C | D/F# |", bars=2, time_signature="4/4")
    assert [(span.start, span.chord.harte) for span in sheet.chords] == [
        (0, "G:maj"),
        (2, "G:maj/3"),
        (3, "C:maj"),
        (4, "D:maj/3"),
    ]


def edited() -> LeadSheet:
    """Eight bars, of which the third has no chord; a chord off the grid, a tune, a change of key."""
    spans = [(0, 4, "D:min7"), (4, 4, "G:7"), (12, Fraction(3, 2) + Fraction(1, 12), "C:maj"), (16, 16, "F:maj/3")]
    zero = Fraction(0)
    return LeadSheet(
        tuple(ChordSpan(Fraction(a), Fraction(b), Chord.parse(c)) for a, b, c in spans),
        (KeySpan(zero, Key("C")), KeySpan(Fraction(16), Key("F"))),
        (MeterSpan(zero, Meter(4, 4)),),
        BeatGrid.constant(91, 32),
        Fraction(32),
        (Section(zero, Fraction(16), "verse"), Section(Fraction(16), Fraction(16), "verse")),
        "jazz",
    )


def test_going_on_keeps_the_sheet_and_writes_its_gaps(planner):
    old = edited()
    new = planner.plan("anything", sheet=old)
    assert set(old.chords) < set(new.chords)
    assert all(8 <= span.start < 12 for span in set(new.chords) - set(old.chords))
    assert (new.keys, new.grid, new.sections, new.genre, new.length) == (old.keys, old.grid, old.sections, "jazz", 32)


def test_going_on_beyond_the_end(planner):
    old = edited()
    new = planner.plan("anything", sheet=old, bars=20, seed=3)
    assert new.length == 80
    assert set(old.chords) < set(new.chords)
    assert new.sections[:2] == old.sections
    assert new.chords[-1].end == 80
    assert "A" not in [s.label for s in old.sections]


def test_going_on_keeps_exact_chords_where_a_section_comes_back(planner):
    chords = ["C7#9", "Fm(maj7)", "G7b9", "Cm7", "C7#9", "F", "G7b9", "Cm"]
    old = replace(
        LeadSheet.from_progression(chords, key="C minor", beats_per_chord=4), sections=(Section(0, 32, "verse"),)
    )
    for seed in range(40):
        new = planner.plan("anything", sheet=old, bars=40, seed=seed)
        again = [section.start for section in new.sections if section.label == "verse" and section.start]
        if again:
            break
    assert new.chords[: len(old.chords)] == old.chords
    verse = [span.chord for span in new.chords if again[0] <= span.start < again[0] + 32]
    assert verse == [span.chord for span in old.chords]
    moved = planner.plan("anything", sheet=old, bars=40, seed=seed, key="D minor")
    assert [span.chord.intervals for span in moved.chords[:3]] == [chord.intervals for chord in verse[:3]]


def test_a_sheet_moves_to_another_key_and_tempo(planner):
    old = edited()
    new = planner.plan("anything", sheet=old, key="Eb major", bpm=100, genre="pop")
    assert new.chord_at(0).harte == "F:min7"
    assert (new.key, new.genre) == (Key("Eb"), "pop")
    assert new.bpm == pytest.approx(100)


def test_a_begun_bar_becomes_a_whole_one(planner):
    sheet = LeadSheet.from_progression(["C", "G"], beats_per_chord=3, bpm=100)
    new = planner.plan("anything", sheet=sheet)
    assert (sheet.length, new.length) == (6, 8)
    assert new.chords[-1].end == 8


@pytest.mark.parametrize(
    ("pins", "message"),
    [
        ({"bpm": 900}, "outside 30–300"),
        ({"genre": "polka"}, "not one of pop"),
        ({"time_signature": "11/8"}, "not one that songs are planned in"),
        ({"key": "H major"}, "not a tonic"),
        ({"bars": 0}, "1–512"),
        ({"bars": 2.5}, "whole number"),
        ({"bars": 8, "duration_seconds": 10}, "give one"),
        ({"duration_seconds": -1}, "outside 0–999"),
        ({"sections": ""}, "names none"),
        ({"sections": [("A", 99)]}, "1–64"),
        ({"sections": [("A", 8), ("A", 4)]}, "comes back"),
        ({"sections": "AABA", "bars": 3}, "do not hold"),
        ({"sections": "AA", "bars": 15}, "shared out"),
        ({"sections": [("A", 64)], "duration_seconds": 2}, "does not hold"),
        ({"sections": "AB", "bpm": 60, "duration_seconds": 0.5}, "does not hold"),
        ({"chords": "C Q7 G"}, "Q7"),
        ({"chords": ""}, "at least one chord"),
        ({"temperature": -1}, "temperature=-1"),
    ],
)
def test_what_cannot_be_is_said(planner, pins, message):
    with pytest.raises(ValueError, match=message):
        planner.plan("anything", **pins)


@pytest.mark.parametrize(
    ("change", "pins", "message"),
    [
        ({}, {"bars": 4}, "cut it with sheet.slice"),
        ({}, {"chords": "I IV"}, "brings its own"),
        ({}, {"key": "A minor"}, "not a transposition"),
        ({}, {"time_signature": "3/4"}, "one meter"),
        ({"first_downbeat": Fraction(1)}, {}, "pickup"),
        ({"meters": (MeterSpan(Fraction(0), Meter(4, 4)), MeterSpan(Fraction(16), Meter(3, 4)))}, {}, "one meter"),
    ],
)
def test_a_sheet_that_cannot_go_on(planner, change, pins, message):
    with pytest.raises(ValueError, match=message):
        planner.plan("anything", sheet=replace(edited(), **change), **pins)


def test_absolute_chords_leave_open_only_keys_that_fit():
    pins = request_from_arguments(PlanArguments(chords="Dm7 G7 Cmaj7")).pins
    assert pins.keys is not None
    assert [str(key) for key in pins.keys] == ["C major"]
