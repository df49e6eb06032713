"""Jobs of the service, and what a store of jobs must be able to do. One machine keeps them in SQLite, several in
PostgreSQL.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
FINAL: tuple[State, ...] = ("succeeded", "failed", "cancelled")
TRACE = "trace"  # in a job's request: the trace context that it came with
REQUEST_ID = "request_id"  # and the id of the HTTP request
BESIDE = (TRACE, REQUEST_ID)  # neither is a part of what is asked for


@dataclass(frozen=True)
class Job:
    """One piece of work as the store holds it.

    Attributes:
        id: Name that nobody can guess.
        kind: What is to be done, such as "generation".
        owner: Whose key submitted it; nobody else may see it.
        state: Where it is on its way.
        request: What is asked for, as plain values.
        cost: How much work it is, in any unit that jobs of its kind share; 1 where nothing is known.
        attempt: How often a worker has begun it. A worker's results count only under the attempt that it began.
        created: When it was submitted, seconds since 1970; so are ``started`` and ``finished``.
        progress: What the worker last said: stage, step, steps, share.
        result: What came out, as plain values, with ``files``: name → path below the job's folder of results.
        error: What went wrong, as plain values.
        cancelling: Whether somebody asked a running job to stop.
        worker: Who does it.
        deaths: How many workers it has cost their lives.
    """

    id: str
    kind: str
    owner: str
    state: State
    request: Mapping[str, Any]
    cost: float
    attempt: int
    created: float
    started: float | None = None
    finished: float | None = None
    progress: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    cancelling: bool = False
    worker: str | None = None
    deaths: int = 0

    @property
    def final(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.state in FINAL


@dataclass(frozen=True)
class JobEvent:
    """Something that happened to a job: its number counts from 1 for each job."""

    number: int
    at: float
    kind: str
    data: Mapping[str, Any]


def request_digest(kind: str, request: Mapping[str, Any]) -> str:
    """The SHA-256 of what a request asks for, by which a store tells whether an idempotency key means the same again.

    Example:
        >>> same_song = {"song": 1, TRACE: {"traceparent": "x"}, REQUEST_ID: "0123456789abcdef"}
        >>> request_digest("analysis", {"song": 1}) == request_digest("analysis", same_song)
        True
    """
    asked = {name: value for name, value in request.items() if name not in BESIDE}
    text = json.dumps(asked, sort_keys=True, allow_nan=False)
    return hashlib.sha256(f"{kind} {text}".encode()).hexdigest()


class QueueFullError(Exception):
    """The queue holds as many jobs as it may.

    Attributes:
        retry_after: Seconds until a place is likely to be free.
    """

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class IdempotencyError(ValueError):
    """An idempotency key comes again with another request."""


class JobCancelledError(Exception):
    """Somebody cancelled the job that is being done."""


class JobLostError(Exception):
    """The job is not this worker's any more: it was given to another, or is over."""


class StoreUnavailableError(Exception):
    """The store cannot be reached or written to now: its disk is full, its server restarts, another holds its lock."""


class JobStore(Protocol):
    """A queue of jobs that processes share and that outlives all of them.

    A job is claimed by one worker at a time, first come, first served. What a worker reports counts only while the job
    runs under the attempt that this worker began: a worker that was given up for dead and lives changes nothing.
    Every method raises StoreUnavailableError where the store cannot be reached or written to now.
    """

    def submit(
        self,
        kind: str,
        request: Mapping[str, Any],
        *,
        owner: str = "",
        cost: float = 1.0,
        idempotency_key: str | None = None,
        job_id: str | None = None,
    ) -> tuple[Job, bool]:
        """Put a job into the queue.

        Args:
            kind: What is to be done.
            request: What is asked for, as plain values.
            owner: Whose it is.
            cost: How much work it is.
            idempotency_key: The same key and request of the same owner give the job that is there already.
            job_id: Its id, where files lie under that already.

        Returns:
            The job, and whether it is new.

        Raises:
            QueueFullError: The queue is full.
            IdempotencyError: The key came with another request before.
        """

    def get(self, job_id: str) -> Job | None:
        """The job of an id, None where there is none."""

    def position(self, job: Job) -> int:
        """How many jobs of its kind are to be done before a queued one; 0 for others."""

    def seconds_left(self, job: Job, workers: int) -> float | None:
        """How long a job is likely to take from now on; None where no job of its kind has been done yet."""

    def claim(self, worker: str, kinds: Collection[str], job_id: str | None = None) -> Job | None:
        """Begin the oldest queued job of these kinds, or the one that is named; None where there is none."""

    def queued(self, kinds: Collection[str], limit: int) -> list[Job]:
        """The jobs of these kinds that wait, the oldest first, and so many at most."""

    def renew(self, worker: str) -> None:
        """Say that a worker lives. A claim says so too."""

    def live(self, prefix: str, seconds: float) -> list[str]:
        """Workers whose names begin so and who have said within so many seconds that they live."""

    def silent(self, seconds: float) -> list[str]:
        """Workers that do a job and have not said for so long that they live: their machine is gone, or cut off."""

    def report(self, job: Job, progress: Mapping[str, Any]) -> None:
        """Say how far a running job is.

        Raises:
            JobCancelledError: It was cancelled.
            JobLostError: It is not this attempt's any more.
        """

    def check(self, job: Job) -> None:
        """Raise as `report` does, and say nothing."""

    def succeed(self, job: Job, result: Mapping[str, Any], size: int = 0) -> None:
        """End a job with its result, whose files have ``size`` bytes; the same words again change nothing.

        Raises:
            JobLostError: It is not this attempt's any more.
        """

    def fail(self, job: Job, error: Mapping[str, Any]) -> None:
        """End a job with what went wrong. Raises JobLostError."""

    def cancel(self, job_id: str) -> Job | None:
        """Cancel a job: a queued one is over at once, a running one is asked to stop."""

    def finish_cancel(self, job: Job) -> None:
        """End a job that was cancelled while it ran. Raises JobLostError."""

    def recover(self, worker: str | None = None, cause: str = "", *, death: bool = True) -> tuple[list[Job], list[Job]]:
        """Give back to the queue, at its head, what a worker was doing when it ended; None: what all of them were.

        A job that has cost as many workers their lives as it may is failed instead, with the last ``cause``; one that
        was being cancelled is over.

        Args:
            worker: Whose jobs.
            cause: Why it ended.
            death: Whether its job may have killed it; not where the service was stopped.

        Returns:
            The jobs in the queue again, and those that failed.
        """

    def give_back(self, job: Job, cause: str) -> None:
        """Put a running job back into the queue, at its head: nothing is wrong with its worker. Raises JobLostError."""

    def running(self, worker: str) -> Job | None:
        """What a worker is doing; None where it waits."""

    def events(self, job_id: str, after: int = 0) -> list[JobEvent]:
        """What happened to a job since the event of number ``after``."""

    def counts(self) -> dict[tuple[str, str], int]:
        """How many jobs there are by kind and state."""

    def ended(self, since: float) -> list[Job]:
        """Jobs that ended after a time, seconds since 1970."""

    def expire(self, seconds: float, max_bytes: int | None = None) -> list[str]:
        """Forget jobs that ended so long ago, and the oldest ended ones while requests and results, all together, are
        larger than they may be.

        Returns:
            Their ids, whose files are to be removed.
        """

    def ids(self) -> set[str]:
        """Ids of all jobs that there are."""

    def now(self) -> float:
        """Seconds since 1970 by the clock of the store, by which its jobs are dated."""

    def close(self) -> None:
        """Give back what the store holds of this process."""
