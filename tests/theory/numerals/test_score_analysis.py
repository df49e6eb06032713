"""Numerals from notes: a chorale beside its analysis, and the chords that a student has to know, set for four
voices.
"""

from __future__ import annotations

import warnings
from fractions import Fraction

import pytest
from music21 import corpus

from musetune.formats.scores import read_score
from musetune.symbols import Key, Meter
from musetune.symbols.beat_grid import BeatGrid
from musetune.symbols.score import Score
from musetune.symbols.spans import KeySpan, MeterSpan, Note
from musetune.theory.numerals import resolve_roman
from musetune.theory.numerals.score_analysis import analyse, analyse_score
from musetune.theory.numerals.table import TABLES, entries, transitions


def score_of(chords: str, key: str = "C major", beats: int = 2) -> Score:
    """Four voices on MIDI numbers "bass tenor alto soprano" a chord, chords parted by "|"; no note names."""
    rows = [[int(n) for n in chord.split()] for chord in chords.split("|")]
    voices = tuple(
        tuple(Note(Fraction(i * beats), Fraction(beats), row[v]) for i, row in enumerate(rows)) for v in range(4)
    )
    length = Fraction(len(rows) * beats)
    return Score(
        voices,
        ("B", "T", "A", "S"),
        (),
        (MeterSpan(Fraction(0), Meter(4, 4)),),
        (KeySpan(Fraction(0), Key.parse(key)),),
        BeatGrid.constant(90, int(length)),
        length,
    )


def names_of(chords: str, key: str = "C major") -> list[str]:
    return analyse(score_of(chords, key))[1]


ONE, IV, V, V7 = "48 64 67 72", "53 60 69 72", "43 62 67 71", "43 62 65 71"
MINOR_ONE, MINOR_IV, MINOR_V = "48 63 67 72", "53 60 68 72", "43 62 67 71"


@pytest.mark.parametrize(
    ("chords", "key", "expected"),
    [
        ((ONE, IV, V7, ONE), "C major", ["I", "IV", "V7", "I"]),
        ((ONE, "53 62 69 72", "43 64 67 72", V7, ONE), "C major", ["I", "ii65", "Cad64", "V7", "I"]),
        ((ONE, "45 61 67 76", "50 62 65 77", V7, ONE), "C major", ["I", "V7/ii", "ii", "V7", "I"]),
        (
            (ONE, "52 62 68 71", "45 61 67 76", "50 60 66 74", V7, ONE),
            "C major",
            ["I", "V7/vi", "V7/ii", "V7/V", "V7", "I"],
        ),
        ((ONE, "53 60 68 72", "48 64 67 72", V7, ONE), "C major", ["I", "iv", "I", "V7", "I"]),
        ((MINOR_ONE, "53 61 68 77", MINOR_V, MINOR_ONE), "C minor", ["i", "N6", "V", "i"]),
        ((MINOR_ONE, "44 60 63 66", MINOR_V, MINOR_ONE), "C minor", ["i", "Ger65", "V", "i"]),
        ((MINOR_ONE, "44 60 60 66", MINOR_V, MINOR_ONE), "C minor", ["i", "It6", "V", "i"]),
        ((MINOR_ONE, "44 60 62 66", MINOR_V, MINOR_ONE), "C minor", ["i", "Fr43", "V", "i"]),
        ((MINOR_ONE, MINOR_IV, "47 62 65 68", MINOR_ONE), "C minor", ["i", "iv", "viio7", "i"]),
        ((ONE, "54 60 63 69", V, ONE), "C major", ["I", "viio7/V", "V", "I"]),
    ],
)
def test_what_every_student_knows(chords: tuple[str, ...], key: str, expected: list[str]) -> None:
    opening = (ONE, V7, ONE) if key == "C major" else (MINOR_ONE, MINOR_V, MINOR_ONE)
    found = names_of("|".join((*opening, *chords)), key)
    assert [n.replace("bII6", "N6") for n in found[-len(expected) + 1 :]] == expected[1:]


def test_a_pivot_modulation_to_the_dominant() -> None:
    to_g = ("45 60 64 72", "50 60 66 69", "43 59 67 74", "48 64 67 76", "50 60 66 69", "43 59 67 74")
    sheet = analyse_score(score_of("|".join((ONE, IV, V7, ONE, *to_g, *to_g, *to_g))))
    assert [span.key for span in sheet.keys] == [Key("C"), Key("G")]
    assert 6 <= sheet.keys[1].start <= 10


def test_arpeggios_are_one_chord() -> None:
    notes = [48, 55, 52, 55] * 2 + [47, 55, 50, 55] + [48, 55, 52, 55]
    voice = tuple(Note(Fraction(n, 2), Fraction(1, 2), pitch) for n, pitch in enumerate(notes))
    top = tuple(Note(Fraction(2 * n), Fraction(2), pitch) for n, pitch in enumerate((72, 76, 74, 72)))
    plain = score_of(f"{ONE}|{ONE}|{V}|{ONE}")
    sheet, names = analyse(
        Score((top, voice), ("right", "left"), (), plain.meters, plain.signatures, plain.grid, plain.length)
    )
    assert names == ["I", "V6", "I"]
    assert [span.beats for span in sheet.chords] == [4, 2, 2]


@pytest.mark.parametrize("mode", ["major", "minor"])
def test_every_name_of_the_table_reads_as_its_chord(mode: str) -> None:
    key = Key("C", mode)
    for entry in entries(mode):
        for inversion in entry.inversions:
            chord = resolve_roman(entry.named(inversion), key)
            assert set(entry.steps) <= set(chord.pitch_classes), entry
            assert chord.bass_pc == entry.steps[inversion], (entry, inversion)
    assert transitions(mode).shape == (len(TABLES[mode]) + 1, len(TABLES[mode]))


@pytest.mark.parametrize(("number", "roots", "keys"), [(1, 0.9, 0.9), (3, 0.9, 0.9), (5, 0.85, 0.75), (10, 0.9, 0.4)])
def test_a_chorale_is_heard_as_its_analyst_heard_it(number: int, roots: float, keys: float) -> None:
    """At the starts of the analyst's chords, the shares of right roots and keys; music21's corpus has both.

    The tenth is Phrygian.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        analysis = corpus.parse(f"bach/choraleAnalyses/riemenschneider{number:03}.rntxt")
        found = corpus.chorales.Iterator(number, number, numberingSystem="riemenschneider", returnType="filename")
        chorale = next(iter(found))
    sheet, _ = analyse(read_score(corpus.getWork(chorale), repeats=False))
    numerals = list(analysis.recurse().getElementsByClass("RomanNumeral"))
    root = home = 0
    for numeral in numerals:
        beat = Fraction(numeral.getOffsetInHierarchy(analysis)).limit_denominator(48)
        key = sheet.key_at(beat)
        home += (key.tonic_pc, key.mode) == (numeral.key.tonic.pitchClass, numeral.key.mode)
        root += sheet.chord_at(beat).root_pc == numeral.root().pitchClass
    assert root / len(numerals) >= roots
    assert home / len(numerals) >= keys


def test_silence_is_refused() -> None:
    plain = score_of(ONE)
    with pytest.raises(ValueError, match="no pitched notes"):
        analyse(Score((), (), plain.voices[0], plain.meters, plain.signatures, plain.grid, plain.length))
