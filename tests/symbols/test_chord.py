"""Chords: four notations in, Harte's out."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import mir_eval
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetune.formats.chart_text import pop_name
from musetune.symbols import NO_CHORD, QUALITIES, Chord, Key
from musetune.symbols.chord_suffix import quality_tones
from musetune.symbols.names import NOTE_NAMES, pitch_class
from musetune.symbols.qualities import FLAT_DEGREES, QUALITY_INTERVALS, degree_semitones

DATA = Path(__file__).parents[1] / "data" / "cases"
CHORDS = st.builds(Chord, st.sampled_from(NOTE_NAMES), st.sampled_from(QUALITIES[:-1]), st.sampled_from(FLAT_DEGREES))
C = Key("C")


@pytest.mark.parametrize(
    ("text", "harte"),
    [
        ("C", "C:maj"), ("Cm7/Eb", "C:min7/b3"), ("F#m7b5", "F#:hdim7"), ("Bb:maj7/3", "Bb:maj7/3"),
        ("C:min7/b3", "C:min7/b3"), ("N.C.", "N"), ("Dsus4", "D:sus4"), ("G/B", "G:maj/3"), ("Gm7/F", "G:min7/b7"),
        ("Ebmaj7", "Eb:maj7"), ("Edim7", "E:dim7"), ("C:(1,b3,5)", "C:min"), ("C:(1,b3,b5,b7)", "C:hdim7"),
        ("C:(1,5)", "C:5"), ("C:(1,4,b7)", "C:sus4"), ("C:(1,b3,5)/b3", "C:min/b3"), ("C:min(b7)", "C:min7"),
        ("C:maj(9,11)", "C:maj"), ("C:7(9)", "C:9"), ("C:min7(*5)", "C:min7"), ("C:sus4(9)", "C:sus4"),
        ("C:maj(*1)", "C:maj"), ("Cm7(b5)", "C:hdim7"), ("C7(sus4)", "C:sus4"), ("C(no3)", "C:5"),
        ("C7(#9,b13)", "C:7"), ("Cm6/9", "C:min6"),
        ("Caug7", "C:7"), ("C+7", "C:7"), ("Cmadd6", "C:min6"), ("C:(1,3,#5,b7)", "C:7"),
        ("A-7", "A:min7"), ("C6/9", "C:maj6"), ("G13", "G:9"), ("F:maj(9)", "F:maj"), ("C+", "C:aug"),
        ("Am6", "A:min6"),
    ],
)  # fmt: skip
def test_the_nearest_quality_is_named(text: str, harte: str) -> None:
    assert Chord.parse(text).simplify().harte == harte


SYMBOLS = list(
    csv.DictReader((DATA / "text" / "chord_symbols.tsv").read_text(encoding="utf-8").splitlines(), delimiter="\t")
)
ALLOWED = {
    "Am7/9": ["A:min9"],
    "G7/13": ["G:9"],
    "C7/6": ["C:7", "C:9"],
    "C7no3": ["C:7", "C:5"],
    "C:9(*3,11)": ["C:sus4"],
}


@pytest.mark.parametrize("row", [row for row in SYMBOLS if row["symbol"] != "am"], ids=lambda row: row["symbol"])
def test_symbols_that_players_write(row: dict[str, str]) -> None:
    """`tests/data/cases/chord_symbols.tsv`: the nearest quality and bass of each, and what it says exactly."""
    chord = Chord.parse(row["symbol"])
    named = row["right, folded to the nearest known quality"].split(",")[0]
    assert chord.simplify().harte in ALLOWED.get(row["symbol"], [named])
    for exact in (row["right, exactly (Harte)"] or chord.harte).split(" = "):
        assert Chord.parse(exact) == chord
    mir_eval.chord.encode(chord.harte)


@pytest.mark.parametrize(
    ("text", "harte"),
    [
        ("C7#9", "C:7(#9)"), ("C7(#9)", "C:7(#9)"), ("C7♯9", "C:7(#9)"), ("C7+9", "C:7(#9)"), ("C7/9+", "C:7(#9)"),
        ("C:7(#9)", "C:7(#9)"), ("C7b9b13", "C:7(b9,b13)"), ("C7b13b9", "C:7(b9,b13)"), ("C7(b9,b13)", "C:7(b9,b13)"),
        ("C7(b9)(b13)", "C:7(b9,b13)"), ("C7(b9/13-)", "C:7(b9,b13)"), ("C7/b9/b13", "C:7(b9,b13)"),
        ("C7 (b9, b13)", "C:7(b9,b13)"), ("C13b9", "C:7(b9,13)"),
        ("C7b5", "C:7(*5,b5)"), ("C7/5-", "C:7(*5,b5)"), ("C7(5-)", "C:7(*5,b5)"), ("C7#5#9", "C:7(*5,#5,#9)"),
        ("C7alt", "C:7(*5,#5,#9)"),
        ("Calt", "C:7(*5,#5,#9)"), ("C13", "C:9(13)"), ("C11", "C:9(11)"), ("Cm11", "C:min9(11)"),
        ("Cm13", "C:min9(11,13)"),
        ("Cmaj13#11", "C:maj9(#11,13)"), ("CM9", "C:maj9"), ("Cma9", "C:maj9"), ("CMaj9", "C:maj9"),
        ("Cmaj7(9)", "C:maj9"), ("C7M(9)", "C:maj9"), ("C7M/9", "C:maj9"), ("Cm7M", "C:minmaj7"),
        ("Cm/maj7", "C:minmaj7"), ("Cm(M7)", "C:minmaj7"), ("C7(4)", "C:sus4(b7)"), ("C7sus", "C:sus4(b7)"),
        ("Csus7", "C:sus4(b7)"), ("C7sus4b9", "C:sus4(b7,b9)"), ("Csus13", "C:sus4(b7,9,13)"),
        ("C7(9,sus4)", "C:sus4(b7,9)"), ("C9sus2", "C:sus2(b7)"), ("Csus24", "C:sus2(4)"), ("Cmaj7sus4", "C:sus4(7)"),
        ("Cadd9", "C:maj(9)"), ("C(add9)", "C:maj(9)"), ("Cadd2", "C:maj(2)"), ("C(9)", "C:maj(9)"),
        ("C/9", "C:maj(9)"), ("Cm(add9)", "C:min(9)"), ("C6/9", "C:maj6(9)"), ("C69", "C:maj6(9)"),
        ("C6(9)", "C:maj6(9)"), ("Cm6/9", "C:min6(9)"), ("C6add9", "C:maj6(9)"), ("C6/9/G", "C:maj6(9)/5"),
        ("Am7/9/G", "A:min9/b7"), ("C7/9/E", "C:9/3"), ("C7(b9)/Bb", "C:7(b9)/b7"), ("C/9/E", "C:maj(9)/3"),
        ("C(omit5)", "C:maj(*5)"), ("C7omit5", "C:7(*5)"), ("C(no3)", "C:5"), ("C9no3", "C:5(b7,9)"), ("Cno3rd", "C:5"),
        ("C5add9", "C:sus2"), ("Co", "C:dim"), ("C°", "C:dim"), ("C°7", "C:dim7"), ("Cdim9", "C:dim7(9)"),
        ("CdimM7", "C:dim(7)"), ("Cø", "C:hdim7"), ("CØ7", "C:hdim7"), ("Cø9", "C:hdim7(9)"), ("Cmin7b5", "C:hdim7"),
        ("Cm7(b5)", "C:hdim7"), ("C-7-5", "C:hdim7"), ("C-9", "C:min9"), ("Cm9b5", "C:hdim7(9)"),
        ("C+", "C:aug"), ("C+7", "C:7(*5,#5)"), ("C7+", "C:7(*5,#5)"), ("Caug9", "C:9(*5,#5)"),
        ("Cm#5", "C:min(*5,#5)"), ("C#11", "C#:9(11)"),
        ("C(#11)", "C:maj(#11)"), ("C2", "C:sus2"), ("C4", "C:sus4"), ("Cm2", "C:min(2)"), ("C5", "C:5"),
        ("C1", "C:5(*5)"), ("C:1", "C:5(*5)"),
        ("C–7", "C:min7"), ("C−7", "C:min7"), ("C△7♯11", "C:maj7(#11)"), ("Cj7", "C:maj7"), ("CMIN7", "C:min7"),
        ("Cminor", "C:min"),
        ("C:maj(#4)", "C:maj(#4)"), ("C:7(5,b5)", "C:7(#4)"), ("C:7(b5)", "C:7(*5,b5)"), ("C:maj(*1)/3", "C:maj(*1)/3"),
        ("C:maj(*1)", "C:maj"), ("C:(1,b5)", "C:dim(*b3)"), ("C:13", "C:9(13)"), ("C:min11", "C:min9(11)"),
        ("C:(1,4,b7)", "C:sus4(*5,b7)"), ("C7/6", "C:7(6)"),
        ("C/b7", "C:maj/b7"), ("C/3", "C:maj/3"), ("C/5", "C:maj/5"), ("C7#9/#9", "C:7(#9)"),
        ("C7sus4/Bb", "C:sus4(b7)/b7"),
    ],
)  # fmt: skip
def test_exact_notes_are_kept_and_written(text: str, harte: str) -> None:
    chord = Chord.parse(text)
    assert chord.harte == harte
    assert Chord.parse(chord.harte) == chord
    mir_eval.chord.encode(chord.harte)


def test_a_chord_sounds_its_exact_notes() -> None:
    chord = Chord.parse("C7#9")
    assert chord.pitch_classes == (0, 4, 7, 10, 3)
    assert np.flatnonzero(chord.chroma).tolist() == [0, 3, 4, 7, 10]
    assert (chord.quality, chord.folded, chord.simplify()) == ("7", True, Chord("C", "7"))
    assert chord.transpose(2, C).harte == "D:7(#9)"
    assert Chord.parse("C:maj(*1)/3").pitch_classes == (4, 7)


@pytest.mark.parametrize(
    ("text", "inversion"),
    [("C7#9/E", 1), ("C7#5/G#", 2), ("C7sus4/F", 1), ("C7sus4/Bb", 3), ("C7no3/G", 2), ("Cadd9/D", 4), ("C7#9/Eb", 4),
     ("C7b9/A", -1), ("C7b9", 0),
     ("C7no3/Bb", 3), ("Cm7b9/Db", 4)],
)  # fmt: skip
def test_inversions_of_exact_chords(text: str, inversion: int) -> None:
    assert Chord.parse(text).inversion == inversion


@given(
    st.sampled_from(NOTE_NAMES),
    st.sets(st.integers(0, 21), min_size=1),
    st.sampled_from(FLAT_DEGREES),
    st.integers(-24, 24),
)
def test_any_notes_are_a_chord_that_is_written_and_read(root: str, intervals: set[int], bass: str, n: int) -> None:
    chord = Chord.from_intervals(root, intervals, bass)
    assert Chord.parse(chord.harte) == chord
    assert hash(Chord.parse(chord.harte)) == hash(chord)
    assert set(chord.pitch_classes) == {(chord.root_pc + i) % 12 for i in (*intervals, degree_semitones(bass))}
    assert chord.transpose(n).transpose(-n).pitch_classes == chord.pitch_classes
    assert chord.folded == ({i % 12 for i in chord.tones} != {i % 12 for i in QUALITY_INTERVALS[chord.quality]})
    assert Chord.parse(pop_name(chord)).pitch_classes == chord.pitch_classes
    number, theirs, _ = mir_eval.chord.encode(chord.harte, reduce_extended_chords=False)
    low = {i % 12 for i in chord.tones if i < 12}  # mir_eval leaves out what lies above the octave
    assert number == chord.root_pc
    assert low <= {i for i in range(12) if theirs[i]}
    assert {i for i in range(12) if theirs[i]} <= {i % 12 for i in (*chord.tones, degree_semitones(bass))}


@pytest.mark.parametrize(
    "name",
    ["C13", "C7sus4", "C9sus4", "C13sus4", "C6/9", "Cm6/9", "C7(#9)", "C7(b9,b13)", "Cadd9", "Cmadd9", "Cm11", "C7b5",
     "Caug7", "C7(13)", "C/D", "Cmaj7(#11)", "C9(#11)", "C(add4)", "Cm7(11)/Eb", "C7no3", "Cm(no5)", "C7(#5,#9)",
     "Cmaj7(add4)", "C(#11)", "Bbm7/Ab", "Cmaj13"],
)  # fmt: skip
def test_pop_names_are_written_as_players_do(name: str) -> None:
    assert pop_name(Chord.parse(name)) == name


@given(st.sampled_from(QUALITIES[:-1]))
def test_what_a_quality_says_is_no_loss(quality: str) -> None:
    assert Chord.from_intervals("C", quality_tones(quality)) == Chord("C", quality)
    assert not Chord("C", quality).folded


@pytest.mark.parametrize(
    ("args", "named"),
    [
        (("C", "maj", "1", (0, 4, 7, 10)), ["'maj'", "'7'", "from_intervals"]),
        (("C", "maj", "1", (0, 4.5)), ["4.5", "0–127"]),
        ((None, "N", "1", (0, 4, 7)), ["no root"]),
        (("C", "maj", "b####7"), ["b####7", "did you mean"]),
    ],
)
def test_impossible_intervals_are_refused(args: tuple, named: list[str]) -> None:
    with pytest.raises(ValueError) as error:
        Chord(*args)
    assert all(part in str(error.value) for part in named)


@pytest.mark.parametrize("intervals", [[], [-1], [128], [True], ["3"], [None]])
def test_notes_that_are_none_are_refused(intervals: list) -> None:
    with pytest.raises(ValueError, match="whole numbers 0–127"):
        Chord.from_intervals("C", intervals)


@pytest.mark.parametrize(
    ("text", "meant"),
    [("am", "Am"), ("em7", "Em7"), ("a", "Am"), ("f#", "F#m"), ("bb", "Bbm"), ("g7", "Gm7"), ("cmaj7", "Cmaj7"),
     ("H7", "B7"), ("Hm", "Bm"), ("H", "B"),
     ("h", "B"), ("Fis", "F#"), ("Esm", "Ebm"), ("Cis7", "C#7"), ("C/H", "C/B"), ("C/e", "C/E"), ("Sol7", "G7"),
     ("Rém", "Dm"), ("Cmaj7x", "Cmaj7"),
     ("CmAj7", "Cmaj7"), ("C7b9x", "C7b9"), ("C7(b9", "C7"), ("Cmin7b5)", "Cmin7b5")],
)  # fmt: skip
def test_hints_name_the_chord_that_was_meant(text: str, meant: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"did you mean '{meant}'?")):
        Chord.parse(text)


@pytest.mark.parametrize(
    ("text", "harte"), [("2m7", "D:min7"), ("1/3", "C:maj/3"), ("6", "A:min"), ("5", "G:maj"), ("4maj7", "F:maj7")]
)
def test_reads_nashville(text: str, harte: str) -> None:
    assert Chord.parse(text, C).harte == harte


@given(CHORDS)
def test_a_list_of_a_chords_tones_is_the_chord(chord: Chord) -> None:
    degrees = ",".join(FLAT_DEGREES[i % 12] for i in QUALITY_INTERVALS[chord.quality])
    assert Chord.parse(f"{chord.root}:({degrees})").quality == chord.quality


@pytest.mark.parametrize(
    "text",
    [
        "C:()",
        "C:maj(x)",
        "C:N(9)",
        "C(",
        "C:maj(9",
        "C7b9)",
        "C:",
        "C/",
        "C:maj/",
        "C7//E",
        "C,",
        "C77",
        "C7 9",
        "Cm5",
        "C#b",
    ],
)
def test_lists_that_are_no_chord_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a chord"):
        Chord.parse(text)


@pytest.mark.parametrize(
    ("text", "key", "semitones", "harte"),
    [("Bb", "C", 2, "C:maj"), ("Bb", "C", 1, "Cb:maj"), ("F", "C", -1, "E:maj"), ("Eb", "C", 4, "G:maj"),
     ("C#dim7", "C", 2, "D#:dim7"),
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
    assert str(Chord.parse("Cadd9/E", key)) == "C:maj(9)/3"
    assert str(Chord.parse("Cad64", key)) == "C:maj/5"
