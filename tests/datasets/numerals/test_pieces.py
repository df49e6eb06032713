"""Which pieces may be learned from: never a work that is tested, never what is not for commercial use."""

from __future__ import annotations

from pathlib import Path

import pytest

from musetune.datasets.numerals import pieces

TESTED = "Piano_Sonatas/Mozart,_Wolfgang_Amadeus/K280/2"
CYCLE = "OpenScore-LiederCorpus/Schumann,_Robert/Dichterliebe,_Op.48"
HEADS = {
    TESTED: "Analyst: DCML members and contributors. Licence CC-BY-NC-SA.",
    "Piano_Sonatas/Mozart,_Wolfgang_Amadeus/K999/1": "Analyst: DCML members and contributors. Licence CC-BY-NC-SA.",
    "OpenScore-LiederCorpus/Nobody/_/A_Song": "Analyst: A. Person",
    "OpenScore-LiederCorpus/Nobody/_/Another_Song": "Analyst: A. Person",
    f"{CYCLE}/16_Die_alten,_bösen_Lieder": "Analyst: A. Person",
    "Quartets/Beethoven,_Ludwig_van/Op999/1": "Analyst: DCMLab. See https://github.com/DCMLab/",
}


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    for name, head in HEADS.items():
        folder = tmp_path / "Corpus" / name
        folder.mkdir(parents=True)
        (folder / "analysis.txt").write_text(f"Composer: X\n{head}\n\nm1 C: I\n")
        (folder / "score.mxl").write_bytes(b"")
    (tmp_path / "Corpus" / "Orchestral" / "Nobody" / "_" / "No_score").mkdir(parents=True)
    (tmp_path / "Corpus" / "Orchestral" / "Nobody" / "_" / "No_score" / "analysis.txt").write_text("m1 C: I\n")
    return tmp_path


def test_the_list_of_tests_is_whole() -> None:
    names = pieces.names_for_tests()
    assert len(names) == len(set(names)) == 60
    assert any(name.startswith(CYCLE) for name in names)
    assert TESTED.rpartition("/")[0] in {pieces.work_of(name) for name in names}


def test_no_work_is_on_two_sides(collection: Path) -> None:
    sides = [
        {piece.work for piece in side}
        for side in (
            [
                piece
                for piece in pieces.find_pieces(collection)
                if piece.work in map(pieces.work_of, pieces.names_for_tests())
            ],
            pieces.training_pieces(collection),
            pieces.development_pieces(collection),
        )
    ]
    assert all(not a & b for i, a in enumerate(sides) for b in sides[:i])
    assert CYCLE in sides[0]


def test_what_is_not_for_commercial_use_is_never_learned_from(collection: Path) -> None:
    learned = {piece.name for piece in pieces.training_pieces(collection)}
    assert learned <= {name for name, head in HEADS.items() if "DCML" not in head}
    measured = {piece.name for piece in pieces.development_pieces(collection)}
    assert "Quartets/Beethoven,_Ludwig_van/Op999/1" in measured
    songs = {name for name in HEADS if "Nobody" in name}
    assert (learned | measured) >= songs


def test_pieces_without_a_score_are_passed_over(collection: Path) -> None:
    assert {piece.name for piece in pieces.find_pieces(collection)} == HEADS.keys()


def test_a_score_of_music21s_corpus(tmp_path: Path) -> None:
    (tmp_path / "remote.json").write_text('{"remote_score_music21": "bach/bwv269.mxl"}')
    score = pieces.score_of(tmp_path)
    assert score is not None
    assert score.is_file()
    (tmp_path / "remote.json").write_text('{"remote_score_krn": "https://example.org/x.krn"}')
    assert pieces.score_of(tmp_path) is None


def test_a_folder_without_analyses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no analysis\.txt"):
        pieces.find_pieces(tmp_path)
