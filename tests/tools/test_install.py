"""tools/install.sh says what it installs and how far it is, and shows what went wrong; with a pip that only talks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PYTHON = """#!/bin/sh
[ "$1" = -c ] && exit 0
echo "$@" >>"$CALLS"
echo "Collecting torch==2.13.0"
echo "  Downloading https://files.pythonhosted.org/packages/torch-2.13.0-cp311-cp311-linux_x86_64.whl (190.4 MB)"
case "$*" in *"$FAILS"*) echo "ERROR: no matching distribution"; exit 1 ;; esac
case "$*" in *"$SLOW"*) sleep 2.5 ;; esac
"""


def install(
    folder: Path, *, judges: str = "yes", fails: str = "nothing", slow: str = "nothing", stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    """Run the script on a virtual environment whose Python is PYTHON."""
    binaries = folder / "venv" / "bin"
    binaries.mkdir(parents=True)
    (binaries / "python").write_text(PYTHON)
    (binaries / "python").chmod(0o755)
    settings = {"JUDGES": judges, "FAILS": fails, "SLOW": slow, "CALLS": str(folder / "calls")}
    command = ["sh", str(REPOSITORY / "tools" / "install.sh"), str(folder / "venv")]
    streams = {"stdout": stdout, "stderr": subprocess.PIPE}
    return subprocess.run(command, cwd=REPOSITORY, env=os.environ | settings, text=True, check=False, **streams)


@pytest.mark.slow
@pytest.mark.parametrize(("judges", "steps"), [("yes", 7), ("no", 5)])
def test_every_step_is_numbered(tmp_path: Path, judges: str, steps: int) -> None:
    done = install(tmp_path, judges=judges)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert [line.split("]")[0] for line in lines] == [f"[{n}/{steps}" for n in range(1, steps + 1)]
    calls = (tmp_path / "calls").read_text()
    assert ("madmom" in calls) is ("judge]" in calls) is (judges == "yes")
    assert (tmp_path / "venv" / ".installed").is_file()


@pytest.mark.slow
def test_a_failure_shows_what_pip_said(tmp_path: Path) -> None:
    done = install(tmp_path, fails="torch==2.13.0")
    assert done.returncode == 1
    assert "step 2 of 7 failed" in done.stderr
    assert "ERROR: no matching distribution" in done.stderr
    assert not (tmp_path / "venv" / ".installed").exists()


@pytest.mark.slow
def test_a_terminal_shows_what_is_downloaded(tmp_path: Path) -> None:
    pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")
    ours, theirs = pty.openpty()
    done = install(tmp_path, slow="torch==2.13.0", stdout=theirs)
    os.close(theirs)
    text = b""
    try:
        while chunk := os.read(ours, 4096):
            text += chunk
    except OSError:  # Linux's sign that nobody writes any more
        os.close(ours)
    assert done.returncode == 0, done.stderr
    assert "package 1: downloading torch (190.4 MB)" in text.decode()
