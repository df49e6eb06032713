"""Cadences close phrases; a V–I inside one is none."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from musetune.symbols import LeadSheet, Note, Section
from musetune.theory.harmony.cadence import cadences


def said(sheet: LeadSheet, voices=None) -> list[tuple[str, str, float]]:  # type: ignore[no-untyped-def]
    return [(c.type, c.subtype, float(c.at_beat)) for c in cadences(sheet, voices)]


def chart(text: str, key: str = "C major", time_signature: str = "4/4") -> LeadSheet:
    return LeadSheet.parse(text, key=key, time_signature=time_signature)


@pytest.mark.parametrize(
    ("text", "key", "expected"),
    [
        ("| C | F | G7 | C |", "C major", [("authentic", "perfect", 12)]),
        ("| C | F | G7/B | C |", "C major", [("authentic", "imperfect", 12)]),
        ("| C | F | Bdim | C |", "C major", [("authentic", "imperfect", 12)]),
        ("| C | G | F | C |", "C major", [("plagal", "", 12)]),
        ("| C | Am | Dm | G |", "C major", [("half", "", 12)]),
        ("| C | F | G | Am | F | G7 | C | C |", "C major", [("deceptive", "", 12), ("authentic", "perfect", 24)]),
        ("| Am | Dm | E | F | Dm | E7 | Am | Am |", "A minor", [("deceptive", "", 12), ("authentic", "perfect", 24)]),
        ("| C | F | C/G G7 | C |", "C major", [("authentic", "perfect", 12)]),
        ("| Dm7 | G7 | Dm7 Db7 | C |", "C major", [("authentic", "imperfect", 12)]),
        ("| Am | Em | Dm | Am |", "A minor", [("plagal", "", 12)]),
        ("| Am | Dm | Em | Am |", "A minor", []),  # without a leading tone
    ],
)
def test_types(text: str, key: str, expected: list[tuple[str, str, float]]) -> None:
    assert said(chart(text, key)) == expected


def test_not_every_dominant_and_tonic_are_a_cadence() -> None:
    sheet = chart("| C | G | C | G | C | G | C | F |")
    assert not any(kind == "authentic" for kind, *_ in said(sheet))
    loop = chart("| C | G | Am | F | C | G | Am | F |")
    assert said(loop) == []


def test_a_section_that_ends_is_a_phrase_that_ends() -> None:
    sheet = chart("| C | G | C | Am | F | G | F | Am |")
    assert ("authentic", "perfect", 8) not in said(sheet)
    parts = (Section(Fraction(0), Fraction(12), "A"), Section(Fraction(12), Fraction(20), "B"))
    assert ("authentic", "perfect", 8) in said(replace(sheet, sections=parts))


def test_a_perfect_cadence_has_the_tonic_on_top() -> None:
    sheet = chart("| C | F | G7 | C |")
    tune = [(76, 0), (77, 4), (74, 8), (72, 12)]
    melody = tuple(Note(Fraction(at), Fraction(4), pitch) for pitch, at in tune)
    assert said(replace(sheet, melody=melody)) == [("authentic", "perfect", 12)]
    third = (*melody[:-1], Note(Fraction(12), Fraction(4), 76))
    assert said(replace(sheet, melody=third)) == [("authentic", "imperfect", 12)]
    below = tuple(Note(Fraction(at), Fraction(4), 48) for at in (0, 4, 8, 12))
    assert said(sheet, (below, third)) == [("authentic", "imperfect", 12)]
    assert said(sheet, (below, melody)) == [("authentic", "perfect", 12)]


def test_long_notes_of_the_melody_end_phrases() -> None:
    sheet = chart("| C | F G7 | C | F | Am | F | Am | F |")
    busy = tuple(Note(Fraction(k), Fraction(1), 74 + 2 * (k % 3)) for k in range(32))
    stops = tuple(note for note in busy if note.start not in (9, 10, 11))
    stops = tuple(replace(n, pitch=76, beats=Fraction(4)) if n.start == 8 else n for n in stops)
    assert 8 not in [at for *_, at in said(replace(sheet, melody=busy))]
    assert ("authentic", "imperfect", 8) in said(replace(sheet, melody=stops))


def test_strength_falls_with_meter_and_rises_to_the_end() -> None:
    on_line = cadences(chart("| C | F | G7 | C |"))[0].strength
    assert on_line == 1.0
    off = cadences(chart("| C | F | Dm | G7 C |"))[0]
    assert off.at_beat == 14
    assert off.strength < on_line
