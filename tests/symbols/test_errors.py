"""Bad input: a ValueError that names the value, what is allowed and the nearest that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction as F

import pytest

from musetune.formats.key_names import read_key
from musetune.symbols import BeatGrid, Chord, ChordSpan, Key, KeySpan, LeadSheet, Meter, MeterSpan, Note, Section
from musetune.symbols.remarks import collected

SHEET = LeadSheet.parse("C G")  # 8 beats
C = Chord("C")


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: LeadSheet.parse("C", bpm=900), ["bpm=900", "30–300", "300"]),
        (lambda: LeadSheet.parse("C", bpm=float("nan")), ["bpm=nan", "not finite"]),
        (lambda: LeadSheet.parse("C", bpm="120"), ["bpm='120'", "not a number", "did you mean 120?"]),
        (lambda: LeadSheet.parse("C", bpm=None), ["bpm=None", "not a number"]),
        (lambda: BeatGrid.constant("fast", 4), ["bpm='fast'", "not a number"]),
        (lambda: Key.parse("H major"), ["'H major'", "did you mean"]),
        (lambda: Key.parse("D dorain"), ["'D dorain'", "did you mean"]),
        (lambda: LeadSheet.parse("C", key="C mayor"), ["'C mayor'", "'C major'"]),
        (lambda: LeadSheet.parse("C", key=""), ["''", "A–G", "'C major'"]),
        (lambda: Key.parse("Z"), ["'Z'", "did you mean"]),
        (lambda: Meter.parse("4-4"), ["'4-4'", "'4/4'"]),
        (lambda: Meter.parse("4/5"), ["4/5", "power of 2", "'4/4'"]),
        (lambda: Meter.parse("256/4"), ["256/4", "1–255"]),
        (lambda: Meter.parse(""), ["''", "'4/4'"]),
        (lambda: Meter.parse("²/4"), ["'²/4'", "did you mean"]),
        (lambda: LeadSheet.parse("C", genre="jaz"), ["'jaz'", "'jazz'"]),
        (lambda: LeadSheet.parse("C", duration_seconds=float("inf")), ["duration_seconds=inf", "not finite"]),
        (lambda: LeadSheet.parse("C", duration_seconds=float("nan")), ["duration_seconds=nan", "not finite"]),
        (lambda: LeadSheet.parse("C", duration_seconds=0), ["duration_seconds=0", "above 0"]),
        (lambda: LeadSheet.parse("C", duration_seconds="10"), ["duration_seconds='10'", "did you mean 10?"]),
        (lambda: LeadSheet.from_progression(["C"], beats_per_chord=0), ["beats_per_chord=0", "above 0"]),
        (lambda: LeadSheet.from_progression("| C |", beats_per_chord=2), ["bars", "beats_per_chord=2"]),
        (lambda: LeadSheet.parse("| % |"), ["'%'", "none"]),
        (lambda: LeadSheet.parse("| % C |"), ["'%'", "none"]),
        (lambda: LeadSheet.parse("| . C |"), ["'.'", "none"]),
        (lambda: LeadSheet.parse("| F |: C | G |"), ["'|: C | G |'", "':|'"]),
        (lambda: LeadSheet.parse(""), ["at least one chord"]),
    ],
)
def test_settings_and_text(call: Callable[[], object], named: list[str]) -> None:
    with pytest.raises(ValueError) as error:
        call()
    assert all(part in str(error.value) for part in named), error.value


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("C MAJOR", "C major"),
        ("Bb Major", "Bb major"),
        ("f# Minor", "F# minor"),
        ("CM", "C major"),
        ("Cm", "C minor"),
        ("C Moll", "C minor"),
    ],
)
def test_mode_words_are_read_in_any_case(text: str, key: str) -> None:
    assert str(Key.parse(text)) == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("D dorian", "D minor"),
        ("G:mixolydian", "G major"),
        ("eb Lydian", "Eb major"),
        ("F#phrygian", "F# minor"),
        ("B♭ locrian", "Bb minor"),
    ],
)
def test_a_church_mode_is_kept_by_its_third_and_said(text: str, key: str) -> None:
    for read in (Key.parse, lambda said: LeadSheet.parse("i", key=said).key, read_key):
        with collected() as said:
            assert str(read(text)) == key
        assert len(said) == 1
        assert f"is kept as {key}" in said[0]


def test_ionian_and_aeolian_are_major_and_minor() -> None:
    with collected() as said:
        assert (str(Key.parse("c ionian")), str(Key.parse("A aeolian"))) == ("C major", "A minor")
    assert said == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda: {"chords": (ChordSpan(F(6), F(4), C),)}, ["C:maj ends at beat 10", "end at beat 8", "2 beats", "=10"]),
        (lambda: {"chords": (ChordSpan(F(8), F(4), C),)}, ["ends at beat 12", "leave it out", "length=12"]),
        (lambda: {"chords": (ChordSpan(F(-1), F(4), C),)}, ["C:maj starts at beat -1", "before beat 0"]),
        (lambda: {"chords": (ChordSpan(F(0), F(0), C),)}, ["C:maj at beat 0", "beats=0", "more than 0"]),
        (lambda: {"chords": (ChordSpan(0.5, F(1), C),)}, ["start=0.5", "Fraction(1, 2)"]),
        (lambda: {"chords": (ChordSpan(F(0), 1 / 3, C),)}, ["beats=0.333", "Fraction(1, 3)"]),
        (
            lambda: {"chords": (ChordSpan(F(0), F(4), C), ChordSpan(F(2), F(4), C))},
            ["beat 2", "overlaps", "ends at beat 4"],
        ),
        (lambda: {"melody": (Note(F(0), F(1), 200),)}, ["pitch=200", "0–127"]),
        (lambda: {"melody": (Note(F(0), F(1), 60, 0),)}, ["velocity=0", "1–127"]),
        (lambda: {"melody": (Note(F(0), F(1), 60.5),)}, ["pitch=60.5", "whole number"]),
        (lambda: {"melody": (Note(F(0), F(0), 60),)}, ["note 60", "more than 0"]),
        (lambda: {"melody": (Note(F(7), F(2), 60),)}, ["note 60 at beat 7", "ends at beat 9", "1 beats"]),
        (lambda: {"sections": (Section(F(4), F(0), "A"),)}, ["section 'A' at beat 4", "beats=0", "more than 0"]),
        (lambda: {"sections": (Section(F(-1), F(2), "A"),)}, ["section 'A' starts at beat -1"]),
        (lambda: {"first_downbeat": F(-9)}, ["first_downbeat=-9", "did you mean 3?"]),
        (lambda: {"first_downbeat": 0.5}, ["first_downbeat=0.5", "Fraction(1, 2)"]),
        (lambda: {"length": 8.0}, ["length=8.0", "Fraction(8, 1)"]),
        (lambda: {"length": F(0), "chords": ()}, ["length=0", "more than 0"]),
        (lambda: {"keys": ()}, ["at least one key"]),
        (lambda: {"keys": (KeySpan(F(4), Key("C")), KeySpan(F(0), Key("D")))}, ["keys", "4, 0", "order"]),
        (lambda: {"meters": (MeterSpan(F(4), Meter(4, 4)), MeterSpan(F(0), Meter(3, 4)))}, ["meters", "4, 0"]),
    ],
)
def test_what_a_sheet_holds(change: Callable[[], dict], named: list[str]) -> None:
    with pytest.raises(ValueError) as error:
        replace(SHEET, **change())
    assert all(part in str(error.value) for part in named), error.value


def test_what_cropping_and_analysis_make_is_allowed() -> None:
    replace(SHEET, first_downbeat=F(-3))
    replace(SHEET, first_downbeat=F(7))
    replace(SHEET, grid=BeatGrid((-0.2, 0.3, 0.8)))  # goes on at its last interval


@pytest.mark.parametrize("read", [Key.parse, Meter.parse, Chord.parse])
def test_messages_do_not_repeat_a_long_text(read: Callable[[str], object]) -> None:
    with pytest.raises(ValueError) as error:
        read("A" * 10**6)
    assert len(str(error.value)) < 400
