"""Roman numerals both ways, function, cadences."""

from __future__ import annotations

import pytest

from musetune.theory import Chord, Key, LeadSheet, cadences, function_of, roman_of

C, A_MINOR = Key("C"), Key("A", "minor")


@pytest.mark.parametrize(
    ("text", "key", "harte"),
    [
        ("I", C, "C:maj"), ("ii7", C, "D:min7"), ("V7", C, "G:7"), ("Imaj7", C, "C:maj7"), ("viio", C, "B:dim"), ("viiø7", C, "B:hdim7"),
        ("V7/V", C, "D:7"), ("V/vi", C, "E:maj"), ("V65", C, "G:7/3"), ("V43", C, "G:7/5"), ("V42", C, "G:7/b7"), ("IV6", C, "F:maj/3"),
        ("I64", C, "C:maj/5"), ("iv", C, "F:min"), ("bVII", C, "Bb:maj"), ("bVI", C, "Ab:maj"), ("N6", C, "Db:maj/3"),
        ("i", A_MINOR, "A:min"), ("V7", A_MINOR, "E:7"), ("VI", A_MINOR, "F:maj"), ("VII", A_MINOR, "G:maj"), ("viio7", A_MINOR, "G#:dim7"),
        ("iiø7", A_MINOR, "B:hdim7"), ("III", A_MINOR, "C:maj"),
    ],
)  # fmt: skip
def test_numerals_in_a_key(text: str, key: Key, harte: str) -> None:
    got, wanted = Chord.parse(text, key), Chord.parse(harte)
    assert (got.root_pc, got.quality, got.bass_pc) == (wanted.root_pc, wanted.quality, wanted.bass_pc)


@pytest.mark.parametrize(("text", "tones"), [("Ger65", {8, 0, 3, 6}), ("It6", {8, 0, 6}), ("Fr43", {8, 0, 2, 6})])
def test_augmented_sixths_sound_their_notes(text: str, tones: set[int]) -> None:
    assert tones <= set(Chord.parse(text, C).pitch_classes)


@pytest.mark.parametrize("key", [C, Key("Eb"), A_MINOR, Key("F#", "minor")], ids=str)
@pytest.mark.parametrize("text", ["I", "ii7", "iii", "IV", "V7", "vi", "V65", "bII6"])
def test_what_is_written_reads_as_the_same_chord(text: str, key: Key) -> None:
    chord = Chord.parse(text, key)
    again = Chord.parse(roman_of(chord, key), key)
    assert (again.root_pc, again.quality, again.bass_pc) == (chord.root_pc, chord.quality, chord.bass_pc)


@pytest.mark.parametrize(
    ("text", "function"),
    [("I", "tonic"), ("vi", "tonic_substitute"), ("IV", "subdominant"), ("ii7", "subdominant_substitute"), ("V7", "dominant"),
     ("viio", "dominant_substitute"), ("V7/V", "applied_dominant"), ("iv", "borrowed"), ("bVII", "borrowed")],
)  # fmt: skip
def test_functions(text: str, function: str) -> None:
    assert function_of(Chord.parse(text, C), C) == function


@pytest.mark.parametrize(
    ("chords", "kind"),
    [("I IV V I", "authentic"), ("I ii V vi", "deceptive"), ("I vi IV I", "plagal"), ("I vi ii V", "half")],
)
def test_cadences(chords: str, kind: str) -> None:
    assert kind in {c.type for c in cadences(LeadSheet.parse(chords))}


def test_an_unreadable_numeral_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"VX7.*did you mean|'VX7'"):
        Chord.parse("VX7", C)
