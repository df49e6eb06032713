"""What `musetune annotate` takes: songs an hour and core, on one and two cores and on nodes of Ray on this machine.

    python benchmarks/annotating.py SRC [--workers 1 2] [--nodes 3] [--latents nano]

SRC is a folder of music, of your own best, with at least two songs. Every run annotates it anew, as a program of its
own. Processor seconds are those of all its processes together, so that they hold on a busy machine too; the wall clock
does not. What a run takes for its start is known from one with a single song, and does not count in songs an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
EVERY_S = 0.2
RAY = [sys.executable, "-c", "import sys; from ray.scripts.scripts import main; sys.argv[0] = 'ray'; main()"]
STORE_BYTES = 80 * 2**20


def processes() -> dict[int, tuple[int, float, int]]:
    """Of every process: its parent, its processor seconds so far, and its resident bytes."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = path.joinpath("stat").read_text().rpartition(")")[2].split()
            found[int(path.name)] = (
                int(words[1]),
                (int(words[11]) + int(words[12])) / TICK,
                int(words[21]) * os.sysconf("SC_PAGE_SIZE"),
            )
        except (OSError, IndexError):  # it ended just now
            continue
    return found


@dataclass
class Usage:
    """What the descendants of this process took since it was made, sampled.

    Attributes:
        seconds: Processor seconds of each process.
        peak: The most bytes that all had at once.
    """

    seconds: dict[int, float] = field(default_factory=dict)
    peak: int = 0

    def look(self) -> None:
        """Take a sample."""
        table, me, total = processes(), os.getpid(), 0
        for pid in table:
            above, seen = pid, set()
            while above in table and above != me and above not in seen:
                seen.add(above)
                above = table[above][0]
            if above == me and pid != me:
                self.seconds[pid] = table[pid][1]
                total += table[pid][2]
        self.peak = max(self.peak, total)


@contextmanager
def watched() -> Iterator[Usage]:
    """Samples while it lasts."""
    usage, end = Usage(), threading.Event()

    def sample() -> None:
        while not end.wait(EVERY_S):
            usage.look()

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield usage
    finally:
        usage.look()
        end.set()
        thread.join()


@contextmanager
def nodes(count: int) -> Iterator[str]:
    """So many nodes of Ray on this machine, one core each; the address of their head."""
    os.environ["RAY_AUTH_MODE"] = "disabled"  # a token in the home folder is another cluster's
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_gcs_server_request_timeout_seconds": "170"}
    started = []
    try:
        for number in range(count):
            joining = ["--address", f"127.0.0.1:{port}"] if number else ["--head", "--port", str(port)]
            joining += [] if number else ["--include-dashboard=false", "--temp-dir", str(folder)]
            command = [*RAY, "start", "--block", "--num-cpus", "1", "--object-store-memory", str(STORE_BYTES), *joining]
            log = folder / f"node-{number}.log"
            with log.open("w") as file:
                started.append(subprocess.Popen(command, env=environment, stdout=file, stderr=file, cwd=folder))
            while "Ray runtime started" not in log.read_text():
                if started[-1].poll() is not None:
                    raise SystemExit(log.read_text()[-2000:])
                time.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        for node in reversed(started):
            node.terminate()
        for node in started:
            node.wait()
        shutil.rmtree(folder, ignore_errors=True)


def run(source: Path, words: list[str]) -> dict[str, float]:
    """Annotate once; what it took, and what came out."""
    import pyarrow.parquet

    with tempfile.TemporaryDirectory() as scratch, watched() as usage:
        out, began = Path(scratch) / "out", time.perf_counter()
        command = [sys.executable, "-m", "musetune.cli", "annotate", str(source), str(out), *words]
        subprocess.run(command, check=True)
        usage.look()
        seconds = time.perf_counter() - began
        tables = [pyarrow.parquet.read_table(path) for path in sorted((out / "data").glob("*.parquet"))]
        music = sum(value or 0.0 for table in tables for value in table["duration_s"].to_pylist())
        songs = sum(table.num_rows for table in tables)
        size = {name: sum(file.stat().st_size for file in (out / name).glob("*")) for name in ("data", "latents")}
        clips = sum(len(starts) for table in tables for starts in table["clip_starts_s"].to_pylist())
    return {
        "songs": songs,
        "minutes of music": music / 60,
        "wall s": seconds,
        "processor s": sum(usage.seconds.values()),
        "peak MB": usage.peak / 2**20,
        "KB a song": size["data"] / songs / 1024,
        "KB of latents a clip": size["latents"] / clips / 1024 if clips else 0.0,
    }


def compare(source: Path, words: list[str]) -> dict[str, float]:
    """A run with one song and one with all: what all take, and what each but the first takes."""
    from musetune.analysis.service.batch import find_files

    with tempfile.TemporaryDirectory() as scratch:
        first = find_files([source])[0][0]
        shutil.copy(first, scratch)
        alone = run(Path(scratch), words)
    whole = run(source, words)
    processor = whole["processor s"] - alone["processor s"]
    rates = {
        "processor s with one song": alone["processor s"],
        "songs an hour and core": 3600 * (whole["songs"] - 1) / processor,
        "music s a processor s": 60 * (whole["minutes of music"] - alone["minutes of music"]) / processor,
    }
    return whole | rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2], help="processes of the engine local")
    parser.add_argument("--nodes", type=int, nargs="*", default=[3], help="nodes of the engine ray, a core each")
    parser.add_argument("--latents", help="also make latents of this base")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    asked = parser.parse_args()
    more = ["--latents", asked.latents] if asked.latents else []
    results = {}
    for count in asked.workers:
        measure = compare if not results else run  # what a start takes is known from the first
        results[f"local, {count}"] = measure(asked.source, ["--workers", str(count), *more])
    for count in asked.nodes:
        with nodes(count) as address:
            words = ["--engine", "ray", "--workers", str(count), "--address", address, *more]
            results[f"ray, {count} nodes"] = run(asked.source, words)
    names = list(next(iter(results.values())))
    print("| engine, workers | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for engine, figures in results.items():
        print(
            f"| {engine} | " + " | ".join(f"{figures[name]:,.1f}" if name in figures else "—" for name in names) + " |"
        )
    load = os.getloadavg()[1]
    print(f"{os.cpu_count()} cores, on average {load:.1f} processes that wanted them during the last five minutes")
    if asked.json:
        asked.json.write_text(json.dumps({"load": load, "cores": os.cpu_count(), "runs": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
