"""A batch keeps pairs and their files, and its names do not tell where a sound comes from."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from musetune import LeadSheet
from musetune.evaluation.preferences import PairBatch, Side
from musetune.evaluation.preferences.batch import file_hash

MakeSide = Callable[[str, str], Side]


@pytest.fixture
def batch(tmp_path: Path) -> PairBatch:
    return PairBatch(tmp_path / "batch")


def test_what_is_added_is_read_again(batch: PairBatch, side: MakeSide, tmp_path: Path) -> None:
    sheet = LeadSheet.parse("| C | G7 |")
    first = replace(side("x", "planner"), chart=sheet.save(tmp_path / "a.json"), midi=sheet.save(tmp_path / "a.mid"))
    pair = batch.add("1", first, side("y", "song"), {"prompt": "bossa", "extra": [1]}, question="Which plan?")
    assert batch.pairs() == {"1": pair}
    assert pair.request == {"prompt": "bossa", "extra": [1]}
    assert pair.question == "Which plan?"
    kept = pair.sides[0]
    assert kept.sha256 == file_hash(first.audio) == file_hash(kept.audio)
    assert kept.chart is not None
    assert kept.midi is not None
    assert LeadSheet.load(kept.chart) == sheet
    assert kept.midi.read_bytes() == (tmp_path / "a.mid").read_bytes()
    assert pair.sides[1].chart is None


def test_names_of_files_do_not_tell_the_origin(batch: PairBatch, side: MakeSide) -> None:
    batch.add("1", side("my-model", "my-model"), side("their-model", "their-model"))
    assert not [path for path in batch.folder.rglob("*") if "model" in path.name]


def test_a_folder_that_is_moved_is_still_a_batch(batch: PairBatch, side: MakeSide, tmp_path: Path) -> None:
    batch.add("1", side("x", "old"), side("y", "new"))
    moved = PairBatch(batch.folder.rename(tmp_path / "elsewhere"))
    assert all(one.audio.is_file() for one in moved.pairs()["1"].sides)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"origin": {}}, "origin {} has no name"),
        ({"audio": Path("none.wav")}, "second side: audio none.wav is not there"),
        ({"chart": Path("none.json")}, "chart none.json is not there"),
    ],
)
def test_a_side_that_cannot_be_is_refused(
    batch: PairBatch, side: MakeSide, change: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        batch.add("1", side("x", "old"), replace(side("y", "new"), **change))
    assert not batch.folder.exists()


def test_sounds_of_other_kinds_and_equal_ones_are_refused(batch: PairBatch, side: MakeSide, tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("no sound")
    with pytest.raises(ValueError, match=r"x.txt has suffix '.txt'; give .wav, .flac"):
        batch.add("1", side("x", "old"), Side(tmp_path / "x.txt", {"name": "new"}))
    with pytest.raises(ValueError, match="the same sound"):
        batch.add("1", side("x", "old"), side("x", "new"))


def test_an_id_is_given_once(batch: PairBatch, side: MakeSide) -> None:
    batch.add("1", side("x", "old"), side("y", "new"))
    with pytest.raises(ValueError, match="'1' is taken"):
        batch.add("1", side("x", "old"), side("z", "new"))
    with pytest.raises(ValueError, match="empty"):
        batch.add("", side("x", "old"), side("z", "new"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 2}, "schema is 2, this version reads 1"),
        ({"pair": ""}, "not a text"),
        ({"sides": []}, "not two takes"),
        ({"sides": [{"origin": {"name": "x"}}, {}]}, "'audio' is missing"),
        ({"sides": [{"audio": "../secret.wav", "origin": {"name": "x"}}] * 2}, "is not in"),
        ({"sides": [{"audio": "sounds/x.txt", "origin": {"name": "x"}}] * 2}, "is none of"),
    ],
)
def test_a_wrong_line_is_named(batch: PairBatch, side: MakeSide, change: dict[str, object], message: str) -> None:
    batch.add("1", side("x", "old"), side("y", "new"))
    path = batch.folder / "pairs.jsonl"
    line = json.loads(path.read_text())
    with path.open("a") as file:
        file.write(json.dumps(line | {"pair": "2"} | change) + "\n")
    with pytest.raises(ValueError, match=rf"pairs.jsonl line 2: .*{message}"):
        batch.pairs()
