"""Jobs in a database of SQL: the one set of statements that SQLite and PostgreSQL are given."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Collection, Mapping
from typing import Any

from musetune.serve.service.database import Database, Transaction
from musetune.serve.service.jobs import (
    IdempotencyError,
    Job,
    JobCancelledError,
    JobEvent,
    JobLostError,
    QueueFullError,
    State,
    request_digest,
)

RECENT = 20  # jobs whose time says how long the next ones take
MAX_DEATHS = 3  # workers that a job may cost their lives
MAX_ATTEMPTS = 20  # how often it may be begun at all: a job may take the whole service down with it, which nobody sees
COLUMNS = (
    "id, kind, owner, state, request, cost, attempt, created, started, finished, progress, result, error, cancelling, "
    "worker, deaths"
)
SEEN = "INSERT INTO workers (name, seen) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET seen = excluded.seen"
RATE = (  # of the last jobs of a kind that succeeded: the seconds that they took, and their cost
    "SELECT sum(finished - started), sum(cost) FROM (SELECT started, finished, cost FROM jobs WHERE kind = ? AND "
    "state = 'succeeded' ORDER BY finished DESC LIMIT ?) AS recent"
)


class SQLJobStore:
    """A `JobStore` in a database of SQL. Its methods may be called from any thread.

    Args:
        database: Where the jobs are; its tables are those of SCHEMA.
        max_queue: Queued jobs that it takes; one more is refused.
    """

    def __init__(self, database: Database, max_queue: int = 64) -> None:
        self.database, self.max_queue = database, max_queue

    def close(self) -> None:
        """Close the connections of this process."""
        self.database.close()

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
        digest = request_digest(kind, request)
        now, name = self.database.now(), job_id or secrets.token_hex(16)
        with self.database.transaction() as db:
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
            db.execute(
                "INSERT INTO jobs (id, kind, owner, state, request, cost, created, size, idempotency_key, digest) "
                "VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?)",
                (name, kind, owner, text, float(cost), now, len(text), idempotency_key, digest),
            )
            _note(db, now, name, "queued", {})
            return _job(db.execute(f"SELECT {COLUMNS} FROM jobs WHERE id = ?", (name,)).fetchone()), True

    def get(self, job_id: str) -> Job | None:
        """The job of an id; None where there is none."""
        rows = self.database.read(f"SELECT {COLUMNS} FROM jobs WHERE id = ?", (job_id,))
        return _job(rows[0]) if rows else None

    def position(self, job: Job) -> int:
        """How many jobs of its kind are to be done before a queued one; 0 for others."""
        return int(self._ahead(job, "count(*)"))

    def seconds_left(self, job: Job, workers: int) -> float | None:
        """How long a job is likely to take from now on, by what the last ones of its kind took for their cost."""
        if job.final:
            return 0.0
        rate = _rate(self.database.read(RATE, (job.kind, RECENT))[0])
        if rate is None:
            return None
        if job.state == "running":
            now = self.database.now()
            return max(0.0, job.cost * rate - (now - (job.started or now)))
        return (float(self._ahead(job, "coalesce(sum(cost), 0)")) / max(1, workers) + job.cost) * rate

    def _ahead(self, job: Job, what: str) -> Any:
        """A figure of the jobs that go before a queued one: of its kind, queued earlier or running."""
        query = (
            f"SELECT {what} FROM jobs WHERE kind = ? AND (state = 'running' OR state = 'queued' AND place < "
            "(SELECT place FROM jobs WHERE id = ?)) AND 'queued' = (SELECT state FROM jobs WHERE id = ?)"
        )
        return self.database.read(query, (job.kind, job.id, job.id))[0][0]

    def _retry_after(self, db: Transaction, kind: str) -> int:
        """Seconds until the job at the head of the queue is likely to have begun."""
        rate = _rate(db.execute(RATE, (kind, RECENT)).fetchone())
        query = "SELECT coalesce(min(cost), 1) FROM jobs WHERE kind = ? AND state IN ('queued', 'running')"
        return max(1, math.ceil((rate or 1.0) * (db.execute(query, (kind,)).fetchone()[0] or 1.0)))

    # -- doing

    def claim(self, worker: str, kinds: Collection[str], job_id: str | None = None) -> Job | None:
        """Begin the oldest queued job of these kinds, or the one that is named; None where there is none."""
        marks, named = ", ".join("?" * len(kinds)), "" if job_id is None else " AND id = ?"
        oldest = f"SELECT place FROM jobs WHERE state = 'queued' AND kind IN ({marks}){named} ORDER BY place LIMIT 1"
        values = (*kinds, *([] if job_id is None else [job_id]))
        if not self.database.read(oldest, values):
            return None  # without taking the lock that writers share
        now = self.database.now()
        with self.database.transaction() as db:
            row = db.execute(
                "UPDATE jobs SET state = 'running', attempt = attempt + 1, started = ?, worker = ?, progress = '{}' "
                f"WHERE place = ({oldest}) RETURNING {COLUMNS}",
                (now, worker, *values),
            ).fetchone()
            if row is None:
                return None
            job = _job(row)
            db.execute(SEEN, (worker, now))
            _note(db, now, job.id, "running", {"attempt": job.attempt})
            return job

    def renew(self, worker: str) -> None:
        """Say that a worker lives."""
        now = self.database.now()
        with self.database.transaction() as db:
            db.execute(SEEN, (worker, now))

    def live(self, prefix: str, seconds: float) -> list[str]:
        """Workers whose names begin so and who have said within so many seconds that they live."""
        query = "SELECT name FROM workers WHERE substr(name, 1, length(?)) = ? AND seen >= ? ORDER BY name"
        values = (prefix, prefix, self.database.now() - seconds)
        return [name for (name,) in self.database.read(query, values)]

    def silent(self, seconds: float) -> list[str]:
        """Workers that do a job and have not said for so long that they live; see `JobStore.silent`."""
        query = (
            "SELECT DISTINCT worker FROM jobs LEFT JOIN workers ON name = worker "
            "WHERE state = 'running' AND coalesce(seen, started) < ?"
        )
        return [name for (name,) in self.database.read(query, (self.database.now() - seconds,))]

    def queued(self, kinds: Collection[str], limit: int) -> list[Job]:
        """The jobs of these kinds that wait, the oldest first."""
        marks = ", ".join("?" * len(kinds))
        query = f"SELECT {COLUMNS} FROM jobs WHERE state = 'queued' AND kind IN ({marks}) ORDER BY place LIMIT ?"
        return [_job(row) for row in self.database.read(query, (*kinds, limit))]

    def check(self, job: Job) -> None:
        """Raise JobCancelledError or JobLostError where this attempt is to stop."""
        query = "SELECT state, attempt, cancelling FROM jobs WHERE id = ?"
        rows = self.database.read(query, (job.id,))
        if not rows or rows[0][0] != "running" or rows[0][1] != job.attempt:
            raise JobLostError(f"job {job.id} is not attempt {job.attempt}'s any more")
        if rows[0][2]:
            raise JobCancelledError(f"job {job.id} was cancelled")

    def report(self, job: Job, progress: Mapping[str, Any]) -> None:
        """Say how far a running job is; raises as `check` does."""
        self.check(job)
        text, now = json.dumps(progress, allow_nan=False), self.database.now()
        with self.database.transaction() as db:
            _change(db, job, "progress = ?", text)
            _note(db, now, job.id, "progress", progress)

    def succeed(self, job: Job, result: Mapping[str, Any], size: int = 0) -> None:
        """End a job with its result, whose files have ``size`` bytes. Raises JobLostError."""
        text = json.dumps(result, allow_nan=False)
        self._end(job, "succeeded", "result = ?, size = size + ?", text, size + len(text))

    def fail(self, job: Job, error: Mapping[str, Any]) -> None:
        """End a job with what went wrong. Raises JobLostError."""
        self._end(job, "failed", "error = ?", json.dumps(error, allow_nan=False))

    def finish_cancel(self, job: Job) -> None:
        """End a job that was cancelled while it ran. Raises JobLostError."""
        self._end(job, "cancelled", "cancelling = 0")

    def _end(self, job: Job, state: State, what: str, *values: object) -> None:
        now = self.database.now()
        with self.database.transaction() as db:
            if self._has_ended_so(db, job, state, *values):
                return
            _change(db, job, f"state = '{state}', finished = ?, {what}", now, *values)
            _note(db, now, job.id, state, {})

    @staticmethod
    def _has_ended_so(db: Transaction, job: Job, state: State, *values: object) -> bool:
        """Whether this attempt has said these words before: a connection may break before the answer comes."""
        query = "SELECT state, coalesce(result, error) FROM jobs WHERE id = ? AND attempt = ?"
        row = db.execute(query, (job.id, job.attempt)).fetchone()
        return row is not None and row == (state, values[0] if values else None)

    def cancel(self, job_id: str) -> Job | None:
        """Cancel a job: a queued one is over at once, a running one is asked to stop."""
        now = self.database.now()
        with self.database.transaction() as db:
            query = "UPDATE jobs SET state = 'cancelled', finished = ? WHERE id = ? AND state = 'queued'"
            if db.execute(query, (now, job_id)).rowcount:
                _note(db, now, job_id, "cancelled", {})
            db.execute("UPDATE jobs SET cancelling = 1 WHERE id = ? AND state = 'running'", (job_id,))
        return self.get(job_id)

    def recover(self, worker: str | None = None, cause: str = "", *, death: bool = True) -> tuple[list[Job], list[Job]]:
        """Give what a worker was doing back to the queue, or fail it after MAX_DEATHS; see `JobStore.recover`."""
        again, failed, now = [], [], self.database.now()
        which, values = ("", ()) if worker is None else (" AND worker = ?", (worker,))
        with self.database.transaction() as db:
            query = f"SELECT {COLUMNS} FROM jobs WHERE state = 'running'{which} ORDER BY place"
            rows = db.execute(query, values).fetchall()
            for job in map(_job, rows):
                if job.cancelling:
                    _change(db, job, "state = 'cancelled', cancelling = 0, finished = ?", now)
                    _note(db, now, job.id, "cancelled", {})
                elif (deaths := job.deaths + death) >= MAX_DEATHS or job.attempt >= MAX_ATTEMPTS:
                    what = f"{deaths} workers died while they did this job"
                    if deaths < MAX_DEATHS:
                        what = f"this job was begun {job.attempt} times and never ended"
                    message = (
                        f"{what} ({cause or 'stopped from outside'}): ask for less at once, or give the service more "
                        "memory"
                    )
                    error = json.dumps({"code": "worker-died", "status": 500, "message": message})
                    _change(db, job, "state = 'failed', error = ?, finished = ?", error, now)
                    _note(db, now, job.id, "failed", {})
                    failed.append(job)
                else:
                    _change(db, job, "state = 'queued', started = NULL, worker = NULL, deaths = ?", deaths)
                    _note(db, now, job.id, "queued", {"death": death} | ({"cause": cause} if cause else {}))
                    again.append(job)
        return again, failed

    def give_back(self, job: Job, cause: str) -> None:
        """Put a running job back into the queue, at its head. Raises JobLostError."""
        now = self.database.now()
        with self.database.transaction() as db:
            _change(db, job, "state = 'queued', started = NULL, worker = NULL")
            _note(db, now, job.id, "queued", {"death": False, "cause": cause})

    def running(self, worker: str) -> Job | None:
        """What a worker is doing; None where it waits."""
        query = f"SELECT {COLUMNS} FROM jobs WHERE state = 'running' AND worker = ? ORDER BY place"
        rows = self.database.read(query, (worker,))
        return _job(rows[0]) if rows else None

    # -- keeping

    def events(self, job_id: str, after: int = 0) -> list[JobEvent]:
        """What happened to a job since the event of number ``after``."""
        query = "SELECT number, at, kind, data FROM events WHERE job = ? AND number > ? ORDER BY number"
        rows = self.database.read(query, (job_id, after))
        return [JobEvent(number, at, kind, json.loads(data)) for number, at, kind, data in rows]

    def counts(self) -> dict[tuple[str, str], int]:
        """How many jobs there are by kind and state."""
        rows = self.database.read("SELECT kind, state, count(*) FROM jobs GROUP BY kind, state")
        return {(kind, state): count for kind, state, count in rows}

    def ended(self, since: float) -> list[Job]:
        """Jobs that ended after a time, seconds since 1970."""
        query = f"SELECT {COLUMNS} FROM jobs WHERE finished > ? ORDER BY finished"
        return [_job(row) for row in self.database.read(query, (since,))]

    def expire(self, seconds: float, max_bytes: int | None = None) -> list[str]:
        """Forget jobs that ended so long ago, and the oldest ended ones while requests and results are larger than they
        may be.
        """
        before = self.database.now() - seconds
        with self.database.transaction() as db:
            db.execute(
                "DELETE FROM workers WHERE seen < ? AND name NOT IN (SELECT worker FROM jobs WHERE state = 'running')",
                (before,),
            )
            query = "DELETE FROM jobs WHERE finished < ? RETURNING id"
            gone = [name for (name,) in db.execute(query, (before,)).fetchall()]
            total = sum(size for (size,) in db.execute("SELECT size FROM jobs WHERE size > 0").fetchall())
            if max_bytes is not None and total > max_bytes:
                query = "SELECT id, size FROM jobs WHERE finished IS NOT NULL AND size > 0 ORDER BY finished"
                for name, size in db.execute(query).fetchall():
                    if total <= max_bytes:
                        break
                    db.execute("DELETE FROM jobs WHERE id = ?", (name,))
                    gone.append(name)
                    total -= size
        return gone

    def now(self) -> float:
        """Seconds since 1970 by the database's clock."""
        return self.database.now()

    def ids(self) -> set[str]:
        """Ids of all jobs that there are."""
        return {name for (name,) in self.database.read("SELECT id FROM jobs")}


def _job(row: tuple) -> Job:
    """The job of a row of COLUMNS."""
    values = dict(zip(COLUMNS.split(", "), row, strict=True))
    for name in ("request", "progress", "result", "error"):
        values[name] = None if values[name] is None else json.loads(values[name])
    return Job(**values | {"cancelling": bool(values["cancelling"])})


def _change(db: Transaction, job: Job, what: str, *values: object) -> None:
    """Change a running job under its attempt. Raises JobLostError where it is not that attempt's any more."""
    query = f"UPDATE jobs SET {what} WHERE id = ? AND state = 'running' AND attempt = ?"
    if not db.execute(query, (*values, job.id, job.attempt)).rowcount:
        raise JobLostError(f"job {job.id} is not attempt {job.attempt}'s any more")


def _note(db: Transaction, now: float, job_id: str, kind: str, data: Mapping[str, Any]) -> None:
    """Add an event to a job's."""
    db.execute(
        "INSERT INTO events (job, number, at, kind, data) "
        "SELECT ?, coalesce(max(number), 0) + 1, ?, ?, ? FROM events WHERE job = ?",
        (job_id, now, kind, json.dumps(data, allow_nan=False), job_id),
    )


def _rate(row: tuple | None) -> float | None:
    """Seconds a unit of cost, from the row of RATE; None where no job of the kind has succeeded."""
    return None if row is None or not row[1] else max(0.0, row[0] / row[1])
