"""Humdrum phrases: notes with ties, parting columns and grace notes, and numerals in **harm."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import pytest

from musetune.datasets.numerals.tavern import read_variation, roman_text, variations

PHRASE = """!!!COM: Nobody
**function\t**harm\t**kern\t**kern
*\t*\t*k[b-]\t*k[b-]
*M2/4\t*M2/4\t*M2/4\t*M2/4
*F:\t*F:\t*F:\t*F:
=1\t=1\t=1\t=1
2T\t2I\t[2F\t4c 4f
.\t.\t.\tqgg
.\t.\t.\t8a
.\t.\t.\t8cc#
=2\t=2\t=2\t=2
*\t*\t*\t*^
4D\t4V7b/V\t4F]\t4b\t4d
*\t*\t*\t*v\t*v
4T\t4Cc\t4C\t4r
*-\t*-\t*-\t*-
"""
SECOND = PHRASE.replace("[2F", "2F").replace("4F]", "4F").replace("=1", "=3").replace("=2", "=4")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    joined = tmp_path / "Mozart" / "K000" / "Joined"
    joined.mkdir(parents=True)
    (joined / "M000_00_01a_a.krn").write_text(PHRASE)
    (joined / "M000_00_02b_a.krn").write_text(SECOND)
    (joined / "M000_00_01a_b.krn").write_text("another analyst's, not read")
    (joined / "M000_01_01_a.krn").write_text(PHRASE)
    return tmp_path


def test_variations_have_their_phrases_in_order(folder: Path) -> None:
    found = list(variations(folder))
    assert [name for name, _ in found] == ["Mozart/K000/M000_00", "Mozart/K000/M000_01"]
    assert [path.name for path in found[0][1]] == ["M000_00_01a_a.krn", "M000_00_02b_a.krn"]


def test_notes_and_numerals_of_two_phrases(folder: Path) -> None:
    score, labels = read_variation(next(variations(folder))[1])
    assert score.length == 8
    assert str(score.meters[0].meter) == "2/4"
    assert str(score.signatures[0].key) == "F major"
    notes = sorted((note.start, note.pitch, note.beats) for voice in score.voices for note in voice)
    half = Fraction(1, 2)
    first = [(0, 53, 3), (0, 60, 1), (0, 65, 1), (1, 69, half), (3 * half, 73, half), (2, 62, 1), (2, 71, 1)]
    assert notes[:7] == first
    assert (4, 53, 2) in notes
    assert {f for voice in score.fifths for f in voice} == {-1, 0, 1 - 1, 3, 7, 2, 5}
    assert all(a.start + a.beats <= b.start for voice in score.voices for a, b in itertools.pairwise(voice))
    assert [(label.start, label.degree, label.quality, label.inversion) for label in labels[:3]] == [
        (0, (0, 0), "maj", 0),
        (2, (7, 7), "7", 1),
        (3, (0, 0), "maj", 2),
    ]
    assert labels[3].start == 4
    assert {label.key for label in labels} == {(5, "major")}


@pytest.mark.parametrize(
    ("figure", "text"),
    [
        ("I", "I"),
        ("Vb", "V6"),
        ("V7d/IV", "V42/IV"),
        ("viioD7c", "viio43"),
        ("viiom7/V", "viiø7/V"),
        ("-VI", "bVI"),
        ("V7m9", "V7"),
        ("Gn", "Ger65"),
        ("Lt/V", "It6/V"),
        ("Cc/III", "Cad64/III"),
        ("IV/V[I]", "IV/V"),
        ("Cto7", ""),
        ("Vd", ""),
    ],
)
def test_numerals_of_harm_in_romantext(figure: str, text: str) -> None:
    assert roman_text(figure) == text


def test_broken_phrases_are_refused(folder: Path) -> None:
    path = folder / "Mozart" / "K000" / "Joined" / "M000_01_01_a.krn"
    path.write_text(PHRASE.replace("4D\t4V7b/V", "4D\t2V7b/V"))
    with pytest.raises(ValueError, match=r"4.0 quarters of notes, 5.0 of analysis"):
        read_variation([path])
    path.write_text(PHRASE.replace("4T\t4Cc\t4C\t4r", "4T\t4Cc\t4C\t4r\t4r"))
    with pytest.raises(ValueError, match="3 columns of notes where 2 are open"):
        read_variation([path])
    path.write_text(PHRASE.replace("2I", "I"))
    with pytest.raises(ValueError, match="'I' has no duration"):
        read_variation([path])
