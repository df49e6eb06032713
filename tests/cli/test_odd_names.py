"""File names that are no text, and faults: one line without a traceback, whatever the terminal takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from musetune import LeadSheet
from musetune.cli.app import main

REPOSITORY = Path(__file__).parents[2]
NAME = os.fsdecode(b"caf\xe9 <b>.mid")


def musetune(*arguments: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    """The command, on a terminal that refuses what is no UTF-8."""
    environment = os.environ | {"PYTHONIOENCODING": "utf-8:strict", "PYTHONPATH": str(REPOSITORY)} | more
    command = [sys.executable, "-m", "musetune.cli", *arguments]
    return subprocess.run(command, capture_output=True, env=environment, check=False)


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    try:
        return LeadSheet.parse("| C | F G |").save(tmp_path / "a.mid").rename(tmp_path / NAME)
    except OSError:
        pytest.skip("this file system takes text alone")


@pytest.mark.slow
def test_a_name_that_is_no_text_is_analysed_and_everything_is_written(odd: Path, tmp_path: Path) -> None:
    written = ["--json", "--csv", "--labels", "--jams", "--midi", "--musicxml", "--plot"]
    done = musetune("analyze", str(odd), *written, "--out", str(tmp_path / "out"), "--no-cache")
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert len(list((tmp_path / "out").iterdir())) == 10
    record = next((tmp_path / "out").glob("*.json"))
    assert json.loads(record.read_bytes().decode())["source"]["file"] == r"caf\xe9 <b>.mid"


@pytest.mark.slow
def test_the_record_is_printed_and_the_bad_file_named(odd: Path, tmp_path: Path) -> None:
    printed = musetune("analyze", str(odd), "--json", "--no-cache")
    assert json.loads(printed.stdout.decode())["source"]["file"] == r"caf\xe9 <b>.mid"
    odd.write_bytes(b"MThd")
    done = musetune("analyze", str(odd), str(odd.with_name("gone.mid")))
    assert done.returncode == 2
    assert b"no such file" in done.stderr
    done = musetune("analyze", str(odd))
    assert (done.returncode, len(done.stderr.decode().splitlines())) == (2, 1)
    assert rb"caf\udce9 <b>.mid" in done.stderr


@pytest.mark.parametrize(
    "error", [RecursionError("deep"), OverflowError("cannot fit"), KeyError("chord"), TypeError("x")], ids=repr
)
def test_a_fault_is_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.delenv("MUSETUNE_TRACEBACK", raising=False)
    monkeypatch.setitem(main.__globals__, "app", fail)
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 70
    text = capsys.readouterr().err
    assert text.startswith(f"musetune: {type(error).__name__}: ")
    assert "please report it" in text
    assert len(text.splitlines()) == 1
    monkeypatch.setenv("MUSETUNE_TRACEBACK", "1")
    with pytest.raises(SystemExit):
        main()
    assert "Traceback" in capsys.readouterr().err


def test_words_that_are_no_text_are_refused() -> None:
    done = musetune("plan", os.fsdecode(b"caf\xe9"))
    assert done.returncode == 2
    assert b"is no text" in done.stderr
    assert len(done.stderr.splitlines()) == 1
