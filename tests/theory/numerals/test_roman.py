"""Roman numerals both ways."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetune.symbols import QUALITIES, Chord, ChordSpan, Key, KeySpan, LeadSheet, Note, Score
from musetune.symbols.names import NOTE_NAMES
from musetune.symbols.qualities import FLAT_DEGREES
from musetune.theory.numerals import resolve_roman, roman_of
from musetune.theory.numerals.context import romans
from musetune.theory.numerals.score_analysis import analyse

C, A_MINOR, G_FLAT = Key("C"), Key("A", "minor"), Key("Gb")
KEYS = st.builds(Key, st.sampled_from(NOTE_NAMES), st.sampled_from(["major", "minor"]))


@pytest.mark.parametrize(
    ("text", "key", "harte"),
    [
        ("I", C, "C:maj"), ("ii7", C, "D:min7"), ("V7", C, "G:7"), ("Imaj7", C, "C:maj7"), ("viio", C, "B:dim"),
        ("viiø7", C, "B:hdim7"), ("V7/V", C, "D:7"), ("V/vi", C, "E:maj"), ("V65", C, "G:7/3"), ("V43", C, "G:7/5"),
        ("V42", C, "G:7/b7"), ("IV6", C, "F:maj/3"), ("I64", C, "C:maj/5"), ("iv", C, "F:min"), ("bVII", C, "Bb:maj"),
        ("bVI", C, "Ab:maj"), ("N6", C, "Db:maj/3"), ("i", A_MINOR, "A:min"), ("V7", A_MINOR, "E:7"),
        ("VI", A_MINOR, "F:maj"), ("VII", A_MINOR, "G:maj"),
        ("viio7", A_MINOR, "G#:dim7"), ("iiø7", A_MINOR, "B:hdim7"), ("III", A_MINOR, "C:maj"),
        ("bviio", A_MINOR, "G:dim"), ("#viio7", A_MINOR, "G#:dim7"), ("bVI", A_MINOR, "F:maj"),
        ("bII", A_MINOR, "Bb:maj"), ("IV", G_FLAT, "Cb:maj"), ("ii", G_FLAT, "Ab:min"), ("bVI", G_FLAT, "Ebb:maj"),
        ("V/V", G_FLAT, "Ab:maj"), ("Ger6", C, "Ab:7"), ("V6/5", C, "G:7/3"), ("V4/3", C, "G:7/5"),
        ("V4/2", C, "G:7/b7"), ("I6/4", C, "C:maj/5"), ("viio6/5", C, "B:dim7/b3"), ("V6/5/V", C, "D:7/3"),
        ("Vadd6/5", C, "G:maj6/5"), ("I6/9", C, "C:maj6(9)"), ("imaj7", C, "C:minmaj7"), ("iiM7", C, "D:minmaj7"),
        ("iadd6", C, "C:min6"), ("V+7", C, "G:7(*5,#5)"), ("V+42", C, "G:7(*5,#5)/b7"), ("I/9", C, "C:maj/9"),
        ("V7(b9)", C, "G:7(b9)"), ("It6", C, "Ab:7(*5)"),
        ("Fr43", C, "D:7(*5,b5)/b5"), ("Fr6", C, "D:7(*5,b5)/b5"), ("V7b9/V", C, "D:7(b9)"), ("V7#9/3", C, "G:7(#9)/3"),
        ("V9sus4", C, "G:sus4(b7,9)"),
    ],
)  # fmt: skip
def test_numerals_in_a_key(text: str, key: Key, harte: str) -> None:
    assert Chord.parse(text, key).harte == harte


@pytest.mark.parametrize(("text", "tones"), [("Ger65", {8, 0, 3, 6}), ("It6", {8, 0, 6}), ("Fr43", {8, 0, 2, 6})])
def test_augmented_sixths_sound_their_notes(text: str, tones: set[int]) -> None:
    assert tones == set(Chord.parse(text, C).pitch_classes)


@given(KEYS, st.integers(0, 11), st.sampled_from(QUALITIES[:-1]), st.sampled_from(FLAT_DEGREES))
def test_what_is_written_reads_as_the_same_chord(key: Key, pc: int, quality: str, bass: str) -> None:
    chord = Chord(key.name_of(pc), quality, bass)
    again = Chord.parse(roman_of(chord, key), key)
    assert (again.root_pc, again.quality, again.bass) == (chord.root_pc, chord.quality, chord.bass)
    assert again.root == chord.root or len(again.root) > 2  # name_of avoids double accidentals, a numeral writes them


@pytest.mark.parametrize(
    ("chord", "key", "text"),
    [("C:minmaj7", C, "imaj7"), ("C:min6", C, "iadd6"), ("C:7", C, "Idom7"), ("C:7/3", C, "Idom7/3"),
     ("G:dim7", A_MINOR, "bviio7"), ("G#:hdim7", A_MINOR, "viiø7"), ("D:7", A_MINOR, "V7/VII"),
     ("D:7/3", C, "V65/V"), ("B:dim/2", C, "viio/2"), ("G:7/4", C, "V7/4")],
)  # fmt: skip
def test_what_is_written(chord: str, key: Key, text: str) -> None:
    assert roman_of(Chord.parse(chord), key) == text


@pytest.mark.parametrize("text", ["VX7", "VIII", "V7/viii", "viii", "I99"])
def test_an_unreadable_numeral_names_the_nearest(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}'.*did you mean"):
        Chord.parse(text, C)


@pytest.mark.parametrize("text", ["I/x", "V/", "V7/0"])
def test_what_follows_the_slash_is_a_numeral_or_an_interval(text: str) -> None:
    with pytest.raises(ValueError, match="after '/' comes a numeral"):
        Chord.parse(text, C)


@pytest.mark.parametrize(
    ("chords", "key", "numerals"),
    [
        ("| Dm7 | G7 | Cmaj7 |", C, "ii7 V7 Imaj7"),
        ("| C7 | F | Fm | C |", C, "V7/IV IV iv I"),
        ("| E7 | A7 | D7 | G7 | C |", C, "V7/vi V7/ii V7/V V7 I"),
        ("| Gm7 | C7 | F | Em7b5 | A7 | Dm |", C, "ii7/IV V7/IV IV iiø7/ii V7/ii ii"),
        ("| F#dim7 | C/G | G7 | C |", C, "viio7/V Cad64 V7 I"),
        ("| F#m7b5/A | G |", C, "viiø65/V V"),
        ("| Adim7 | G |", C, "viio65/V V"),
        ("| Ab7 | G | C |", C, "Ger65 V I"),
        ("| Ab7 | C/G | G7 | C |", C, "Ger65 Cad64 V7 I"),
        ("| D7/G# | G | C |", C, "Fr43 V I"),
        ("| Db/F | G7 | C |", C, "N6 V7 I"),
        ("| Bb | F | C |", C, "bVII IV I"),
        ("| Ab7 | Db |", C, "bVI7 bII"),
        ("| Am | G | F | E7 |", A_MINOR, "i VII VI V7"),
        ("| Am | A7 | Dm | G#dim7 | Am |", A_MINOR, "i V7/iv iv viio7 i"),
        ("| N | C | N | G |", C, "I V"),
    ],
)
def test_numerals_in_context(chords: str, key: Key, numerals: str) -> None:
    assert romans(LeadSheet.parse(chords, key=key)) == numerals.split()


@given(
    KEYS,
    st.lists(
        st.tuples(st.integers(0, 11), st.sampled_from(QUALITIES[:-1]), st.sampled_from(FLAT_DEGREES)),
        min_size=1,
        max_size=6,
    ),
)
def test_numerals_in_context_read_as_their_chords(key: Key, chords: list[tuple[int, str, str]]) -> None:
    spans = tuple(
        ChordSpan(Fraction(i), Fraction(1), Chord(key.name_of(pc), quality, bass))
        for i, (pc, quality, bass) in enumerate(chords)
    )
    length = Fraction(len(spans))
    plain = LeadSheet.parse("| C |", key="C major")
    sheet = replace(plain, chords=spans, keys=(KeySpan(Fraction(0), key),), length=length)
    for span, name in zip(spans, romans(sheet), strict=True):
        again = resolve_roman(name, key)
        assert set(again.pitch_classes) == set(span.chord.pitch_classes), name
        assert again.bass_pc == span.chord.bass_pc, name


@pytest.mark.parametrize(
    ("chords", "key", "numerals"),
    [
        ("Am D Am D", "A minor", "i IV i IV"),  # a Dorian vamp: D never goes to G
        ("Am D7 Am D7", "A minor", "i IV7 i IV7"),
        ("Am D/F# Am", "A minor", "i IV6 i"),
        ("Cm Fm G7 C", "C minor", "i iv V7 I"),  # the Picardy third
        ("Am D7 G C", "A minor", "i V7/VII VII III"),  # here it leads to VII
        ("Am A Dm E7", "A minor", "i I iv V7"),  # a Picardy third, wherever the music goes on
        ("Am A/C# Dm E7", "A minor", "i I6 iv V7"),
        ("Am A7 Dm E7", "A minor", "i V7/iv iv V7"),  # the seventh makes it applied
        ("Am D G C", "A minor", "i IV VII III"),
        ("Cm F/A Bb Cm", "C minor", "i IV6 VII i"),
        ("Am Bm E7 A", "A minor", "i ii V7 I"),
        ("Am F#dim E7 Am", "A minor", "i #vio V7 i"),
    ],
)
def test_the_raised_sixth_and_the_picardy_third_are_the_keys_own(chords: str, key: str, numerals: str) -> None:
    sheet = LeadSheet.parse(f"| {' | '.join(chords.split())} |", key=key)
    assert romans(sheet) == numerals.split()


@pytest.mark.parametrize(("name", "numerals"), [("dorian_vamp", "i IV i IV"), ("picardy", "i iv V7 I")])
def test_reported_sheets_read_as_their_notes_do(name: str, numerals: str) -> None:
    sheet = LeadSheet.load(Path(__file__).parents[2] / "data" / "cases" / "json" / f"{name}.json")
    assert romans(sheet) == numerals.split()


@pytest.mark.parametrize("chords", ["Am Dm E A Dm E Am", "Am D Am E Am", "Cm F Bb Eb G Cm", "Cm Fm G C Fm G Cm"])
def test_triads_in_minor_are_called_the_same_from_symbols_as_from_notes(chords: str) -> None:
    key = Key(chords[0], "minor")
    sheet = LeadSheet.parse(f"| {' | '.join(chords.split())} |", key=str(key))
    voices: list[tuple[Note, ...]] = []
    for voice in range(4):
        pitches = [_voicing(span.chord)[voice] for span in sheet.chords]
        voices.append(tuple(Note(span.start, span.beats, pitch) for span, pitch in zip(sheet.chords, pitches)))
    score = Score(tuple(voices), ("",) * 4, (), sheet.meters, sheet.keys, sheet.grid, sheet.length)
    from_notes, numerals = analyse(score)
    assert [span.key for span in from_notes.keys] == [key]
    assert numerals == romans(sheet)


def _voicing(chord: Chord) -> list[int]:
    """Root in the bass, then the triad above it."""
    assert chord.root_pc is not None
    return [36 + chord.root_pc, *(60 + pc for pc in chord.pitch_classes)]
