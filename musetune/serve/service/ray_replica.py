"""A replica on a cluster: one runner, and a sign of life in the store as long as its machine lives."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

from musetune.serve.service.jobs import Job, JobStore, StoreUnavailableError
from musetune.serve.service.pool import GRACE_S
from musetune.serve.service.worker import JobRunner, claim_one, perform

LEASE_S = 15.0  # a worker that says nothing for so long is given up for dead
RENEW_S = 3.0  # how often it says that it lives

log = logging.getLogger(__name__)


def gpus_of_replica(device: str | None, there_are: float) -> int:
    """How many GPUs a replica that generates asks the cluster for.

    Args:
        device: Such as cpu or cuda; None: cuda where there is one.
        there_are: GPUs of the cluster.

    Raises:
        ValueError: It names one GPU of one machine.

    Example:
        >>> gpus_of_replica("cuda", 4), gpus_of_replica(None, 4), gpus_of_replica(None, 0), gpus_of_replica("cpu", 4)
        (1, 1, 0, 0)
    """
    if device is not None and device.startswith("cuda:"):
        raise ValueError(f"--device {device} names one GPU of one machine: say cuda, and each replica gets its own")
    return int(device == "cuda" or (device is None and there_are >= 1))


class JobReplica:
    """Does the jobs that it is named, one at a time.

    Args:
        kind: What it does.
        store: Where the jobs are.
        make_runner: Makes what does them.
        folder: The service's folder, on a file system that all machines see.
        max_seconds: How long a job may take.

    Attributes:
        name: What it is called in the store.
        runner: What does the jobs.
    """

    def __init__(
        self,
        kind: str,
        store: JobStore,
        make_runner: Callable[[], JobRunner],
        folder: Path,
        max_seconds: float = float("inf"),
    ) -> None:
        self.name = f"{kind}-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
        self.kinds: Collection[str] = (kind,)
        self.store, self.folder, self.max_seconds = store, folder, max_seconds
        self.runner = make_runner()
        self._job: tuple[Job, float] | None = None  # what it does, and since when
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._live, name="sign of life", daemon=True)
        self._thread.start()

    def perform(self, job_id: str) -> str:
        """Do a job, if it still waits.

        Returns:
            succeeded, failed, cancelled or lost; "taken" where it does not wait any more.
        """
        job = claim_one(self.store, self.name, self.kinds, job_id)
        if job is None:
            return "taken"
        self._job = (job, time.monotonic())
        try:
            return perform(self.store, self.runner, self.folder, job, self.max_seconds)
        finally:
            self._job = None

    def _live(self) -> None:
        while True:
            try:
                self.store.renew(self.name)
            except StoreUnavailableError as error:
                log.error("the job store cannot be told that %s lives (%s)", self.name, error)
            current = self._job
            if current is not None and time.monotonic() - current[1] > self.max_seconds + GRACE_S:
                log.error("job %s does not end; its worker %s ends itself", current[0].id, self.name)
                os._exit(1)  # Serve starts another; the job goes back to the queue when the lease is over
            if self._end.wait(RENEW_S):
                return

    def close(self) -> None:
        """Say no more that it lives, and give back the store."""
        self._end.set()
        self._thread.join()
        self.store.close()
