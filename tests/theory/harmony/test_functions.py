"""What chords do in context: the record's functions."""

from __future__ import annotations

import pytest

from musetune.symbols import LeadSheet
from musetune.theory.harmony.function import FUNCTIONS, functions


def said(chart: str, key: str = "C major") -> list[str]:
    return functions(LeadSheet.parse(chart, key=key))


@pytest.mark.parametrize(
    ("chart", "key", "expected"),
    [
        ("| C | F | G | Am |", "C major", ["tonic", "subdominant", "dominant", "tonic_substitute"]),
        (
            "| Dm | Bdim | Em | C |",
            "C major",
            ["subdominant_substitute", "dominant_substitute", "tonic_substitute", "tonic"],
        ),
        ("| Am | F | E7 | Am |", "A minor", ["tonic", "subdominant_substitute", "dominant", "tonic"]),
        ("| C | C/G | G7 | C |", "C major", ["tonic", "dominant", "dominant", "tonic"]),  # cadential six-four
        ("| C | C/G | F | C |", "C major", ["tonic", "tonic", "subdominant", "tonic"]),  # a six-four that leads nowhere
        ("| Cm | Db/F | G7 | Cm |", "C minor", ["tonic", "predominant", "dominant", "tonic"]),  # Neapolitan
        ("| Cm | Ab7 | G | Cm |", "C minor", ["tonic", "predominant", "dominant", "tonic"]),  # German sixth
        ("| C | A7 | Dm | G |", "C major", ["tonic", "applied_dominant", "subdominant_substitute", "dominant"]),
        ("| C | C7 | F | G |", "C major", ["tonic", "applied_dominant", "subdominant", "dominant"]),
        ("| C7 | C7 | F7 | C7 |", "C major", ["tonic", "tonic", "subdominant", "tonic"]),  # a blues has no V7/IV
        ("| C | F#dim7 | G | C |", "C major", ["tonic", "applied_dominant", "dominant", "tonic"]),
        ("| Gm7 | C7 | F | C |", "C major", ["applied_subdominant", "applied_dominant", "subdominant", "tonic"]),
        ("| C | Fm | Bb7 | C |", "C major", ["tonic", "borrowed_subdominant", "borrowed_dominant", "tonic"]),
        ("| C | Bb | F | C |", "C major", ["tonic", "borrowed_subdominant", "subdominant", "tonic"]),
        ("| C | G | Ab | F |", "C major", ["tonic", "dominant", "borrowed_tonic", "subdominant"]),  # it deceives
        ("| Dm7 | Db7 | C | C |", "C major", ["subdominant_substitute", "dominant_substitute", "tonic", "tonic"]),
        ("| Eb7 | Abmaj7 | G7 | C |", "C major", ["applied_dominant", "borrowed_subdominant", "dominant", "tonic"]),
        ("| Am | E | Am | A |", "A minor", ["tonic", "dominant", "tonic", "borrowed_tonic"]),  # Picardy third
        ("| C | E | F | Fm |", "C major", ["tonic", "applied_dominant", "subdominant", "borrowed_subdominant"]),
    ],
)
def test_functions(chart: str, key: str, expected: list[str]) -> None:
    assert said(chart, key) == expected
    assert set(expected) <= set(FUNCTIONS)


def test_they_move_with_the_key() -> None:
    sheet = LeadSheet.parse("| C | A7 | Dm | Fm | C/G G7 | C | Ab7 | G7 |")
    for semitones in range(1, 12):
        assert functions(sheet.transpose(semitones)) == functions(sheet)


def test_silence_has_no_function_and_the_local_key_counts() -> None:
    from dataclasses import replace
    from fractions import Fraction

    from musetune.symbols import Key, KeySpan

    sheet = LeadSheet.parse("| C | N.C. | D | G |")
    assert functions(sheet) == ["tonic", "applied_dominant", "dominant"]
    later = replace(sheet, keys=(*sheet.keys, KeySpan(Fraction(8), Key("G"))))
    assert functions(later) == ["tonic", "dominant", "tonic"]
