"""The dispatcher of one kind of jobs: names the queued ones to a deployment of Ray Serve, and gives back to the queue
what a silent replica was doing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from musetune.serve.service.jobs import Job, JobStore, StoreUnavailableError
from musetune.serve.service.ray_replica import LEASE_S

POLL_S = 0.1  # how often the queue is looked at
AHEAD = 64  # queued jobs that the deployment is told of: what it scales by

log = logging.getLogger(__name__)


class RayPool:
    """What `WorkerPool` is on one machine: the replicas of a deployment, which Serve starts and starts again.

    A job stays queued in the store until a replica claims it, so that a dispatcher that dies loses nothing and two that
    name the same job do no harm. Replicas are given up by their lease in the store alone, whatever the network says.

    Args:
        kind: The kind of jobs.
        handle: The deployment's handle, whose method ``perform`` takes a job's id.
        store: Where the jobs are.
        replicas: How many replicas there may be.
    """

    def __init__(self, kind: str, handle: Any, store: JobStore, replicas: int) -> None:
        self.kind, self.handle, self.store = kind, handle, store
        self.replicas, self.restarts = replicas, 0
        self._named: dict[str, Any] = {}  # job → the deployment's answer to come
        self._reachable_since = float("inf")
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._dispatch, name=f"dispatch of {kind}", daemon=True)

    @property
    def names(self) -> list[str]:
        """Replicas that say that they live; while there is none yet, the one that is to come."""
        return self.store.live(f"{self.kind}-", LEASE_S) or [f"{self.kind}-1"]

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the replicas that live, each on its own machine."""
        return {name: int(name.split("-")[-2]) for name in self.store.live(f"{self.kind}-", LEASE_S)}

    def start(self) -> None:
        """Begin to dispatch."""
        self._thread.start()

    def _dispatch(self) -> None:
        while not self._end.wait(POLL_S):
            try:
                self._collect()
                for job in self.store.queued((self.kind,), AHEAD):
                    if job.id not in self._named:
                        model = multiplexed_id(job)
                        self._named[job.id] = self.handle.options(multiplexed_model_id=model).perform.remote(job.id)
                self._give_back()
            except StoreUnavailableError as error:
                self._reachable_since = float("inf")
                log.error("the job store cannot be reached (%s); trying again", error)
            except Exception:  # this thread must go on, whatever the cluster says
                log.exception("jobs of kind %s cannot be dispatched now", self.kind)

    def _collect(self) -> None:
        """Forget what was answered; a job whose replica died is named again once it is queued again."""
        for job_id, response in list(self._named.items()):
            try:
                response.result(timeout_s=0)
            except TimeoutError:
                continue
            except Exception as error:
                log.warning("job %s: its replica ended (%s)", job_id, " ".join(str(error).split())[:200])
            del self._named[job_id]

    def _give_back(self) -> None:
        """Give what silent replicas were doing back to the queue; not while the store itself was away a moment ago."""
        now = time.monotonic()
        self._reachable_since = min(self._reachable_since, now)
        silent = [name for name in self.store.silent(LEASE_S) if name.startswith(f"{self.kind}-")]
        if now - self._reachable_since < LEASE_S:
            return
        for name in silent:
            again, _ = self.store.recover(name, "its machine or its process ended")
            self.restarts += 1
            log.error("replica %s is silent; %d job(s) go back to the queue", name, len(again))

    def end_watch(self) -> None:
        """Dispatch no more."""
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join()

    def stop(self, seconds: float) -> bool:
        """Let what was dispatched end, for so many seconds; what did not is given back when its lease is over.

        Returns:
            Whether all ended.
        """
        self.end_watch()
        until = time.monotonic() + seconds
        while self._named and time.monotonic() < until:
            self._collect()
            for job_id in [name for name in self._named if (job := self.store.get(name)) and job.state == "queued"]:
                self._named.pop(job_id).cancel()  # it goes on at the next start
            time.sleep(POLL_S)
        return not self._named


def multiplexed_id(job: Job) -> str:
    """The adapters that a job needs, as the name by which Serve finds a replica that has them loaded; "" for none.

    Example:
        >>> request = {"body": {"prompt": "a waltz", "adapters": {"jazz": 0.7, "blues": 0.2, "rock": 0.0}}}
        >>> multiplexed_id(Job("1", "generation", "", "queued", request, 1.0, 0, 0.0))
        'blues+jazz'
    """
    body = job.request.get("body")
    adapters = body.get("adapters") if isinstance(body, Mapping) else None
    return "+".join(sorted(name for name, weight in (adapters or {}).items() if weight > 0))
