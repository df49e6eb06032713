"""A cluster of Ray on loopback: `ray start` processes, each a node with a raylet of its own, that can be killed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service_server import free_port, wait_until

STORE_BYTES = 80 * 2**20  # the least that Ray takes
PROGRAM = "import sys; from ray.scripts.scripts import main; sys.argv[0] = 'ray'; main()"
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",  # a token in the home folder, which another cluster made, must not count
    "RAY_health_check_period_ms": "500",  # a dead node refuses each question at once
    "RAY_health_check_timeout_ms": "60000",  # a busy one answers late
    "RAY_health_check_failure_threshold": "3",
    "RAY_enable_metrics_collection": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_gcs_server_request_timeout_seconds": "170",  # on a busy machine
    "RAY_raylet_start_wait_time_s": "170",
    "OMP_NUM_THREADS": "1",
}


class RayNodes:
    """Nodes of a cluster; the first is its head.

    Attributes:
        address: Where programs join.
        nodes: The processes, each with a group of its own.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # the names of its sockets must be short
        self.address = f"127.0.0.1:{free_port()}"
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self._environment = os.environ | SETTINGS | {"PYTHONPATH": path}
        self.nodes: list[subprocess.Popen] = []

    def add(self, cpus: int) -> subprocess.Popen:
        """Start a node, which says that it has so many cores, and wait until it has joined."""
        port = self.address.partition(":")[2]
        joining = ["--address", self.address] if self.nodes else ["--head", "--port", port, "--include-dashboard=false"]
        command = [sys.executable, "-c", PROGRAM, "start", "--block", "--disable-usage-stats", *joining]
        command += ["--num-cpus", str(cpus), "--object-store-memory", str(STORE_BYTES)]
        command += ["--node-ip-address", "127.0.0.1"]
        command += [] if self.nodes else ["--temp-dir", str(self.folder)]
        path = self.folder / f"node-{len(self.nodes)}.log"
        with path.open("w") as log:
            node = subprocess.Popen(
                command, env=self._environment, stdout=log, stderr=log, start_new_session=True, cwd=self.folder
            )
        self.nodes.append(node)

        def joined() -> bool:
            assert node.poll() is None, path.read_text()[-3000:]
            return "Ray runtime started" in path.read_text()

        wait_until(joined)
        return node

    def kill(self, node: subprocess.Popen) -> None:
        """kill -9 of a node: its raylet, its workers, everything in its group."""
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()

    def close(self) -> None:
        """Kill all nodes."""
        for node in reversed(self.nodes):
            if node.poll() is None:
                self.kill(node)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def ray_nodes(cpus: list[int]) -> Iterator[RayNodes]:
    """A cluster with so many cores on each node; it is killed at the end."""
    nodes = RayNodes()
    try:
        for count in cpus:
            nodes.add(count)
        yield nodes
    finally:
        nodes.close()
