"""Lines that were appended are there after kill -9, whole, from several processes."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from musetune.evaluation.preferences.journal import append_line, read_lines

WRITER = """
import sys
from pathlib import Path
from musetune.evaluation.preferences.journal import append_line
for n in range(100_000):
    append_line(Path(sys.argv[1]), {"n": n, "text": "x" * 3000})
    print(n, flush=True)
"""


def test_the_order_is_kept_and_signs_of_all_languages_too(tmp_path: Path) -> None:
    path = tmp_path / "new" / "log.jsonl"
    for text in ("a", "ü\u2028\n♯", ""):
        append_line(path, {"text": text})
    assert list(read_lines(path)) == [(1, {"text": "a"}), (2, {"text": "ü\u2028\n♯"}), (3, {"text": ""})]


def test_half_a_line_is_no_record_and_goes_with_the_next_append(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "log.jsonl"
    append_line(path, {"n": 1})
    with path.open("a") as file:
        file.write('{"n": 2, "te')
    assert [record for _, record in read_lines(path)] == [{"n": 1}]
    with caplog.at_level(logging.WARNING):
        append_line(path, {"n": 3})
    assert "half a line" in caplog.text
    assert [record for _, record in read_lines(path)] == [{"n": 1}, {"n": 3}]


def test_a_last_line_without_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"n": 1}\n{"n": 2}')  # as an editor may leave it
    append_line(path, {"n": 3})
    assert [record["n"] for _, record in read_lines(path)] == [1, 2, 3]


@pytest.mark.parametrize(("line", "reason"), [("{oops", "no JSON"), ("[1]", "no object")])
def test_a_wrong_line_is_named(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(f'{{"n": 1}}\n\n{line}\n{{"n": 2}}\n')
    with pytest.raises(ValueError, match=rf"log.jsonl line 3 is {reason}"):
        list(read_lines(path))


def test_what_json_has_not_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with pytest.raises(ValueError, match=r"JSON compliant|nan"):
        append_line(path, {"n": float("nan")})
    assert not path.exists()


@pytest.mark.slow
def test_nothing_that_was_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    """A process that appends is killed again and again at a random moment, and the next one goes on."""
    path = tmp_path / "log.jsonl"
    acknowledged = 0
    draw = random.Random(0)
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(draw.randint(5, 60)):
            assert process.stdout.readline()
            acknowledged += 1
        os.kill(process.pid, signal.SIGKILL)
        acknowledged += len(process.communicate()[0].splitlines())  # what it had still said
    records = [record for _, record in read_lines(path)]
    assert acknowledged <= len(records) <= acknowledged + 2  # the last of each may be there without having been said
    assert all(record["text"] == "x" * 3000 for record in records)


def _append_many(path: Path, name: str) -> None:
    for n in range(40):
        append_line(path, {"name": name, "n": n, "text": name * 5000})


def test_two_processes_write_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    processes = [context.Process(target=_append_many, args=(path, name)) for name in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for name in "ab":
        assert [record["n"] for record in records if record["name"] == name] == list(range(40))
