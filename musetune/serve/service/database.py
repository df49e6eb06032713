"""What the store of jobs needs of a database, and the tables that it has there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

SCHEMA_VERSION = 2
SINCE = {2: "ALTER TABLE jobs ADD COLUMN deaths INTEGER NOT NULL DEFAULT 0"}  # what makes each of the one before
SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    place {place},  -- order of submission
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    owner TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    request TEXT NOT NULL,
    cost {real} NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    deaths INTEGER NOT NULL DEFAULT 0,
    created {real} NOT NULL,
    started {real},
    finished {real},
    progress TEXT NOT NULL DEFAULT '{{}}',
    result TEXT,
    error TEXT,
    cancelling INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    size BIGINT_ NOT NULL DEFAULT 0,
    idempotency_key TEXT,
    digest TEXT NOT NULL,
    UNIQUE (owner, idempotency_key)
) {options};
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, kind, place);
CREATE INDEX IF NOT EXISTS jobs_by_end ON jobs (finished);
CREATE TABLE IF NOT EXISTS events (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at {real} NOT NULL,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (job, number)
) {options};
CREATE TABLE IF NOT EXISTS workers (
    name TEXT PRIMARY KEY,
    seen {real} NOT NULL  -- when it last said that it lives
) {options}
""".replace("BIGINT_", "{integer}")


def steps_from(version: int, place: str) -> list[str]:
    """The statements that bring a database of an older version to this one.

    Args:
        version: Its own.
        place: Its name, for the message.

    Raises:
        ValueError: A version after this one wrote it.
    """
    if not 1 <= version <= SCHEMA_VERSION:
        raise ValueError(
            f"{place} was written by another version of MuseTune (schema {version}, this one reads "
            f"{SCHEMA_VERSION}): take another folder or database, or remove it and with it the jobs"
        )
    return [statement for number, statement in sorted(SINCE.items()) if number > version]


class Cursor(Protocol):
    """What a statement gives: rows, and how many it changed."""

    @property
    def rowcount(self) -> int:
        """How many rows the statement changed."""

    def fetchone(self) -> Any:
        """The next row, a tuple; None after the last."""

    def fetchall(self) -> list[tuple]:
        """All rows that are left."""


class Transaction(Protocol):
    """A connection in the middle of a transaction."""

    def execute(self, query: str, values: Sequence[object] = ()) -> Cursor:
        """Run a statement whose values stand where it has question marks."""


class Database(Protocol):
    """A database that any thread of this process may use, and other processes too."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Statements that write: all of them or none, and no others between them.

        Raises:
            StoreUnavailableError: It cannot be reached or written to now.
        """

    def read(self, query: str, values: Sequence[object] = ()) -> list[tuple]:
        """The rows of a query. Raises StoreUnavailableError."""

    def now(self) -> float:
        """Seconds since 1970 by the clock that all of its users share."""

    def close(self) -> None:
        """Close this process's connections."""
