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
from dataclasses import dataclass
from pathlib import Path

import httpx

PATIENCE_S = 180  # how long a test waits for what must come before it gives up
KEY, OTHER = "the-first-secret-key", "another-secret-key"


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


@dataclass(frozen=True)
class Program:
    """A running service; process and address can be unpacked."""

    process: subprocess.Popen
    url: str
    log: Path

    def __iter__(self) -> Iterator[object]:
        return iter((self.process, self.url))

    def check(self) -> None:
        """Fail with exit status and log where the program has ended."""
        if (status := self.process.poll()) is not None:
            how = f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
            raise AssertionError(f"musetune serve ended with {how}; its log ends:\n{self.last_words()}")

    def last_words(self) -> str:
        return self.log.read_text()[-6000:]

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, for as long as the program lives."""
        until = time.monotonic() + PATIENCE_S
        while not condition():
            self.check()
            assert time.monotonic() < until, f"it did not come; the log ends:\n{self.last_words()}"
            time.sleep(0.05)

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", trust_env=False).is_success
        except httpx.TransportError:
            return False


@contextmanager
def program(
    folder: Path, base: Path, *options: str, keys: str = "", variables: Mapping[str, str] | None = None
) -> Iterator[Program]:
    """`musetune serve` on a free port, ready; killed at the end where it still runs."""
    port = free_port()
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    environment = os.environ | {"PYTHONPATH": path, "MUSETUNE_API_KEYS": keys} | dict(variables or {})
    command = [sys.executable, "-X", "faulthandler", "-m", "musetune.cli", "serve", "--port", str(port)]
    command += ["--folder", str(folder), "--base", str(base), "--threads", "1", *options]
    log_path = folder.parent / f"log-{port}.txt"
    with log_path.open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    service = Program(process, f"http://127.0.0.1:{port}", log_path)
    try:
        service.wait_until(service.ready)
        yield service
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
