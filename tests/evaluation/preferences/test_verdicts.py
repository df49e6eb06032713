"""Verdicts as lines: what is written is read, wrong values are named, a verdict can be taken back."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from musetune.evaluation.preferences import Judge, Verdict, read_verdicts, retract

SIDES = [{"audio": f"sounds/{x}.wav", "sha256": x * 64, "origin": {"name": x, "seed": 1}} for x in "ab"]
ANNA = Judge("person", "anna")
VERDICT = Verdict("7", ANNA, "A", *SIDES, reasons=("chords", "sound"), request={"prompt": "x"}, heard_s=(2.5, 0.0))


def test_a_verdict_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "preferences.jsonl"
    said = VERDICT.append(path)
    assert said == replace(VERDICT, id=said.id, time=said.time)
    assert datetime.fromisoformat(said.time).utcoffset() is not None
    other = replace(VERDICT, judge=Judge("recogniser", "chords"), scores=(0.5, 0.2)).append(path)
    assert read_verdicts(path) == [said, other]
    assert other.id != said.id
    assert json.loads(path.read_text().splitlines()[0])["musetune"]


def test_winner_and_loser() -> None:
    assert (VERDICT.winner, VERDICT.loser) == (SIDES[0], SIDES[1])
    assert replace(VERDICT, verdict="B").loser == SIDES[0]
    assert replace(VERDICT, verdict="both bad").winner is None
    assert replace(VERDICT, verdict="equal").loser is None


def test_a_verdict_that_is_taken_back_does_not_count_and_its_line_stays(tmp_path: Path) -> None:
    path = tmp_path / "preferences.jsonl"
    first, second = VERDICT.append(path), replace(VERDICT, verdict="equal").append(path)
    retract(path, first)
    assert read_verdicts(path) == [second]
    assert len(path.read_text().splitlines()) == 3


def test_an_id_counts_once(tmp_path: Path) -> None:
    path = tmp_path / "preferences.jsonl"
    said = VERDICT.append(path)
    said.append(path)
    assert read_verdicts(path) == [said]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdict": "C"}, "verdict is 'C'; give one of A, B, equal, both bad"),
        ({"reasons": ["mood"]}, "reason 'mood' is none of chords, rhythm, sound, words"),
        ({"judge": {"kind": "dog", "name": "x"}}, "judge is .*person or recogniser"),
        ({"judge": "anna"}, "missing or wrong"),
        ({"a": {"audio": "x"}}, "a is .* it needs audio, sha256 and origin"),
        ({"heard_s": [1]}, "two numbers"),
        ({"schema": 9}, "schema is 9"),
    ],
)
def test_wrong_lines_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = tmp_path / "preferences.jsonl"
    VERDICT.append(path)
    path.write_text(path.read_text() + json.dumps(VERDICT.to_json() | {"id": "x", "time": "y"} | change) + "\n")
    with pytest.raises(ValueError, match=rf"preferences.jsonl line 2: .*{message}"):
        read_verdicts(path)
