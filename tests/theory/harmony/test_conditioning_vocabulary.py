"""What shipped adapters learned from never changes: their weights know these words in this order, by these rules."""

from __future__ import annotations

import hashlib
from itertools import product

import pytest

from musetune.symbols import QUALITIES, Chord, Key, LeadSheet
from musetune.symbols.names import FLATS
from musetune.symbols.qualities import FLAT_DEGREES
from musetune.theory.harmony import cadences
from musetune.theory.harmony.conditioning_vocabulary import (
    CONDITIONING_CADENCES,
    CONDITIONING_FUNCTIONS,
    conditioning_cadences,
    conditioning_function,
)

C = Key("C")


def test_the_words_stand_in_their_places() -> None:
    assert CONDITIONING_FUNCTIONS == (
        "none",
        "tonic",
        "tonic_substitute",
        "subdominant",
        "subdominant_substitute",
        "dominant",
        "dominant_substitute",
        "applied_dominant",
        "borrowed",
    )
    assert CONDITIONING_CADENCES == ("none", "authentic", "plagal", "half", "deceptive")


def test_the_function_of_every_chord_is_pinned() -> None:
    """All roots, qualities and basses in both modes, as version 0.1.0 said."""
    chords = [Chord(*parts) for parts in product(FLATS, QUALITIES[:-1], (*FLAT_DEGREES, "9", "11", "13", "b9"))]
    words = [conditioning_function(chord, Key("C", mode)) for mode in ("major", "minor") for chord in chords]
    digest = hashlib.sha256(" ".join(words).encode()).hexdigest()
    assert digest == "e02c4dccf63460695400c908e7636276cb343187af6840109779bb6dd4e74302"


@pytest.mark.parametrize(
    ("text", "function"),
    [("I", "tonic"), ("vi", "tonic_substitute"), ("IV", "subdominant"), ("ii7", "subdominant_substitute"),
     ("V7", "dominant"), ("viio", "dominant_substitute"), ("V7/V", "applied_dominant"), ("iv", "borrowed"),
     ("bVII", "borrowed"), ("N", "none")],
)  # fmt: skip
def test_functions(text: str, function: str) -> None:
    assert conditioning_function(Chord.parse(text, C), C) == function


@pytest.mark.parametrize(
    ("chart", "key", "arrivals"),
    [
        ("| C | F | G7 | C |", "C", [("authentic", 12)]),
        ("| C | G | C | G | C | F |", "C", [("authentic", 8), ("half", 12), ("authentic", 16)]),
        ("| C | G7 | Am | F | C | Dm | F | G |", "C", [("deceptive", 8), ("plagal", 16), ("half", 28)]),
        ("| Cm | G7 | Ab | Fm | Cm | G/B | Cm | D7 |", "C minor",
         [("deceptive", 8), ("plagal", 16), ("authentic", 24)]),
    ],
)  # fmt: skip
def test_cadences(chart: str, key: str, arrivals: list[tuple[str, int]]) -> None:
    sheet = LeadSheet.parse(chart, key=key)
    assert [(arrival.type, arrival.at_beat) for arrival in conditioning_cadences(sheet)] == arrivals


def test_it_is_not_what_the_record_says() -> None:
    sheet = LeadSheet.parse("| C | G | C | G | C | F |")
    assert 8 in [arrival.at_beat for arrival in conditioning_cadences(sheet)]
    assert 8 not in [cadence.at_beat for cadence in cadences(sheet)]
