"""Faults that a service meets: each is done to a running `musetune serve`, and what becomes of the jobs is counted."""

from __future__ import annotations

import asyncio
import io
import os
import random
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import soundfile
from serving_program import Ledger, ServedProgram, random_song, wait_until

CLIP = {"prompt": "jazz trio", "harmonic_progression": "ii7 V7 Imaj7", "duration_seconds": 2, "num_inference_steps": 4}
DISK_MB = 48


@dataclass(frozen=True)
class FaultOutcome:
    """What was done, how the answers were, what became of the accepted jobs, and what else was seen."""

    fault: str
    ledger: Ledger
    jobs: dict[str, int]
    seen: str


@contextmanager
def feeding(ledger: Ledger, queue: int, kinds: Sequence[str] = ("generation",)) -> Iterator[None]:
    """Keep about ``queue`` jobs of each kind in the service, whatever happens to it, until the end of the block."""
    end = threading.Event()
    song = real_song()

    def feed(kind: str) -> None:
        with httpx.Client(base_url=ledger.program.url, trust_env=False, timeout=60) as http:
            while not end.wait(0.2):
                if len(ledger.program.open_jobs(kind)) >= queue:
                    continue
                try:
                    if kind == "generation":
                        ledger.note(http.post("/v1/generations", json=CLIP))
                    else:
                        ledger.note(http.post("/v1/analyses", files={"file": ("song.wav", song)}))
                except httpx.TransportError:
                    ledger.broken += 1

    threads = [threading.Thread(target=feed, args=(kind,), daemon=True) for kind in kinds]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in threads:
            thread.join()


def busy_worker(program: ServedProgram, kinds: Sequence[str] = ("generation",)) -> tuple[str, int]:
    """Kind and process of a worker that is in the middle of a job."""
    found: list[tuple[str, int]] = []

    def look() -> bool:
        found.extend((kind, pid) for kind in kinds if (pid := program.busy_worker(kind)) is not None)
        return bool(found)

    wait_until(look, "a job is being done")
    return found[0]


def kill_workers(program: ServedProgram, times: int, generator: random.Random) -> FaultOutcome:
    """Kill -9 a worker at a random moment of its job, again and again: those that generate and those that analyse."""
    ledger, kinds, killed = Ledger(program), ["generation", "analysis"], Counter[str]()
    with feeding(ledger, 3, kinds):
        for _ in range(times):
            generator.shuffle(kinds)
            kind, pid = busy_worker(program, kinds)
            time.sleep(generator.uniform(0, 1.0))
            os.kill(pid, 9)
            killed[kind] += 1
            wait_until(lambda pid=pid: pid not in program.pids(), "the killed worker is gone")
        began = time.monotonic()
        wait_until(program.ready, "the service is ready again", pause=0.5)
        seconds = time.monotonic() - began
    states = ledger.settle()
    whom = ", ".join(f"{count} of kind {kind}" for kind, count in sorted(killed.items()))
    seen = f"{whom}; all workers ready {seconds:.0f} s after the last; {codes(program)}"
    return FaultOutcome(f"worker killed −9, {times} times", ledger, states, seen)


def kill_server(program: ServedProgram, times: int, generator: random.Random) -> FaultOutcome:
    """Kill -9 the server with jobs in the queue, and start it anew on the same folder."""
    ledger, slowest = Ledger(program), 0.0
    with feeding(ledger, 4):
        for _ in range(times):
            busy_worker(program)
            time.sleep(generator.uniform(0, 1.5))
            family = program.pids()[1:]
            program.kill()
            wait_until(lambda family=family: not any(map(_lives, family)), "its workers ended with it", 60)
            slowest = max(slowest, program.start())
    states = ledger.settle()
    seen = f"its workers ended with it; ready again after {slowest:.0f} s at most; {codes(program)}"
    return FaultOutcome(f"server killed −9 and started again, {times} times", ledger, states, seen)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def fill_disk(program: ServedProgram, clips: int) -> FaultOutcome:
    """Fill the disk to its last byte while jobs run, submit more, make room, and go on. The folder is a small tmpfs."""
    ledger, filler = Ledger(program), program.folder / "filler"
    with httpx.Client(base_url=program.url, trust_env=False, timeout=60) as http:
        for _ in range(clips):
            ledger.note(http.post("/v1/generations", json=CLIP))
        busy_worker(program)
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 4096)
            except OSError:
                pass
        refused = 0
        for number in range(clips):
            files = {"file": (f"song{number}.wav", os.urandom(300_000))}
            ledger.note(upload := http.post("/v1/analyses", files=files))
            refused += upload.status_code == 507
            ledger.note(http.post("/v1/generations", json=CLIP | {"seed": number}))
        alive = http.get("/healthz").is_success and http.get("/metrics").is_success
        time.sleep(5)
        filler.unlink()
        ledger.settle()
        ledger.note(last := http.post("/v1/generations", json=CLIP, params={"wait_seconds": 60}))
    fine = "well" if last.status_code == 200 and last.json()["state"] == "succeeded" else "badly"
    seen = (
        f"{refused} of {clips} uploads refused with 507; the service answered meanwhile: {'yes' if alive else 'no'}; "
        f"the first job after it went {fine}"
    )
    return FaultOutcome(f"disk full (a tmpfs of {DISK_MB} MB)", ledger, ledger.settle(), seen)


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A tmpfs at a folder; False where this user may mount none."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(folder)]
    mounted = shutil.which("mount") is not None and subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def leave(program: ServedProgram, clients: int) -> FaultOutcome:
    """Clients that go: while their request waits for its job, in the middle of a stream, in the middle of a body."""
    ledger, before = Ledger(program), program.open_files()

    async def waiting(http: httpx.AsyncClient) -> None:
        try:
            await http.post("/v1/generations", json=CLIP, params={"wait_seconds": 30}, timeout=0.3)
        except httpx.TransportError:
            ledger.broken += 1

    async def watching(http: httpx.AsyncClient, job: str) -> None:
        async with http.stream("GET", f"/v1/jobs/{job}/events") as response:
            async for _ in response.aiter_bytes():
                break

    async def sending(port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        head = "POST /v1/analyses HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        writer.write(f"{head}Content-Length: 100000\r\n\r\n--b\r\n".encode() + b"x" * 1000)
        await writer.drain()
        writer.close()

    async def all_of_them() -> None:
        async with httpx.AsyncClient(base_url=program.url, trust_env=False, timeout=60) as http:
            response = await http.post("/v1/generations", json=CLIP | {"num_inference_steps": 40})
            ledger.note(response)
            job = response.json()["id"]
            for _ in range(clients):
                await asyncio.gather(waiting(http), watching(http, job), sending(program.port))

    asyncio.run(all_of_them())
    ledger.ids |= program.open_jobs()  # no answer told of those whose client had gone before
    states = ledger.settle()
    wait_until(lambda: program.open_files() <= before + 8, "the server has closed what the clients left open", 120)
    seen = f"open files {before} before, {program.open_files()} after"
    return FaultOutcome(f"clients gone: {clients} each of three kinds", ledger, states, seen)


def loris(program: ServedProgram, sockets: int, seconds: float) -> FaultOutcome:
    """Slow-loris: half of the clients send heads, half of them bodies, a byte a second; others ask meanwhile."""
    ledger, before, slow = Ledger(program), program.open_files(), list[socket.socket]()
    head = b"POST /v1/generations HTTP/1.1\r\nHost: localhost\r\n"
    body = head + b"Content-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"
    for number in range(sockets):
        slow.append(socket.create_connection(("127.0.0.1", program.port)))
        slow[-1].sendall(head if number % 2 else body)
    answers, until, slowest = list[bool](), time.monotonic() + seconds, 0.0
    while time.monotonic() < until:
        for one in slow:
            try:
                one.send(b"X" if slow.index(one) % 2 else b" ")
            except OSError:
                continue
        began = time.monotonic()
        try:
            response = httpx.get(f"{program.url}/v1/models", trust_env=False, verify=False, timeout=20)
            ledger.note(response)
            answers.append(response.is_success)
        except httpx.TransportError:
            answers.append(False)
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(1)
    cut = sum(_closed(one) for one in slow)
    for one in slow:
        one.close()
    wait_until(lambda: program.open_files() <= before + 8, "the server has closed the slow connections", 120)
    seen = (
        f"{cut} of {sockets} cut off within {seconds:g} s; of {len(answers)} requests of others meanwhile "
        f"{sum(answers)} answered, the slowest after {slowest:.1f} s"
    )
    return FaultOutcome(f"slow-loris: {sockets} connections", ledger, ledger.settle(), seen)


def _closed(one: socket.socket) -> bool:
    """Whether the other side has closed a connection."""
    one.setblocking(False)
    try:
        while data := one.recv(65536):
            del data
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def corrupt(program: ServedProgram, uploads: int, generator: random.Random) -> FaultOutcome:
    """Uploads that are no songs, as fast as the queue takes them; and at the end a real one."""
    ledger = Ledger(program)
    with httpx.Client(base_url=program.url, trust_env=False, timeout=120) as http:
        for _ in range(uploads):
            name, content = random_song(generator)
            while (response := http.post("/v1/analyses", files={"file": (name, content)})).status_code == 429:
                ledger.note(response)
                time.sleep(min(2.0, float(response.headers["retry-after"])))
            ledger.note(response)
        states = ledger.settle()
        real = {"file": ("song.wav", real_song())}
        last = http.post("/v1/analyses", files=real, params={"wait_seconds": 60})
        ledger.note(last)
    fine = "well" if last.json().get("state") == "succeeded" else "badly"
    seen = f"{codes(program)}; a real song after them went {fine}"
    return FaultOutcome(f"corrupt uploads: {uploads:,}", ledger, states, seen)


def real_song() -> bytes:
    """Eight seconds of C, F, G and C, struck on every beat at 120 beats a minute, as a WAV file."""
    rate, beat = 22050, np.arange(11025) / 22050
    chords = [(60, 64, 67), (60, 65, 69), (59, 62, 67), (60, 64, 67)]
    struck = [sum(np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * beat) for note in chord) for chord in chords]
    sound = np.concatenate([0.2 * np.exp(-6 * beat) * wave for wave in struck for _ in range(4)])
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format="WAV")
    return file.getvalue()


def codes(program: ServedProgram) -> str:
    """How many jobs failed with which code."""
    rows = program.query("SELECT json_extract(error, '$.code'), count(*) FROM jobs WHERE state = 'failed' GROUP BY 1")
    return "errors: " + (", ".join(f"{count} {code}" for code, count in rows) or "none")


FAULTS: dict[str, Callable[..., FaultOutcome]] = {
    "workers": kill_workers,
    "server": kill_server,
    "disk": fill_disk,
    "gone": leave,
    "loris": loris,
    "corrupt": corrupt,
}
