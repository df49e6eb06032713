"""A `musetune serve` to be loaded and broken: start it, kill it, watch its memory, and hold it to what it promised."""

from __future__ import annotations

import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

PATIENCE_S = 600.0


class ServedProgram:
    """`musetune serve` as a program, on a folder that outlives it.

    Args:
        folder: The service's folder.
        base: The base that it generates with.
        options: Further options of the command.
    """

    def __init__(self, folder: Path, base: str, *options: str) -> None:
        self.folder, self.log = folder, folder.with_suffix(".log")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.port, self.url = port, f"http://127.0.0.1:{port}"
        self.command = [sys.executable, "-m", "musetune.cli", "serve", "--port", str(port), "--folder", str(folder)]
        self.command += ["--base", base, "--threads", "1", "--rate", "none", "--free-mb", "0", *options]
        self.process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(base_url=self.url, trust_env=False, verify=False, timeout=30)

    def start(self) -> float:
        """Start it and wait until it is ready; the seconds that that took."""
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, start_new_session=True)
        wait_until(self.ready, "the service is ready", pause=0.5)
        return time.monotonic() - began

    def ready(self) -> bool:
        """Whether it takes jobs. Raises RuntimeError where it has ended."""
        if self.process is None or self.process.poll() is not None:
            raise RuntimeError(f"musetune serve has ended; the end of {self.log}:\n{self.log.read_text()[-2000:]}")
        try:
            return self.http.get("/readyz").is_success
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """Kill -9 the server alone; its workers end with it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it in peace; its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def end(self) -> None:
        """Kill all of it that still runs."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def pids(self) -> list[int]:
        """The server and all processes below it."""
        parents: dict[int, int] = {}
        for entry in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = entry.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(entry.parent.name)] = int(fields[1])
        tree = [self.process.pid] if self.process is not None else []
        for pid in tree:
            tree += [child for child, parent in parents.items() if parent == pid]
        return tree

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of the file of jobs."""
        with closing(sqlite3.connect(self.folder / "jobs.sqlite3", timeout=60)) as db:
            return db.execute(statement).fetchall()

    def open_jobs(self, kind: str | None = None) -> set[str]:
        """Ids of jobs that have not ended, of one kind or of all."""
        rows = self.query("SELECT id, kind FROM jobs WHERE state IN ('queued', 'running')")
        return {row[0] for row in rows if kind in (None, row[1])}

    def busy_worker(self, kind: str) -> int | None:
        """A process that does jobs of a kind, while one of them is being done; None between two."""
        if not self.query(f"SELECT 1 FROM jobs WHERE state = 'running' AND kind = '{kind}'"):
            return None
        for pid in self.pids()[1:]:
            try:
                notice = (self.folder / "workers" / f"{pid}.json").read_text()
            except FileNotFoundError:
                continue
            if ('"model"' in notice) == (kind == "generation"):  # what it says it has loaded
                return pid
        return None

    def open_files(self) -> int:
        """Open files and sockets of the server."""
        assert self.process is not None
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class MemoryWatch:
    """Memory of a program and all its processes, every second: PSS, so that what they share counts once."""

    def __init__(self, program: ServedProgram) -> None:
        self.program, self.megabytes = program, list[float]()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> MemoryWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(1.0):
            total = 0
            for pid in self.program.pids():
                try:
                    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                except OSError:
                    continue
                total += next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
            self.megabytes.append(total / 1024)

    def third(self, number: int) -> float:
        """Mean of a third of the time, 0 to 2, in MB."""
        size = max(1, len(self.megabytes) // 3)
        part = self.megabytes[number * size : (number + 1) * size] or [float("nan")]
        return sum(part) / len(part)


class Ledger:
    """Jobs that the service accepted, and whether it kept its word: each ended once, none is lost, none is stuck.

    Args:
        program: The service.
    """

    def __init__(self, program: ServedProgram) -> None:
        self.program, self.ids = program, set[str]()
        self.statuses: Counter[int] = Counter()
        self.broken = 0  # requests whose connection failed

    def settle(self) -> dict[str, int]:
        """Wait until all jobs have ended, and count them by state; those lost, those that ended more or less than
        once, and the attempts that were begun again.
        """
        wait_until(lambda: not self.program.open_jobs() & self.ids, "every job has ended")
        counts: Counter[str] = Counter(dict.fromkeys(("succeeded", "failed", "cancelled", "lost", "twice", "again"), 0))
        known = {row[0]: row[1:] for row in self.program.query("SELECT id, state, attempt FROM jobs")}
        ends = "SELECT job, count(*) FROM events WHERE kind IN ('succeeded', 'failed', 'cancelled') GROUP BY job"
        ended = dict(self.program.query(ends))
        for job in self.ids:
            state, attempt = known.get(job, ("lost", 1))
            counts[state] += 1
            counts["again"] += max(0, attempt - 1)
            counts["twice"] += job in known and ended.get(job) != 1
        return dict(counts)

    def note(self, response: httpx.Response) -> None:
        """Count an answer, and remember the job that it accepts."""
        self.statuses[response.status_code] += 1
        if response.status_code in (200, 202) and "location" in response.headers:
            self.ids.add(response.headers["location"].rpartition("/")[2])

    def classes(self) -> tuple[int, int, int, int]:
        """Answers 2xx, 429, other 4xx, and 5xx."""
        count = lambda low, high: sum(n for status, n in self.statuses.items() if low <= status < high)  # noqa: E731
        return count(200, 300), self.statuses[429], count(400, 500) - self.statuses[429], count(500, 600)


def wait_until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_S, *, pause: float = 0.1) -> None:
    """Wait for a condition. Raises TimeoutError, which says what did not come."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"after {seconds:g} s it is still not so that {what}")
        time.sleep(pause)


def percentile(values: list[float], share: float) -> float:
    """The value below which a share of the values lies; NaN where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def random_song(generator: random.Random) -> tuple[str, bytes]:
    """A file that no song is: noise, or the head of a format and noise behind it, or a piece of a real head."""
    kinds = {
        ".wav": b"RIFF\xff\xff\xff\x7fWAVEfmt \x10\x00\x00\x00\x01\x00\x02\x00",
        ".flac": b"fLaC\x00\x00\x00\x22",
        ".ogg": b"OggS\x00\x02",
        ".mp3": b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f",
        ".mid": b"MThd\x00\x00\x00\x06\x00\x01\xff\xff\x00\x60MTrk\xff\xff\xff\xff",
        ".musicxml": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><score-partwise>&b;",
        ".json": b'{"chords": [[[[[[',
        ".jams": b'{"annotations": [{"namespace": "chord", "data": [{"time": 1e999}',
    }
    suffix = generator.choice(sorted(kinds))
    head = kinds[suffix][: generator.randint(0, len(kinds[suffix]))] if generator.random() < 0.3 else kinds[suffix]
    return f"song{suffix}", head + generator.randbytes(generator.choice((0, 1, 50, 5000)))
