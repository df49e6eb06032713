"""Chords: four notations in, Harte's out."""

from __future__ import annotations

import mir_eval
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetune.symbols import NO_CHORD, QUALITIES, Chord, Key
from musetune.symbols.chord import FLAT_DEGREES, QUALITY_INTERVALS
from musetune.symbols.names import NOTE_NAMES, pitch_class

CHORDS = st.builds(Chord, st.sampled_from(NOTE_NAMES), st.sampled_from(QUALITIES[:-1]), st.sampled_from(FLAT_DEGREES))
C = Key("C")


@pytest.mark.parametrize(
    ("text", "harte"),
    [
        ("C", "C:maj"), ("Cm7/Eb", "C:min7/b3"), ("F#m7b5", "F#:hdim7"), ("Bb:maj7/3", "Bb:maj7/3"), ("C:min7/b3", "C:min7/b3"),
        ("N.C.", "N"), ("Dsus4", "D:sus4"), ("G/B", "G:maj/3"), ("Gm7/F", "G:min7/b7"), ("Ebmaj7", "Eb:maj7"), ("Edim7", "E:dim7"),
        ("C:(1,b3,5)", "C:min"), ("C:(1,b3,b5,b7)", "C:hdim7"), ("C:(1,5)", "C:5"), ("C:(1,4,b7)", "C:sus4"), ("C:(1,b3,5)/b3", "C:min/b3"),
        ("C:min(b7)", "C:min7"), ("C:maj(9,11)", "C:maj"), ("C:7(9)", "C:9"), ("C:min7(*5)", "C:min7"), ("C:sus4(9)", "C:sus4"),
        ("C:maj(*1)", "C:maj"), ("Cm7(b5)", "C:hdim7"), ("C7(sus4)", "C:sus4"), ("C(no3)", "C:5"), ("C7(#9,b13)", "C:7"), ("Cm6/9", "C:min6"),
        ("Caug7", "C:7"), ("C+7", "C:7"), ("Cmadd6", "C:min6"), ("C:(1,3,#5,b7)", "C:7"),
        ("A-7", "A:min7"), ("C6/9", "C:maj6"), ("G13", "G:9"), ("F:maj(9)", "F:maj"), ("C+", "C:aug"), ("Am6", "A:min6"),
    ],
)  # fmt: skip
def test_reads_harte_and_pop(text: str, harte: str) -> None:
    assert Chord.parse(text).harte == harte


@pytest.mark.parametrize(
    ("text", "harte"), [("2m7", "D:min7"), ("1/3", "C:maj/3"), ("6", "A:min"), ("5", "G:maj"), ("4maj7", "F:maj7")]
)
def test_reads_nashville(text: str, harte: str) -> None:
    assert Chord.parse(text, C).harte == harte


@given(CHORDS)
def test_a_list_of_a_chords_tones_is_the_chord(chord: Chord) -> None:
    degrees = ",".join(FLAT_DEGREES[i % 12] for i in QUALITY_INTERVALS[chord.quality])
    assert Chord.parse(f"{chord.root}:({degrees})").quality == chord.quality


@pytest.mark.parametrize("text", ["C:(1,b5)", "C:()", "C:maj(x)", "C:N(9)", "C(", "C:maj(9"])
def test_lists_that_are_no_chord_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a chord"):
        Chord.parse(text)


@pytest.mark.parametrize(
    ("text", "key", "semitones", "harte"),
    [("Bb", "C", 2, "C:maj"), ("Bb", "C", 1, "Cb:maj"), ("F", "C", -1, "E:maj"), ("Eb", "C", 4, "G:maj"), ("C#dim7", "C", 2, "D#:dim7"),
     ("F", "C", 8, "Db:maj"), ("Cb", "Gb", -1, "Bb:maj"), ("G", "D minor", -4, "Eb:maj"), ("Ab", "C", -3, "F:maj")],
)  # fmt: skip
def test_transposition_spells_for_the_key_it_arrives_in(text: str, key: str, semitones: int, harte: str) -> None:
    assert Chord.parse(text).transpose(semitones, Key.parse(key)).harte == harte


@given(st.sampled_from(NOTE_NAMES), st.sampled_from(["major", "minor"]), st.integers(0, 11))
def test_a_key_names_every_pitch_class(tonic: str, mode: str, pc: int) -> None:
    name = Key(tonic, mode).name_of(pc)
    assert pitch_class(name) == pc
    assert len(name) <= 2


@given(CHORDS)
def test_parse_inverts_format(chord: Chord) -> None:
    assert Chord.parse(chord.harte) == chord


@given(CHORDS, st.integers(-24, 24))
def test_transposition_moves_every_pitch_class(chord: Chord, n: int) -> None:
    moved = chord.transpose(n)
    assert {(pc + n) % 12 for pc in chord.pitch_classes} == set(moved.pitch_classes)
    assert (moved.bass_pc - chord.bass_pc - n) % 12 == 0
    assert moved.transpose(-n).pitch_classes == chord.pitch_classes


@given(CHORDS)
def test_transposition_by_twelve_changes_nothing(chord: Chord) -> None:
    assert chord.transpose(12) == chord


@given(
    st.sampled_from(NOTE_NAMES),
    st.sampled_from([q for q in QUALITIES[:-1] if q != "5"]),
    st.sampled_from(["1", "3", "5", "b7"]),
)
def test_pitch_classes_agree_with_mir_eval(root: str, quality: str, bass: str) -> None:
    chord = Chord(root, quality, bass)
    theirs, chroma, bass_step = mir_eval.chord.encode(
        chord.harte.replace("minmaj7", "minmaj7"), reduce_extended_chords=False
    )
    ours = {(pc - chord.root_pc) % 12 for pc in chord.pitch_classes}
    expected = {i for i in range(12) if chroma[i]} | {int(bass_step)}
    if quality not in ("9", "maj9", "min9"):
        assert ours == expected
    assert theirs == chord.root_pc


def test_no_chord_sounds_nothing() -> None:
    assert NO_CHORD.pitch_classes == ()
    assert NO_CHORD.transpose(3) == NO_CHORD
    assert NO_CHORD.chroma.sum() == 0


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("H7", ["'H7'", "A–G", "did you mean"]),
        ("Cmaj7x", ["'Cmaj7x'", "did you mean"]),
        ("V7", ["'V7'", "key"]),
        ("", ["''"]),
    ],
)
def test_errors_name_the_value_and_the_fix(text: str, named: list[str]) -> None:
    with pytest.raises(ValueError) as error:
        Chord.parse(text)
    assert all(part in str(error.value) for part in named)


@given(st.text(max_size=12))
def test_any_text_is_a_chord_or_a_value_error(text: str) -> None:
    try:
        chord = Chord.parse(text, C)
    except ValueError:
        return
    assert Chord.parse(chord.harte) == chord


def test_added_ninths_are_no_cadential_six_four() -> None:
    key = Key.parse("C major")
    assert str(Chord.parse("Cadd9/E", key)) == "C:maj/3"
    assert str(Chord.parse("Cad64", key)) == "C:maj/5"
