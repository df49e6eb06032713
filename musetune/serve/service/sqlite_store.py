"""Jobs in a file of SQLite, in its WAL mode: every process of one machine may read and write it at any time."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

from musetune.serve.service.jobs import (
    IdempotencyError,
    Job,
    JobCancelledError,
    JobEvent,
    JobLostError,
    QueueFullError,
    State,
)

BUSY_S = 30.0  # how long a statement waits for another process's transaction
RECENT = 20  # jobs whose time says how long the next ones take
MAX_ATTEMPTS = 3  # workers that a job may cost
SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    place INTEGER PRIMARY KEY AUTOINCREMENT,  -- order of submission
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    request TEXT NOT NULL,
    cost REAL NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    started REAL,
    finished REAL,
    progress TEXT NOT NULL DEFAULT '{}',
    result TEXT,
    error TEXT,
    cancelling INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    size INTEGER NOT NULL DEFAULT 0,
    idempotency_key TEXT,
    digest TEXT NOT NULL,
    UNIQUE (owner, idempotency_key)
) STRICT;
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, kind, place);
CREATE INDEX IF NOT EXISTS jobs_by_end ON jobs (finished);
CREATE TABLE IF NOT EXISTS events (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;
"""
COLUMNS = (
    "id, kind, owner, state, request, cost, attempt, created, started, finished, progress, result, error, cancelling, "
    "worker"
)


class SQLiteJobStore:
    """A `JobStore` in one file. Its methods may be called from any thread and any process.

    Args:
        path: The file; it and its folder are made where they are not there.
        max_queue: Queued jobs that it takes; one more is refused.

    Example:
        >>> store = SQLiteJobStore("jobs.sqlite3", max_queue=2)
        >>> job, new = store.submit("generation", {"chords": "I V vi IV"})
        >>> running = store.claim("worker 1", ["generation"])
        >>> store.succeed(running, {"files": {}})
        >>> store.get(job.id).state
        'succeeded'
        >>> store.close()
    """

    def __init__(self, path: str | PathLike, max_queue: int = 64) -> None:
        self.path, self.max_queue = Path(path), max_queue
        self._local = threading.local()
        self._open: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = self._connection()
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            self.close()
            raise ValueError(
                f"{self.path} was written by another version of MuseTune (schema {version}, this one reads "
                f"{SCHEMA_VERSION}): take another folder, or remove the file and with it the jobs"
            )
        connection.executescript(SCHEMA)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    # -- connections

    def _connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # what was accepted is on the disk
            connection.execute("PRAGMA foreign_keys = ON")
            self._local.connection = connection
            with self._lock:
                self._open.append(connection)
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A transaction that writes: all of it or nothing."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
        except BaseException:
            if connection.in_transaction:  # a full disk has ended it already
                connection.execute("ROLLBACK")
            raise
        try:
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the connections of all threads of this process."""
        with self._lock:
            for connection in self._open:
                connection.close()
            self._open.clear()
        self._local = threading.local()

    # -- submitting and asking

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
        """Put a job into the queue; see `JobStore.submit`."""
        text = json.dumps(request, sort_keys=True, allow_nan=False)
        digest = hashlib.sha256(f"{kind} {text}".encode()).hexdigest()
        with self._transaction() as db:
            if idempotency_key is not None:
                row = db.execute(
                    f"SELECT {COLUMNS}, digest FROM jobs WHERE owner = ? AND idempotency_key = ?",
                    (owner, idempotency_key),
                ).fetchone()
                if row is not None:
                    if row[-1] != digest:
                        raise IdempotencyError(
                            f"the idempotency key {idempotency_key[:80]!r} came with another request before: take a "
                            "new key for a new request"
                        )
                    return _job(row[:-1]), False
            queued = db.execute("SELECT count(*) FROM jobs WHERE state = 'queued'").fetchone()[0]
            if queued >= self.max_queue:
                raise QueueFullError(
                    f"the queue holds {queued} jobs, as many as it may; ask again later", self._retry_after(db, kind)
                )
            now, name = time.time(), job_id or secrets.token_hex(16)
            db.execute(
                "INSERT INTO jobs (id, kind, owner, state, request, cost, created, idempotency_key, digest) "
                "VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?)",
                (name, kind, owner, text, float(cost), now, idempotency_key, digest),
            )
            _note(db, name, "queued", {})
            return _job(db.execute(f"SELECT {COLUMNS} FROM jobs WHERE id = ?", (name,)).fetchone()), True

    def get(self, job_id: str) -> Job | None:
        """The job of an id; None where there is none."""
        row = self._connection().execute(f"SELECT {COLUMNS} FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return None if row is None else _job(row)

    def position(self, job: Job) -> int:
        """How many jobs of its kind are to be done before a queued one; 0 for others."""
        return int(self._ahead(job, "count(*)"))

    def seconds_left(self, job: Job, workers: int) -> float | None:
        """How long a job is likely to take from now on, by what the last ones of its kind took for their cost."""
        if job.final:
            return 0.0
        rate = _rate(self._connection(), job.kind)
        if rate is None:
            return None
        if job.state == "running":
            return max(0.0, job.cost * rate - (time.time() - (job.started or time.time())))
        return (float(self._ahead(job, "coalesce(sum(cost), 0)")) / max(1, workers) + job.cost) * rate

    def _ahead(self, job: Job, what: str) -> Any:
        """A figure of the jobs that go before a queued one: of its kind, queued earlier or running."""
        query = (
            f"SELECT {what} FROM jobs WHERE kind = ? AND (state = 'running' OR state = 'queued' AND place < "
            "(SELECT place FROM jobs WHERE id = ?)) AND 'queued' = (SELECT state FROM jobs WHERE id = ?)"
        )
        return self._connection().execute(query, (job.kind, job.id, job.id)).fetchone()[0]

    def _retry_after(self, db: sqlite3.Connection, kind: str) -> int:
        """Seconds until the job at the head of the queue is likely to have begun."""
        rate = _rate(db, kind)
        cost = db.execute("SELECT min(cost) FROM jobs WHERE kind = ? AND state IN ('queued', 'running')", (kind,))
        return max(1, math.ceil((rate or 1.0) * (cost.fetchone()[0] or 1.0)))

    # -- doing

    def claim(self, worker: str, kinds: Collection[str]) -> Job | None:
        """Begin the oldest queued job of these kinds; None where there is none."""
        marks = ", ".join("?" * len(kinds))
        oldest = f"SELECT place FROM jobs WHERE state = 'queued' AND kind IN ({marks}) ORDER BY place LIMIT 1"
        if self._connection().execute(oldest, tuple(kinds)).fetchone() is None:
            return None  # without taking the lock that writers share
        with self._transaction() as db:
            row = db.execute(
                "UPDATE jobs SET state = 'running', attempt = attempt + 1, started = ?, worker = ?, progress = '{}' "
                f"WHERE place = ({oldest}) RETURNING {COLUMNS}",
                (time.time(), worker, *kinds),
            ).fetchone()
            if row is None:
                return None
            job = _job(row)
            _note(db, job.id, "running", {"attempt": job.attempt})
            return job

    def claim_alike(self, job: Job, most: int) -> list[Job]:
        """Begin queued jobs that can run together with one that has just been begun; see `JobStore.claim_alike`."""
        batch = job.request.get("batch")
        if batch is None or job.attempt > 1 or most < 1:
            return []
        alike = (
            "SELECT place FROM jobs WHERE state = 'queued' AND kind = ? AND attempt = 0 AND "
            "json_extract(request, '$.batch') = ? ORDER BY place LIMIT ?"
        )
        with self._transaction() as db:
            rows = db.execute(
                "UPDATE jobs SET state = 'running', attempt = attempt + 1, started = ?, worker = ?, progress = '{}' "
                f"WHERE place IN ({alike}) RETURNING {COLUMNS}",
                (time.time(), job.worker, job.kind, batch, most),
            ).fetchall()
            jobs = sorted(map(_job, rows), key=lambda one: one.created)
            for one in jobs:
                _note(db, one.id, "running", {"attempt": one.attempt})
            return jobs

    def check(self, job: Job) -> None:
        """Raise JobCancelledError or JobLostError where this attempt is to stop."""
        query = "SELECT state, attempt, cancelling FROM jobs WHERE id = ?"
        row = self._connection().execute(query, (job.id,)).fetchone()
        if row is None or row[0] != "running" or row[1] != job.attempt:
            raise JobLostError(f"job {job.id} is not attempt {job.attempt}'s any more")
        if row[2]:
            raise JobCancelledError(f"job {job.id} was cancelled")

    def report(self, job: Job, progress: Mapping[str, Any]) -> None:
        """Say how far a running job is; raises as `check` does."""
        self.check(job)
        text = json.dumps(progress, allow_nan=False)
        with self._transaction() as db:
            _change(db, job, "progress = ?", text)
            _note(db, job.id, "progress", progress)

    def succeed(self, job: Job, result: Mapping[str, Any], size: int = 0) -> None:
        """End a job with its result, whose files have ``size`` bytes. Raises JobLostError."""
        text = json.dumps(result, allow_nan=False)
        self._end(job, "succeeded", "result = ?, size = ?", text, size)

    def fail(self, job: Job, error: Mapping[str, Any]) -> None:
        """End a job with what went wrong. Raises JobLostError."""
        self._end(job, "failed", "error = ?", json.dumps(error, allow_nan=False))

    def finish_cancel(self, job: Job) -> None:
        """End a job that was cancelled while it ran. Raises JobLostError."""
        self._end(job, "cancelled", "cancelling = 0")

    def _end(self, job: Job, state: State, what: str, *values: object) -> None:
        with self._transaction() as db:
            _change(db, job, f"state = '{state}', finished = ?, {what}", time.time(), *values)
            _note(db, job.id, state, {})

    def cancel(self, job_id: str) -> Job | None:
        """Cancel a job: a queued one is over at once, a running one is asked to stop."""
        with self._transaction() as db:
            ended = db.execute(
                "UPDATE jobs SET state = 'cancelled', finished = ? WHERE id = ? AND state = 'queued'",
                (time.time(), job_id),
            )
            if ended.rowcount:
                _note(db, job_id, "cancelled", {})
            db.execute("UPDATE jobs SET cancelling = 1 WHERE id = ? AND state = 'running'", (job_id,))
        return self.get(job_id)

    def recover(self, worker: str | None = None, cause: str = "") -> tuple[list[Job], list[Job]]:
        """Give what a dead worker was doing back to the queue, or fail it after MAX_ATTEMPTS; see
        `JobStore.recover`.
        """
        again, failed = [], []
        with self._transaction() as db:
            rows = db.execute(
                f"SELECT {COLUMNS} FROM jobs WHERE state = 'running' AND (? IS NULL OR worker = ?) ORDER BY place",
                (worker, worker),
            ).fetchall()
            now = time.time()
            for job in map(_job, rows):
                if job.cancelling:
                    _change(db, job, "state = 'cancelled', cancelling = 0, finished = ?", now)
                    _note(db, job.id, "cancelled", {})
                elif job.attempt >= MAX_ATTEMPTS:
                    message = (
                        f"{job.attempt} workers died while they did this job ({cause or 'stopped from outside'}): ask "
                        "for less at once, or give the service more memory"
                    )
                    error = json.dumps({"code": "worker-died", "status": 500, "message": message})
                    _change(db, job, "state = 'failed', error = ?, finished = ?", error, now)
                    _note(db, job.id, "failed", {})
                    failed.append(job)
                else:
                    _change(db, job, "state = 'queued', started = NULL, worker = NULL")
                    _note(db, job.id, "queued", {"cause": cause} if cause else {})
                    again.append(job)
        return again, failed

    def running(self, worker: str) -> Job | None:
        """What a worker is doing; None where it waits."""
        query = f"SELECT {COLUMNS} FROM jobs WHERE state = 'running' AND worker = ?"
        row = self._connection().execute(query, (worker,)).fetchone()
        return None if row is None else _job(row)

    # -- keeping

    def events(self, job_id: str, after: int = 0) -> list[JobEvent]:
        """What happened to a job since the event of number ``after``."""
        query = "SELECT number, at, kind, data FROM events WHERE job = ? AND number > ? ORDER BY number"
        rows = self._connection().execute(query, (job_id, after))
        return [JobEvent(number, at, kind, json.loads(data)) for number, at, kind, data in rows]

    def counts(self) -> dict[tuple[str, str], int]:
        """How many jobs there are by kind and state."""
        rows = self._connection().execute("SELECT kind, state, count(*) FROM jobs GROUP BY kind, state")
        return {(kind, state): count for kind, state, count in rows}

    def ended(self, since: float) -> list[Job]:
        """Jobs that ended after a time, seconds since 1970."""
        query = f"SELECT {COLUMNS} FROM jobs WHERE finished > ? ORDER BY finished"
        return [_job(row) for row in self._connection().execute(query, (since,))]

    def expire(self, seconds: float, max_bytes: int | None = None) -> list[str]:
        """Forget jobs that ended so long ago, and the oldest ended ones while all results are larger than they may."""
        with self._transaction() as db:
            query = "DELETE FROM jobs WHERE finished < ? RETURNING id"
            gone = [name for (name,) in db.execute(query, (time.time() - seconds,)).fetchall()]
            total = db.execute("SELECT coalesce(sum(size), 0) FROM jobs").fetchone()[0]
            if max_bytes is not None and total > max_bytes:
                query = "SELECT id, size FROM jobs WHERE finished IS NOT NULL AND size > 0 ORDER BY finished"
                for name, size in db.execute(query).fetchall():
                    if total <= max_bytes:
                        break
                    db.execute("DELETE FROM jobs WHERE id = ?", (name,))
                    gone.append(name)
                    total -= size
        return gone

    def ids(self) -> set[str]:
        """Ids of all jobs that there are."""
        return {name for (name,) in self._connection().execute("SELECT id FROM jobs")}


def _job(row: tuple) -> Job:
    """The job of a row of COLUMNS."""
    values = dict(zip(COLUMNS.split(", "), row, strict=True))
    for name in ("request", "progress", "result", "error"):
        values[name] = None if values[name] is None else json.loads(values[name])
    return Job(**values | {"cancelling": bool(values["cancelling"])})


def _change(db: sqlite3.Connection, job: Job, what: str, *values: object) -> None:
    """Change a running job under its attempt. Raises JobLostError where it is not that attempt's any more."""
    query = f"UPDATE jobs SET {what} WHERE id = ? AND state = 'running' AND attempt = ?"
    if not db.execute(query, (*values, job.id, job.attempt)).rowcount:
        raise JobLostError(f"job {job.id} is not attempt {job.attempt}'s any more")


def _note(db: sqlite3.Connection, job_id: str, kind: str, data: Mapping[str, Any]) -> None:
    """Add an event to a job's."""
    db.execute(
        "INSERT INTO events (job, number, at, kind, data) "
        "SELECT ?, coalesce(max(number), 0) + 1, ?, ?, ? FROM events WHERE job = ?",
        (job_id, time.time(), kind, json.dumps(data, allow_nan=False), job_id),
    )


def _rate(db: sqlite3.Connection, kind: str) -> float | None:
    """Seconds a unit of cost, of the last jobs of a kind that succeeded; None where there is none."""
    total, cost = db.execute(
        "SELECT sum(finished - started), sum(cost) FROM (SELECT started, finished, cost FROM jobs WHERE kind = ? AND "
        "state = 'succeeded' ORDER BY finished DESC LIMIT ?)",
        (kind, RECENT),
    ).fetchone()
    return None if not cost else max(0.0, total / cost)
