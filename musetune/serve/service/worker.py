"""A worker: takes a job from the store, does it, writes its result, and takes the next. One process, one at a time."""

from __future__ import annotations

import errno
import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from musetune.serve.service.jobs import Job, JobCancelledError, JobLostError, JobStore, StoreUnavailableError

POLL_S = 0.05  # how often an idle worker looks for a job
REPORT_S = 0.25  # how often progress is written at most
RETRY_S = 0.5  # between two trials to write to the store
log = logging.getLogger(__name__)


class JobTimeoutError(Exception):
    """A job took longer than it may."""


@dataclass
class JobContext:
    """What a job's work is given beside its request: where to write, and whom to tell.

    Attributes:
        job: The job.
        folder: An empty folder for its results.
        uploads: The folder with the files that came with the request; may be missing.
        store: Who is told.
        max_seconds: How long the job may take.
    """

    job: Job
    folder: Path
    uploads: Path
    store: JobStore
    max_seconds: float = float("inf")
    _began: float = field(default_factory=time.monotonic)
    _told: float = -float("inf")
    _stage: str = ""

    def step(self, stage: str, step: int = 0, steps: int = 0) -> None:
        """Say how far the work is; call it between any two denoising steps.

        Args:
            stage: What is being done.
            step: How many of its steps are done.
            steps: How many it has; 0 where it has none.

        Raises:
            JobCancelledError: The job was cancelled.
            JobLostError: Another worker does it.
            JobTimeoutError: It took longer than it may.
        """
        now = time.monotonic()
        if now - self._began > self.max_seconds:
            raise JobTimeoutError(
                f"the job took longer than {self.max_seconds:g} s: ask for less at once (seconds, steps, candidates)"
            )
        if stage == self._stage and step != steps and now - self._told < REPORT_S:
            self.store.check(self.job)
            return
        self._stage, self._told = stage, now
        progress: dict[str, Any] = {"stage": stage}
        if steps:
            progress |= {"step": step, "steps": steps}
        self.store.report(self.job, progress)


class JobRunner(Protocol):
    """What does the jobs of some kinds."""

    kinds: Collection[str]

    def __call__(self, context: JobContext) -> Mapping[str, Any]:
        """Do a job; its result, whose ``files`` maps names to paths below the context's folder."""


def upload_folder(folder: Path, job_id: str) -> Path:
    """Where the files lie that came with a job's request."""
    return folder / "uploads" / job_id


def result_folder(folder: Path, job_id: str) -> Path:
    """Where a job's results lie, a folder for each attempt."""
    return folder / "results" / job_id


def work(
    store: JobStore,
    runner: JobRunner,
    folder: Path,
    worker: str,
    stop: threading.Event | None = None,
    max_seconds: float = float("inf"),
    observe: Callable[[Job, str, float], None] = lambda job, outcome, seconds: None,
) -> None:
    """Do one job after another until ``stop`` is set; a job that has begun is finished.

    Args:
        store: Where jobs come from.
        runner: Does them.
        folder: The service's folder, with uploads and results.
        worker: This worker's name.
        stop: Ends the loop.
        max_seconds: How long a job may take.
        observe: Told of each job that ended: the job, its outcome and the seconds that it took.
    """
    end = stop or threading.Event()
    while not end.is_set():
        job = _persist(lambda: store.claim(worker, runner.kinds), end)
        if job is None:
            end.wait(POLL_S)
            continue
        began = time.monotonic()
        outcome = perform(store, runner, folder, job, max_seconds)
        observe(job, outcome, time.monotonic() - began)


def perform(store: JobStore, runner: JobRunner, folder: Path, job: Job, max_seconds: float) -> str:
    """Do one job and write its end to the store, whatever happens to it.

    Returns:
        succeeded, failed, cancelled or lost.
    """
    # a random part: what a worker writes that was given up for dead and lives gets in nobody's way
    place = result_folder(folder, job.id) / f"{job.attempt}-{secrets.token_hex(4)}"
    try:
        place.mkdir(parents=True)
        result = dict(runner(JobContext(job, place, upload_folder(folder, job.id), store, max_seconds)))
        prefix = place.relative_to(result_folder(folder, job.id)).as_posix()
        result["files"] = {name: f"{prefix}/{path}" for name, path in result.get("files", {}).items()}
        size = sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
        _persist(lambda: store.succeed(job, result, size))
        outcome = "succeeded"
    except JobLostError as error:
        log.warning("%s", error)
        outcome = "lost"
    except JobCancelledError:
        outcome = _end(lambda: store.finish_cancel(job), "cancelled")
    except Exception as error:
        problem = describe(error)
        if problem["status"] >= 500:
            log.exception("job %s failed", job.id)
        outcome = _end(lambda: store.fail(job, problem), "failed")
    if outcome != "succeeded":
        shutil.rmtree(place, ignore_errors=True)
    return outcome


def describe(error: Exception) -> dict[str, Any]:
    """What went wrong, as plain values: code, HTTP status, and the library's own message.

    Example:
        >>> describe(ValueError("bpm=500 is not a number from 30 to 300"))
        {'code': 'invalid-request', 'status': 422, 'message': 'bpm=500 is not a number from 30 to 300'}
    """
    message = " ".join(str(error).split()) or type(error).__name__
    if out_of_memory(error):
        text = "the memory does not suffice for this job: ask for less at once (seconds, candidates, stems)"
        return {"code": "out-of-memory", "status": 507, "message": f"{text} ({message[:200]})"}
    if isinstance(error, JobTimeoutError):
        return {"code": "timeout", "status": 504, "message": message}
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return {"code": "disk-full", "status": 507, "message": "the service's disk is full: ask again later"}
    if isinstance(error, ValueError):
        return {"code": "invalid-request", "status": 422, "message": message}
    text = f"{type(error).__name__}: a fault of the service, which its log says more about"
    return {"code": "internal", "status": 500, "message": text}


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of the machine or of the accelerator, did not suffice."""
    words = ("can't allocate memory", "out of memory", "not enough memory")
    name = type(error).__name__ == "OutOfMemoryError"  # torch's, which is not imported for this
    return isinstance(error, MemoryError) or name or any(word in str(error) for word in words)


def _end(write: Callable[[], None], outcome: str) -> str:
    try:
        _persist(write)
    except JobLostError as error:
        log.warning("%s", error)
        return "lost"
    return outcome


def _persist(act: Callable[[], Any], stop: threading.Event | None = None) -> Any:
    """Do something with the store, again and again while it cannot be reached or written to."""
    while True:
        try:
            return act()
        except StoreUnavailableError as error:
            if stop is not None and stop.is_set():
                return None
            log.error("the job store cannot be written to (%s); trying again", error)
            time.sleep(RETRY_S)
