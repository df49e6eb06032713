"""The chords that pads offer: each numeral names its chord, each group holds what its name says."""

from __future__ import annotations

import pytest

from musetune.symbols import Key
from musetune.theory.harmony.palette import palette
from musetune.theory.numerals.context import own
from musetune.theory.numerals.roman import resolve_roman, scale_degree

KEYS = [
    Key(tonic, mode) for tonic in ("C", "Db", "D", "Eb", "F#", "Gb", "Ab", "B", "D#") for mode in ("major", "minor")
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_numerals_name_their_chords_and_groups_hold_what_they_say(key: Key) -> None:
    chords = palette(key)
    groups = (chords.triads, chords.sevenths, chords.dominants, chords.borrowed)
    for numeral, chord in (one for group in groups for one in group):
        assert resolve_roman(numeral, key).pitch_classes == chord.pitch_classes, numeral
    assert [len(set(group)) for group in groups] == [len(group) for group in groups]
    assert all(own(one.chord, key) for one in (*chords.triads, *chords.sevenths))
    assert not any(own(one.chord, key) for one in (*chords.dominants, *chords.borrowed))
    assert {len(one.chord.pitch_classes) for one in chords.triads} == {3}
    assert {len(one.chord.pitch_classes) for one in chords.sevenths} == {4}
    scale = {scale_degree(one.chord, key) for one in chords.triads}
    assert len(scale) == (7 if key.mode == "major" else 8)  # minor has its leading tone beside the natural seventh


def test_groups_of_c_major_and_a_minor_are_the_textbooks() -> None:
    major, minor = palette(Key("C")), palette(Key("A", "minor"))
    assert [str(one.chord) for one in major.sevenths] == [
        "C:maj7", "D:min7", "E:min7", "F:maj7", "G:7", "A:min7", "B:hdim7",
    ]  # fmt: skip
    assert [one.numeral for one in major.dominants] == ["V7/ii", "V7/iii", "V7/IV", "V7/V", "V7/vi"]
    assert [str(one.chord) for one in major.borrowed] == [
        "C:min", "D:dim", "Eb:maj", "F:min", "G:min", "Ab:maj", "Bb:maj", "Db:maj",
    ]  # fmt: skip
    assert [one.numeral for one in minor.triads] == ["i", "iio", "III", "iv", "v", "VI", "VII", "V", "viio"]
    assert {"I", "IV", "bII"} <= {one.numeral for one in minor.borrowed}
