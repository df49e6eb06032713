"""A headless Chromium and a served page for the tests; skips, in CI fails, where something of that is missing."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
UNPACKED = REPOSITORY / ".cache" / "chromium"  # by `make browser`
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def missing(what: str) -> None:
    """Skip for want of something; fail where it must be there."""
    if os.environ.get("MUSETUNE_CI"):
        pytest.fail(what)
    pytest.skip(what)


def find_chromium() -> tuple[Path, dict[str, str]]:
    """$MUSETUNE_CHROMIUM, else what `make browser` unpacked, else one on the PATH.

    And the environment that it needs.
    """
    asked = os.environ.get("MUSETUNE_CHROMIUM")
    unpacked = UNPACKED / "usr/lib/chromium/chromium-headless-shell"
    found = asked or (str(unpacked) if unpacked.is_file() else next(filter(None, map(shutil.which, NAMES)), None))
    if found is None:
        missing("no Chromium found: `make browser` fetches one, or set MUSETUNE_CHROMIUM to its program")
    libraries = sorted({str(path.parent) for path in UNPACKED.glob("usr/lib/*-linux-gnu*/**/*.so*")})
    own = {"LD_LIBRARY_PATH": os.pathsep.join(libraries)} if Path(str(found)) == unpacked else {}
    return Path(str(found)), os.environ | own


@contextmanager
def served(*arguments: str) -> Iterator[str]:
    """The address of a `musetune ui` with these arguments, in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "musetune.cli", "ui", "--port", str(port), "--no-open", *arguments]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield _when_ready(process, f"http://127.0.0.1:{port}/")
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _when_ready(process: subprocess.Popen[str], address: str) -> str:
    while process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=30).close()
        except OSError:
            time.sleep(0.2)
        else:
            return address
    raise RuntimeError(f"musetune ui ended:\n{process.communicate()[0]}")


def fill(page: Any, field: str, value: str) -> None:
    """Type a value until it stays: a field just unfolded is still being set to its default."""
    place = page.locator(f"#{field} textarea, #{field} input[type=number], #{field} input").first
    for _ in range(20):
        place.fill(value)
        place.press("Tab")
        page.wait_for_timeout(300)
        if place.input_value() == value:
            return
    pytest.fail(f"#{field} does not keep {value!r} but shows {place.input_value()!r}")
