"""A real Prometheus for the tests; skips, in CI fails, where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from browser import REPOSITORY, missing
from service_server import free_port, wait_until

UNPACKED = REPOSITORY / ".cache" / "prometheus" / "usr" / "bin"  # by `make prometheus`


def find_program(name: str) -> Path:
    """$MUSETUNE_PROMETHEUS, a folder, else what `make prometheus` unpacked, else the PATH: prometheus or promtool."""
    folders = [Path(asked)] if (asked := os.environ.get("MUSETUNE_PROMETHEUS")) else [UNPACKED]
    known = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if (found := known or shutil.which(name)) is None:
        missing(f"no {name} found: `make prometheus` fetches Debian's, or set MUSETUNE_PROMETHEUS to its folder")
    return Path(str(found))


def promtool(*words: str | Path, text: str | None = None) -> str:
    """What promtool says; fails where it finds something wrong."""
    command = [str(find_program("promtool")), *map(str, words)]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@contextmanager
def scraping(config: Path, folder: Path) -> Iterator[httpx.Client]:
    """A Prometheus that runs with a configuration: a client of its HTTP interface. It ends with the block."""
    port = free_port()
    command = [str(find_program("prometheus")), f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False)

    def ready() -> bool:
        assert process.poll() is None, (folder / "prometheus.log").read_text()[-3000:]
        try:
            return client.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    try:
        wait_until(ready)
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(30)


def query(client: httpx.Client, expression: str) -> list[tuple[dict[str, str], float]]:
    """Labels and values that an expression has now."""
    answer = client.get("/api/v1/query", params={"query": expression})
    assert answer.is_success, f"{expression}: {answer.text}"
    return [(row["metric"], float(row["value"][1])) for row in answer.json()["data"]["result"]]
