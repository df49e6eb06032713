"""`musetune serve` under load and under faults: clients by the dozen, killed workers, a full disk, hostile uploads.

    python benchmarks/serving.py                          # 60 s for each number of clients, then every fault
    python benchmarks/serving.py --clients 1 8 64 --seconds 180 --faults none
    python benchmarks/serving.py --clients --faults workers disk --kills 5
    python benchmarks/serving.py --out docs/results        # writes serving.json and serving_faults.json there too

Each client submits a clip, waits for it, fetches the audio and begins anew; where the queue is full it waits as long as
Retry-After says. A clip's seconds run from the first trial to the last byte of audio. Memory is that of the server and
all its processes (PSS), sampled once a second.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
from serving_faults import CLIP, FAULTS, FaultOutcome, small_disk
from serving_program import Ledger, MemoryWatch, ServedProgram, percentile

QUEUE = 16
LOAD = (
    "clients", "clips", "clips a minute", "p50, s", "p95, s", "p99, s", "2xx", "429", "other 4xx", "5xx",
    "lost", "done twice", "MB, first third", "MB, last third", "MB, most",
)  # fmt: skip
FAULT = (
    "fault", "jobs", "succeeded", "failed", "begun again", "lost", "done twice", "2xx", "429", "other 4xx", "5xx",
    "seen",
)  # fmt: skip


async def client(http: httpx.AsyncClient, ledger: Ledger, until: float, number: int, seconds: list[float]) -> None:
    """One client: clip after clip until the time is over."""
    seed = 1000 * number
    while time.monotonic() < until:
        began, seed = time.monotonic(), seed + 1
        while True:
            response = await http.post("/v1/generations", json=CLIP | {"seed": seed})
            ledger.note(response)
            if response.status_code != 429:
                break
            await asyncio.sleep(min(float(response.headers["retry-after"]), 10.0))
            if time.monotonic() > until:
                return
        job = response.json().get("id")
        while job is not None:
            response = await http.get(f"/v1/jobs/{job}")
            ledger.note(response)
            state = response.json().get("state")
            if state in ("succeeded", "failed", "cancelled"):
                break
            await asyncio.sleep(0.25)
        if job is not None and state == "succeeded":
            audio = await http.get(f"/v1/jobs/{job}/audio", params={"format": "flac"})
            ledger.note(audio)
            assert audio.content.startswith(b"fLaC")
            seconds.append(time.monotonic() - began)


def load(program: ServedProgram, clients: int, length: float) -> list[Any]:
    """A row of LOAD: so many clients for so long."""
    ledger, seconds = Ledger(program), list[float]()

    async def run() -> None:
        until = time.monotonic() + length
        limits = httpx.Limits(max_connections=clients + 8)
        async with httpx.AsyncClient(base_url=program.url, trust_env=False, timeout=120, limits=limits) as http:
            await asyncio.gather(*(client(http, ledger, until, number, seconds) for number in range(clients)))

    began = time.monotonic()
    with MemoryWatch(program) as memory:
        asyncio.run(run())
        took = time.monotonic() - began
        jobs = ledger.settle()
    good = (round(percentile(seconds, share), 1) for share in (0.5, 0.95, 0.99))
    sizes = (round(size) for size in (memory.third(0), memory.third(2), max(memory.megabytes, default=0)))
    speed = round(60 * len(seconds) / took, 1)
    return [clients, len(seconds), speed, *good, *ledger.classes(), jobs["lost"], jobs["twice"], *sizes]


def fault_row(outcome: FaultOutcome) -> list[Any]:
    """A row of FAULT."""
    jobs, ledger = outcome.jobs, outcome.ledger
    counts = [jobs[name] for name in ("succeeded", "failed", "again", "lost", "twice")]
    return [outcome.fault, len(ledger.ids), *counts, *ledger.classes(), outcome.seen]


def break_it(args: argparse.Namespace, name: str, folder: Path, mounted: bool) -> list[Any] | None:
    """A row of FAULT for a fault; None where this user cannot cause it."""
    if name == "disk" and not mounted:
        print("disk: this user may mount no tmpfs, so that no disk can be filled; the fault is left out\n")
        return None
    place = folder / "small" / "service" if name == "disk" else folder / f"faults-{name}"
    workers = "2" if name == "workers" else "1"
    program = ServedProgram(place, args.base, "--queue", str(QUEUE), "--workers", workers)
    program.log = folder / f"{name}.log"
    generator = random.Random(args.seed)
    arguments: dict[str, tuple[Any, ...]] = {
        "workers": (args.kills, generator),
        "server": (args.restarts, generator),
        "disk": (4,),
        "gone": (args.gone,),
        "loris": (args.sockets, 60.0),
        "corrupt": (args.uploads, generator),
    }
    try:
        program.start()
        outcome = FAULTS[name](program, *arguments[name])
        program.stop()
    finally:
        program.end()
    return fault_row(outcome)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)]) + "\n"


def write(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]], machine: str) -> None:
    """Put rows into a file of docs/results/, whose words stay; what was measured before gives way to the new."""
    record = json.loads(path.read_text()) if path.exists() else {}
    old = [row for row in record.get("rows", []) if len(row) == len(columns)]
    kept = {key(row): row for row in old} | {key(row): list(row) for row in rows}
    record |= {"machine": machine, "columns": list(columns), "rows": []}
    head = json.dumps({name: value for name, value in record.items() if name != "rows"}, indent=1, ensure_ascii=False)
    lines = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in kept.values())
    path.write_text(head[:-2] + ',\n "rows": [\n' + lines + "\n ]\n}\n")


def key(row: Sequence[Any]) -> str:
    """What a row is about: the number of clients, or a fault without how often it was done."""
    return re.split("[,:(]", str(row[0]))[0].strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="nano", help="the base that generates")
    parser.add_argument("--clients", type=int, nargs="*", default=[1, 8, 64], help="numbers of clients; none: no load")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each number of clients")
    parser.add_argument("--faults", nargs="*", default=list(FAULTS), choices=[*FAULTS, "none"])
    parser.add_argument("--kills", type=int, default=20, help="of workers, at random moments of their jobs")
    parser.add_argument("--restarts", type=int, default=3, help="of the server")
    parser.add_argument("--gone", type=int, default=30, help="clients of each kind that leave")
    parser.add_argument("--sockets", type=int, default=200, help="slow connections")
    parser.add_argument("--uploads", type=int, default=1000, help="corrupt songs")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the corrupt songs")
    parser.add_argument(
        "--out", type=Path, help="folder with serving.json and serving_faults.json, to be brought up to date"
    )
    args = parser.parse_args()
    args.faults = [name for name in args.faults if name != "none"]
    rows, faults, stuck, busy = list[list[Any]](), list[list[Any]](), list[str](), [os.getloadavg()[0]]

    def show(name: str, columns: Sequence[str], measured: list[list[Any]]) -> None:
        """Print the last row, and bring the file up to date: what was measured is kept whatever comes next."""
        busy.append(os.getloadavg()[0])
        print(table(columns, measured[-1:]), flush=True)
        if args.out:
            args.out.mkdir(parents=True, exist_ok=True)
            write(args.out / name, columns, measured, machine(busy))

    with tempfile.TemporaryDirectory(prefix="musetune-serving-") as scratch:
        folder = Path(scratch)
        if args.clients:
            program = ServedProgram(folder / "load", args.base, "--queue", str(QUEUE))
            try:
                program.start()
                for clients in args.clients:
                    rows.append(load(program, clients, args.seconds))
                    show("serving.json", LOAD, rows)
                program.stop()
            finally:
                program.end()
        with small_disk(folder / "small") as mounted:
            for name in args.faults:
                try:
                    row = break_it(args, name, folder, mounted)
                except (TimeoutError, RuntimeError, httpx.HTTPError) as error:
                    stuck.append(f"{name}: {error}")
                    print(f"{stuck[-1]}\n", flush=True)
                    continue
                if row is not None:
                    faults.append(row)
                    show("serving_faults.json", FAULT, faults)
    print(table(LOAD, rows) if rows else "", table(FAULT, faults) if faults else "", machine(busy), sep="\n")
    sys.exit("\n".join(stuck) or 0)


def machine(busy: Sequence[float]) -> str:
    """The machine, and how busy it was."""
    return f"{os.cpu_count()} cores; load average from {min(busy):.0f} to {max(busy):.0f}, the benchmark's own included"


if __name__ == "__main__":
    main()
