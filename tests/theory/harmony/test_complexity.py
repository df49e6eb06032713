"""Progression complexity and its parts."""

from __future__ import annotations

import pytest

from musetune.symbols import LeadSheet
from musetune.theory.harmony.complexity import PARTS, complexity_parts, progression_complexity
from musetune.theory.numerals.context import romans


def sheet(text: str, key: str = "C major") -> LeadSheet:
    return LeadSheet.from_progression(text.split(), key=key)


def value(text: str) -> float:
    said = progression_complexity(sheet(text), romans(sheet(text)))
    assert said is not None
    return said


def test_it_grows_with_the_progression() -> None:
    giant = "Bmaj7 D7 Gmaj7 Bb7 Ebmaj7 Am7 D7 Gmaj7 Bb7 Ebmaj7 F#7 Bmaj7 Fm7 Bb7 Ebmaj7"
    values = [value(text) for text in ("C C", "C F G C", "C F C G C Am Dm G7 Em F Dm G", giant)]
    assert values[0] == 0
    assert values == sorted(set(values))
    assert values[-1] > 0.7


def test_parts() -> None:
    parts = complexity_parts(sheet("C G Am F C G Am F"), romans(sheet("C G Am F C G Am F")))
    assert parts is not None
    assert tuple(parts) == PARTS
    assert parts["variety"] == pytest.approx(2 / 3.585, abs=1e-3)
    assert parts["surprise"] == parts["chromaticism"] == parts["richness"] == 0
    assert complexity_parts(sheet("C E7"), ["I", "V7/vi"])["chromaticism"] == 0.5  # type: ignore[index]
    assert complexity_parts(sheet("Am E7", "A minor"), ["i", "V7"])["chromaticism"] == 0  # type: ignore[index]
    assert complexity_parts(sheet("C E7"), ["I", "V7/vi"])["richness"] == 0.5  # type: ignore[index]
    forks = sheet("C F C G C F C G C")
    assert complexity_parts(forks, romans(forks))["surprise"] == pytest.approx(0.25)  # type: ignore[index]


def test_no_chords_and_wrong_numerals() -> None:
    assert progression_complexity(sheet("N.C."), []) is None
    with pytest.raises(ValueError, match="1 numerals for 2 sounding chords"):
        progression_complexity(sheet("C F"), ["I"])
