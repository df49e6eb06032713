"""Jobs in a database of PostgreSQL: every process of many machines may read and write it at any time."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from musetune.serve.service.database import SCHEMA, SCHEMA_VERSION, Cursor, steps_from
from musetune.serve.service.jobs import StoreUnavailableError
from musetune.serve.service.sql_store import SQLJobStore

CONNECTIONS = 8  # of one process at most; PostgreSQL's own default takes 100 of all together
PATIENCE_S = 10.0  # how long a thread waits for a connection, and a statement for another's transaction
CLOCK_S = 600.0  # how often the database is asked what time it is
LOCK = 0x6D757365  # one number for all transactions that write
OPTIONS = "-c lock_timeout=10s -c idle_in_transaction_session_timeout=30s"


class PostgresDatabase:
    """A `Database` in PostgreSQL 12 or newer.

    Transactions that write take one lock of the whole database, as in SQLite: a queue that counts its places and
    numbers its events needs them one after the other, and each takes a millisecond beside a job's seconds. What a
    machine leaves open that loses its power or its network ends by the server's own time limits.

    Args:
        url: As libpq takes it: ``postgresql://user:password@host:port/database``.

    Raises:
        ImportError: psycopg is not installed.
        StoreUnavailableError: The database cannot be reached.
    """

    def __init__(self, url: str) -> None:
        try:
            from psycopg_pool import ConnectionPool
        except ImportError as error:
            raise ImportError(f'PostgreSQL needs the extra ray: pip install "musetune[ray]" ({error})') from error
        alive = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
        self._pool = ConnectionPool(
            url,
            min_size=1,
            max_size=CONNECTIONS,
            timeout=PATIENCE_S,
            kwargs={"autocommit": True, "options": OPTIONS, "connect_timeout": 10, **alive},
            check=ConnectionPool.check_connection,
            open=False,
        )
        self._clock = (0.0, -CLOCK_S)
        schema = SCHEMA.format(
            place="BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY",
            real="DOUBLE PRECISION",
            integer="BIGINT",
            options="",
        )
        try:
            self._pool.open()
            with self.transaction() as db:
                self._bring_up_to_date(db)
                for statement in schema.split(";"):
                    db.execute(statement)
        except BaseException:
            self._pool.close()
            raise

    @staticmethod
    def _bring_up_to_date(db: PostgresTransaction) -> None:
        """Make the tables of an older version those of this. Raises ValueError where a newer one wrote them."""
        db.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
        row = db.execute("SELECT version FROM schema_version").fetchone()
        old = db.execute("SELECT to_regclass('jobs') IS NOT NULL").fetchone()[0]  # version 1 did not say which it was
        if row is not None or old:
            for statement in steps_from(row[0] if row is not None else 1, "the database of --store"):
                db.execute(statement)
        db.execute("DELETE FROM schema_version")
        db.execute("INSERT INTO schema_version (version) VALUES (?)", (SCHEMA_VERSION,))

    @contextmanager
    def transaction(self) -> Iterator[PostgresTransaction]:
        """Statements that write: all of them or none, and no others between them."""
        with _passing(), self._pool.connection() as connection, connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            yield PostgresTransaction(connection)

    def read(self, query: str, values: Sequence[object] = ()) -> list[tuple]:
        """The rows of a query."""
        with _passing(), self._pool.connection() as connection:
            return PostgresTransaction(connection).execute(query, values).fetchall()

    def now(self) -> float:
        """Seconds since 1970 by the database's clock."""
        told, asked = self._clock
        if time.monotonic() - asked > CLOCK_S:
            rows = self.read("SELECT CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)")
            told, asked = self._clock = rows[0][0], time.monotonic()
        return told + time.monotonic() - asked

    def close(self) -> None:
        """Close the connections of this process."""
        self._pool.close()


class PostgresTransaction:
    """A connection that takes the statements of `sql_store`, whose values stand at question marks."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, query: str, values: Sequence[object] = ()) -> Cursor:
        """Run a statement."""
        texts = [one.replace("\0", "\ufffd") if isinstance(one, str) else one for one in values]  # NUL is refused
        cursor: Cursor = self._connection.execute(query.replace("?", "%s"), texts or None)
        return cursor


@contextmanager
def _passing() -> Iterator[None]:
    """Raise StoreUnavailableError for what may pass: no connection, a server that restarts, a full disk, a lock."""
    import psycopg

    try:
        yield
    except psycopg.OperationalError as error:
        raise StoreUnavailableError(" ".join(str(error).split())) from error


class PostgresJobStore(SQLJobStore):
    """A `JobStore` in PostgreSQL. Its methods may be called from any thread and any process of any machine.

    Args:
        url: As libpq takes it: ``postgresql://user:password@host:port/database``.
        max_queue: Queued jobs that it takes; one more is refused.
    """

    def __init__(self, url: str, max_queue: int = 64) -> None:
        super().__init__(PostgresDatabase(url), max_queue)
