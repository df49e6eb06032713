"""`musetune serve` as a program of its own, for tests that meet it as a stranger does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

PATIENCE_S = 180


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.1)


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def program(
    folder: Path, base: Path, *options: str, keys: str = "", variables: Mapping[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen, str]]:
    """`musetune serve` on a free port, ready; killed at the end where it still runs."""
    port = free_port()
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    environment = os.environ | {"PYTHONPATH": path, "MUSETUNE_API_KEYS": keys} | dict(variables or {})
    command = [sys.executable, "-m", "musetune.cli", "serve", "--port", str(port), "--folder", str(folder)]
    command += ["--base", str(base), "--threads", "1", *options]
    with (folder.parent / f"log-{port}.txt").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        assert process.poll() is None, Path(log.name).read_text()[-3000:]
        try:
            return httpx.get(f"{url}/readyz", trust_env=False).is_success
        except httpx.TransportError:
            return False

    try:
        wait_until(ready)
        yield process, url
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
