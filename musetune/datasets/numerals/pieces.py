"""Which pieces are for tests, which to learn from, and under which licence their analyses are.

Test and training never share a work: a movement, a song of the same cycle or a prelude of the same book counts as the
work. Analyses whose file names a licence that forbids commercial use are never learned from.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TEST_LIST = Path(__file__).with_name("test_pieces.txt")
ROOTS = ("Corpus", "when_in_rome")  # folders that hold the collection's genres
NOT_COMMERCIAL = re.compile(r"CC[- ]BY[- ]NC|DCML", re.IGNORECASE)
CHORALES = "Early_Choral/Bach,_Johann_Sebastian/Chorales/"


@dataclass(frozen=True)
class AnalysedPiece:
    """An analysis and the score that it is about. ``name``: its folder in the collection."""

    name: str
    score: Path
    analysis: Path

    @property
    def work(self) -> str:
        """The work or cycle that the piece is part of."""
        return work_of(self.name)

    @property
    def commercial(self) -> bool:
        """Whether the analysis may be used commercially, by what its own head says."""
        return not NOT_COMMERCIAL.search(self.analysis.read_text(encoding="utf-8", errors="replace")[:800])


def work_of(name: str) -> str:
    """The work that a piece belongs to; each chorale and each piece outside a set is a work of its own.

    Example:
        >>> work_of("Quartets/Beethoven,_Ludwig_van/Op074/3")
        'Quartets/Beethoven,_Ludwig_van/Op074'
        >>> work_of("OpenScore-LiederCorpus/Bonis,_Mel/_/Allons_prier!")
        'OpenScore-LiederCorpus/Bonis,_Mel/_/Allons_prier!'
    """
    parent = name.rpartition("/")[0]
    return name if parent.endswith("/_") or name.startswith(CHORALES) else parent


def collection_root(folder: Path) -> Path:
    """The folder of the collection's genres, in or at `folder`.

    Raises:
        FileNotFoundError: There is no analysis below it.
    """
    root = next((folder / name for name in ROOTS if (folder / name).is_dir()), folder)
    if next(root.rglob("analysis.txt"), None) is None:
        raise FileNotFoundError(f"no analysis.txt in {folder}: give the folder of When in Rome")
    return root


def find_pieces(folder: Path) -> list[AnalysedPiece]:
    """Every piece of the collection whose score is at hand: beside the analysis, or in music21's corpus."""
    root = collection_root(folder)
    paths = sorted(root.rglob("analysis.txt"))
    found = ((path, score_of(path.parent)) for path in paths)
    return [
        AnalysedPiece(path.parent.relative_to(root).as_posix(), score, path)
        for path, score in found
        if score is not None
    ]


def score_of(folder: Path) -> Path | None:
    """The score of an analysis, None where only a network has it."""
    from music21 import common

    if (score := folder / "score.mxl").is_file():
        return score
    if (remote := folder / "remote.json").is_file():
        name = json.loads(remote.read_text(encoding="utf-8")).get("remote_score_music21")
        path = Path(common.getCorpusFilePath()) / name if name else None
        if path is not None and path.suffix == ".mxl" and path.is_file():
            return path
    return None


def names_for_tests() -> list[str]:
    """The 60 pieces that everything about numerals is measured on."""
    return TEST_LIST.read_text(encoding="utf-8").split("\n")[:-1]


def pieces_for_tests(folder: Path) -> list[AnalysedPiece]:
    """The pieces for tests that the collection has, in the order of the list."""
    pieces = {piece.name: piece for piece in find_pieces(folder)}
    return [pieces[name] for name in names_for_tests() if name in pieces]


def other_pieces(folder: Path) -> list[AnalysedPiece]:
    """The pieces of works that no test piece is part of."""
    works = {work_of(name) for name in names_for_tests()}
    return [piece for piece in find_pieces(folder) if piece.work not in works]


def for_development(piece: AnalysedPiece) -> bool:
    """Whether a piece of `other_pieces` is for development, never learned from: by its work; of choral music none."""
    if piece.name.startswith("Early_Choral/"):
        return False
    return not piece.commercial or hashlib.sha1(piece.work.encode()).hexdigest()[-1] in "012"


def training_pieces(folder: Path) -> Iterator[AnalysedPiece]:
    """The pieces to learn from."""
    return (piece for piece in other_pieces(folder) if piece.commercial and not for_development(piece))


def development_pieces(folder: Path) -> Iterator[AnalysedPiece]:
    """The pieces to choose by; analyses for non-commercial use are only measured with."""
    return (piece for piece in other_pieces(folder) if for_development(piece))
