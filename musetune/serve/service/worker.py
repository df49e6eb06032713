"""A worker: takes a job from the store, does it, writes its result, and takes the next. One process, one at a time."""

from __future__ import annotations

import errno
import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import structlog

from musetune.analysis.service.process import ProcessDeath
from musetune.serve.service.jobs import (
    REQUEST_ID,
    Job,
    JobCancelledError,
    JobLostError,
    JobStore,
    StoreUnavailableError,
)

POLL_S = 0.05  # how often an idle worker looks for a job
REPORT_S = 0.25  # how often progress is written at most
AWAY_S = 5.0  # after a word that did not reach the store the work goes on for so long without another
RETRY_S = 0.5  # between two trials to write to the store
LOOKED_AT = 64  # queued jobs, of which those that fit together are chosen
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
    _quiet_until: float = -float("inf")

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
        if stage == self._stage and (not steps or (step != steps and now - self._told < REPORT_S)):
            self._speak(lambda: self.store.check(self.job))
            return
        self._stage, self._told = stage, now
        progress: dict[str, Any] = {"stage": stage}
        if steps:
            progress |= {"step": step, "steps": steps}
        self._speak(lambda: self.store.report(self.job, progress))

    def show(self, path: Path, step: int, steps: int) -> None:
        """Tell of a file that lets hear what a step came to; raises as `step` does.

        Args:
            path: The file, in ``folder``.
            step: How many steps are done.
            steps: How many there are.
        """
        name = path.relative_to(self.folder.parent).as_posix()
        progress = {"stage": "denoising", "step": step, "steps": steps, "preview": name}
        self._speak(lambda: self.store.report(self.job, progress))

    def finish_cancel(self) -> None:
        """Say that a job that was cancelled is over, while others that are done together with it go on."""
        with suppress(JobLostError):  # the worker hears it when it ends the job itself
            self._speak(lambda: self.store.finish_cancel(self.job))

    def _speak(self, act: Callable[[], None]) -> None:
        """Tell or ask the store; while it is away the work goes on."""
        if time.monotonic() < self._quiet_until:
            return
        try:
            act()
        except StoreUnavailableError as error:
            self._quiet_until = time.monotonic() + AWAY_S
            log.warning("the job store cannot be reached (%s); job %s goes on", error, self.job.id)


class JobRunner(Protocol):
    """What does the jobs of some kinds."""

    kinds: Collection[str]

    def __call__(self, context: JobContext) -> Mapping[str, Any]:
        """Do a job; its result, whose ``files`` maps names to paths below the context's folder."""


@runtime_checkable
class BatchRunner(Protocol):
    """What can also do some jobs together, up to ``batch`` of those that `claim_alike` finds."""

    batch: int

    def together(self, contexts: Sequence[JobContext]) -> list[Mapping[str, Any] | Exception]:
        """Do several jobs; of each its result, or what ended it alone. Raises what none of them came through."""


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
        job = _persist(lambda: claim_one(store, worker, runner.kinds), end)
        if job is None:
            end.wait(POLL_S)
            continue
        began = time.monotonic()
        jobs = [job]
        if isinstance(runner, BatchRunner) and runner.batch > 1:
            jobs += _persist(partial(claim_alike, store, job, runner.batch - 1), end) or []
        outcomes = (
            [perform(store, runner, folder, job, max_seconds)]
            if len(jobs) == 1
            else perform_together(store, runner, folder, jobs, max_seconds)
        )
        for job, outcome in zip(jobs, outcomes, strict=True):
            observe(job, outcome, time.monotonic() - began)


def claim_alike(store: JobStore, job: Job, most: int) -> list[Job]:
    """Begin, for the worker of a job that has just been begun, queued ones that can run together with it.

    Those are of its kind and have its ``request["batch"]``. A job that is begun again runs alone: one that costs its
    worker's life shall not take others with it.

    Args:
        store: Where they are.
        job: As `JobStore.claim` gave it.
        most: How many at most.

    Returns:
        The oldest of them; none where the job's request has no "batch".
    """
    batch = job.request.get("batch")
    if batch is None or job.attempt > 1 or job.worker is None:
        return []
    waiting = store.queued([job.kind], LOOKED_AT)
    alike = [one for one in waiting if one.attempt == 0 and one.request.get("batch") == batch][:most]
    claims: list[Job] = []
    for one in alike:
        try:
            claim = store.claim(job.worker, [job.kind], one.id)
        except StoreUnavailableError as error:  # what is claimed already is not forgotten
            log.warning("no further job is taken along (%s)", error)
            break
        if claim is not None:
            claims.append(claim)
    return claims


def claim_one(store: JobStore, worker: str, kinds: Collection[str], job_id: str | None = None) -> Job | None:
    """Claim a job for a worker that does nothing now.

    Args:
        store: Where jobs are.
        worker: Its name.
        kinds: Of jobs that it does.
        job_id: The job; None: the oldest.

    Returns:
        The job; None where none waits.

    Raises:
        StoreUnavailableError: The store broke off; a job that it gave unheard goes back to the queue.
    """
    try:
        return store.claim(worker, kinds, job_id)
    except StoreUnavailableError:
        _persist(lambda: store.recover(worker, "the store broke off in the middle of a claim", death=False))
        raise


def perform(store: JobStore, runner: JobRunner, folder: Path, job: Job, max_seconds: float) -> str:
    """Do one job and write its end to the store, whatever happens to it.

    Returns:
        succeeded, failed, cancelled or lost.
    """
    context = _context(store, folder, job, max_seconds)
    return _conclude(context, folder, lambda: runner(context))


def perform_together(store: JobStore, runner: Any, folder: Path, jobs: Sequence[Job], max_seconds: float) -> list[str]:
    """Do several jobs at once and write the end of each. Where that fails as a whole, each goes back to the queue, and
    its turn comes again alone: with its own time and, if it is what kills the worker, at the cost of no other.

    Returns:
        The outcome of each, as of `perform`; "queued" where it went back.
    """
    contexts = [_context(store, folder, job, max_seconds) for job in jobs]
    try:
        for context in contexts:
            context.folder.mkdir(parents=True)
        results: list[Mapping[str, Any] | Exception] = runner.together(contexts)
    except Exception as error:
        log.warning("%d jobs do not run together (%s): each alone", len(jobs), describe(error)["message"])
        for context in contexts:
            shutil.rmtree(context.folder, ignore_errors=True)
        cause = "it could not be done together with others"
        return [_end(partial(store.give_back, job, cause), "queued") for job in jobs]
    return [
        _conclude(context, folder, partial(_given, result)) for context, result in zip(contexts, results, strict=True)
    ]


def _given(result: Mapping[str, Any] | Exception) -> Mapping[str, Any]:
    if isinstance(result, Exception):
        raise result
    return result


def _context(store: JobStore, folder: Path, job: Job, max_seconds: float) -> JobContext:
    # a random part: what a worker writes that was given up for dead and lives gets in nobody's way
    place = result_folder(folder, job.id) / f"{job.attempt}-{secrets.token_hex(4)}"
    return JobContext(job, place, upload_folder(folder, job.id), store, max_seconds)


def _conclude(context: JobContext, folder: Path, act: Callable[[], Mapping[str, Any]]) -> str:
    """Do what gives a job's result, and write its end to the store, whatever happens."""
    with job_words(context.job):
        return _conclude_job(context, folder, act)


def job_words(job: Job) -> Any:
    """A context whose lines of log name a job and the request that it came with."""
    words = {"job": job.id, REQUEST_ID: job.request.get(REQUEST_ID)}
    return structlog.contextvars.bound_contextvars(**{name: word for name, word in words.items() if word})


def _conclude_job(context: JobContext, folder: Path, act: Callable[[], Mapping[str, Any]]) -> str:
    job, store, place = context.job, context.store, context.folder
    try:
        place.mkdir(parents=True, exist_ok=True)
        result = dict(act())
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
    if isinstance(error, ProcessDeath):
        return {"code": "worker-died", "status": 500, "message": message}
    if disk_is_full(error):
        return {"code": "disk-full", "status": 507, "message": "the service's disk is full: ask again later"}
    if isinstance(error, ValueError):
        return {"code": "invalid-request", "status": 422, "message": message}
    text = f"{type(error).__name__}: a fault of the service, which its log says more about"
    return {"code": "internal", "status": 500, "message": text}


def disk_is_full(error: BaseException) -> bool:
    """Whether an error says that there is no room on a disk, or none of what this user may take of it."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory, of the machine or of the accelerator, did not suffice."""
    words = ("can't allocate memory", "out of memory", "not enough memory", "could not create a primitive")
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
