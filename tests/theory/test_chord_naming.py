"""Chords from notes: every quality in every inversion, and what hands really hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetune import Chord, Key
from musetune.symbols.qualities import QUALITY_INTERVALS

TWINS = {"maj6", "min6", "min7", "hdim7", "sus2", "sus4", "aug", "dim7"}  # of which inversions have names of their own


@given(
    st.integers(0, 11),
    st.sampled_from([quality for quality in QUALITY_INTERVALS if quality not in TWINS | {"N"}]),
    st.integers(0, 3),
)
def test_a_quality_is_found_in_every_inversion(root: int, quality: str, inversion: int) -> None:
    notes = sorted(48 + root + interval for interval in QUALITY_INTERVALS[quality])
    for _ in range(inversion):
        notes = sorted([*notes[1:], notes[0] + 12])
    chord = Chord.from_notes(notes)
    assert (chord.root_pc, chord.quality, chord.bass_pc) == (root, quality, notes[0] % 12)


@given(st.integers(0, 11), st.sampled_from(sorted(TWINS)))
def test_twins_are_named_by_their_bass(root: int, quality: str) -> None:
    chord = Chord.from_notes(60 + root + interval for interval in QUALITY_INTERVALS[quality])
    assert (chord.root_pc, chord.quality) == (root, quality)


@given(st.sets(st.integers(0, 127), min_size=1, max_size=10))
def test_any_notes_have_a_name_that_holds_them_all(notes: set[int]) -> None:
    chord = Chord.from_notes(notes)
    assert {note % 12 for note in notes} <= set(chord.pitch_classes)
    assert chord.bass_pc == min(notes) % 12
    assert Chord.parse(chord.harte) == chord


@pytest.mark.parametrize(
    ("notes", "key", "name"),
    [
        ([48, 52, 58], None, "C:7(*5)"),  # a shell
        ([48, 64, 70, 74], None, "C:9(*5)"),
        ([45, 60, 64, 67], None, "A:min7"),
        ([54, 58, 61], "Gb major", "Gb:maj"),
        ([54, 58, 61], "D major", "F#:maj"),
        ([43, 60, 64, 67], None, "C:maj/5"),
        ([], None, "N"),
    ],
)
def test_what_hands_hold(notes: list[int], key: str | None, name: str) -> None:
    chord = Chord.from_notes(notes, None if key is None else Key.parse(key))
    if "*" in name:  # spelled by its notes
        assert (chord.root, chord.quality) == tuple(name.replace("(*5)", "").split(":"))
    else:
        assert str(chord) == name


def test_what_is_no_note_is_refused() -> None:
    with pytest.raises(ValueError, match="notes 60–128"):
        Chord.from_notes([60, 128])
