"""Jobs in a file of SQLite, in its WAL mode: every process of one machine may read and write it at any time."""

from __future__ import annotations

import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

from musetune.serve.service.database import SCHEMA, SCHEMA_VERSION, steps_from
from musetune.serve.service.jobs import StoreUnavailableError
from musetune.serve.service.sql_store import SQLJobStore

BUSY_S = 30.0  # how long a statement waits for another process's transaction
PASSING = (  # what SQLite says that it may not say later
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
)


class ThreadConnection:
    """A thread's connection, closed when the thread has ended: a server's threads come and go.

    The connection itself would not be: its cache of statements refers to it.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


class SQLiteDatabase:
    """A `Database` in one file.

    Args:
        path: The file; it and its folder are made where they are not there.
    """

    def __init__(self, path: str | PathLike) -> None:
        self.path = Path(path)
        self._local = threading.local()
        self._open: weakref.WeakSet[ThreadConnection] = weakref.WeakSet()
        self._lock = threading.Lock()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = self.connection()
        try:
            self._bring_up_to_date()
        except ValueError:
            self.close()
            raise
        place = "INTEGER PRIMARY KEY AUTOINCREMENT"
        connection.executescript(SCHEMA.format(place=place, real="REAL", integer="INTEGER", options="STRICT"))

    def _bring_up_to_date(self) -> None:
        """Make a file of an older version one of this; several processes may open it at once."""
        if self.connection().execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION:
            return
        with self.transaction() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            for statement in steps_from(version, str(self.path)) if version else ():  # 0: a new file
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        held: ThreadConnection | None = getattr(self._local, "held", None)
        if held is None:
            connection = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # what was accepted is on the disk
            connection.execute("PRAGMA foreign_keys = ON")
            held = self._local.held = ThreadConnection(connection)
            with self._lock:
                self._open.add(held)
        return held.connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Statements that write: all of them or none, and no others between them."""
        with _passing():
            connection = self.connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # a full disk has ended it already
                    connection.execute("ROLLBACK")
                raise

    def read(self, query: str, values: Sequence[object] = ()) -> list[tuple]:
        """The rows of a query."""
        with _passing():
            return self.connection().execute(query, values).fetchall()  # type: ignore[arg-type]

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def close(self) -> None:
        """Close the connections of all threads of this process."""
        with self._lock:
            for held in list(self._open):
                held.connection.close()
            self._open.clear()
        self._local = threading.local()


@contextmanager
def _passing() -> Iterator[None]:
    """Raise StoreUnavailableError for what may pass."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in PASSING:
            raise
        raise StoreUnavailableError(str(error)) from error


class SQLiteJobStore(SQLJobStore):
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
        super().__init__(SQLiteDatabase(path), max_queue)
