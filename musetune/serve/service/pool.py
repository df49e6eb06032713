"""Worker processes, started, watched, and started again: what one was doing when it died goes back to the queue."""

from __future__ import annotations

import logging
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from musetune.processes import end_with_parent
from musetune.serve.service.fork_server import ForkedWorker, ForkServer
from musetune.serve.service.jobs import Job, JobStore
from musetune.serve.service.worker import JobRunner, work

WATCH_S = 0.2  # how often the processes are looked at
GRACE_S = 10.0  # beyond its time a job has so long to end itself before its worker is killed
PAUSE_S = 2.0  # before a worker is started anew that died without a job

log = logging.getLogger(__name__)


class Pool(Protocol):
    """What does the jobs of one kind, wherever it is."""

    restarts: int

    @property
    def names(self) -> Sequence[str]:
        """The workers that there are to be."""

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name, of those that live."""

    def start(self) -> None:
        """Begin."""

    def end_watch(self) -> None:
        """Ask every worker to end after its job, and begin no other."""

    def stop(self, seconds: float) -> bool:
        """Let workers finish, for so many seconds; whether all did."""


@dataclass(frozen=True)
class WorkerSetup:
    """What a worker process is made of; it can be pickled.

    Attributes:
        open_store: Opens the store.
        make_runner: Makes what does the jobs; called once in each process, with what ``load`` gave where that is set.
        folder: The service's folder.
        max_seconds: How long a job may take.
        threads: Threads of torch in each process; None: torch's own choice.
        memory: Bytes that each process may take for itself (RLIMIT_DATA); None: no limit.
        begin: Called first in each process.
        load: Loads what all processes share; they are then copies of the one that called it (`ForkServer`).
    """

    open_store: Callable[[], JobStore]
    make_runner: Callable[..., JobRunner]
    folder: Path
    max_seconds: float = float("inf")
    threads: int | None = None
    memory: int | None = None
    begin: Callable[[], None] | None = None
    load: Callable[[], Any] | None = None


def run_worker(setup: WorkerSetup, name: str, parent: int, *shared: Any) -> None:
    """A worker process: SIGTERM lets it finish its job and end; it ends with its parent.

    Args:
        setup: What it is made of.
        name: Its name.
        parent: The process with which it ends.
        shared: What was loaded for all of them, where something was.
    """
    end_with_parent(parent, lasting=False)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the whole group; the parent says what follows
    if setup.begin is not None:
        setup.begin()
    if setup.memory is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (setup.memory, setup.memory))
    if setup.threads is not None:
        import torch

        torch.set_num_threads(setup.threads)
    runner = setup.make_runner(*shared)
    store = setup.open_store()
    try:
        work(store, runner, setup.folder, name, stop, setup.max_seconds)
    finally:
        store.close()


class WorkerPool:
    """Some worker processes of one setup.

    Args:
        setup: What each is made of.
        count: How many.
        name: What their names begin with.
        store: The store, in this process.
        on_failure: Told of each job that failed because it cost too many workers their lives.
    """

    def __init__(
        self,
        setup: WorkerSetup,
        count: int,
        name: str,
        store: JobStore,
        on_failure: Callable[[Job], None] = lambda job: None,
    ) -> None:
        self.setup, self.store, self.on_failure = setup, store, on_failure
        self._names = [f"{name}-{number}" for number in range(1, count + 1)]
        self.restarts = 0  # workers that were started in place of dead ones
        self._processes: dict[str, BaseProcess | ForkedWorker] = {}
        self._forks = (
            None if setup.load is None else ForkServer(setup.load, partial(_run_copy, setup), f"base of {name}")
        )
        self._not_before: dict[str, float] = {}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"pool of {name}", daemon=True)

    @property
    def names(self) -> list[str]:
        """The workers' names."""
        return self._names

    def start(self) -> None:
        """Start the processes and the thread that watches them."""
        for name in self.names:
            self._start(name)
        self._thread.start()

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name, of those that live."""
        processes = dict(self._processes)
        return {name: process.pid for name, process in processes.items() if process.pid and process.is_alive()}

    def _start(self, name: str) -> None:
        if self._forks is not None:
            self._processes[name] = self._forks.start(name)
            return
        process = get_context("spawn").Process(target=run_worker, args=(self.setup, name, os.getpid()), name=name)
        process.start()
        self._processes[name] = process

    def _watch(self) -> None:
        while not self._end.wait(WATCH_S):
            for name in self.names:
                try:
                    self._look_after(name)
                except Exception:  # a store whose disk is full: this thread must go on
                    log.exception("worker %s cannot be looked after now", name)

    def _look_after(self, name: str) -> None:
        process = self._processes.get(name)
        if process is None:  # it died without a job a moment ago
            if time.monotonic() >= self._not_before[name]:
                self._start(name)
            return
        if process.is_alive():
            job = self.store.running(name)
            limit = self.setup.max_seconds + GRACE_S
            if job is not None and job.started is not None and self.store.now() - job.started > limit:
                log.error("job %s does not end; its worker %s is killed", job.id, name)
                process.kill()
            return
        again, failed = self.store.recover(name, cause := _cause(process.exitcode))
        log.error("worker %s ended %s; %d job(s) go back to the queue", name, cause, len(again))
        for job in failed:
            self.on_failure(job)
        process.close()
        del self._processes[name]
        self.restarts += 1
        self._not_before[name] = time.monotonic() + (0 if again or failed else PAUSE_S)

    def end_watch(self) -> None:
        """Ask every worker to end after its job, and start none anew."""
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join()
        for process in self._processes.values():
            if process.is_alive():
                process.terminate()

    def stop(self, seconds: float) -> bool:
        """Let every worker finish its job and end; kill those that have not after so many seconds.

        Returns:
            Whether all ended by themselves. What others were doing is in the queue for the next start.
        """
        self.end_watch()
        until = time.monotonic() + seconds
        for process in self._processes.values():
            process.join(max(0.0, until - time.monotonic()))
        left = [process for process in self._processes.values() if process.is_alive()]
        for process in left:
            process.kill()
            process.join(GRACE_S)
        if self._forks is not None:
            self._forks.close()
        for name in self.names:
            self.store.recover(name, "the service was stopped", death=False)
        self._processes.clear()
        return not left


def _run_copy(setup: WorkerSetup, name: str, shared: Any) -> None:
    """A worker that is a copy of the process that loaded what it shares."""
    run_worker(setup, name, os.getppid(), shared)


def _cause(code: int | None) -> str:
    if code is not None and code < 0:
        return f"by signal {signal.Signals(-code).name}"
    return f"with exit code {code}"
