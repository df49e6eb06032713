"""Which store a service's settings mean."""

from __future__ import annotations

from musetune.serve.service.jobs import JobStore
from musetune.serve.service.settings import ServiceSettings
from musetune.serve.service.sqlite_store import SQLiteJobStore

SCHEMES = ("postgresql://", "postgres://")


def check_store(url: str | None) -> None:
    """Raise ValueError for what is no store's address."""
    if url is not None and not url.startswith(SCHEMES):
        raise ValueError(
            f"--store {url.partition('@')[2] or url!r}: give postgresql://user:password@host:port/database"
        )


def open_store(settings: ServiceSettings) -> JobStore:
    """PostgreSQL where the settings name one, else SQLite in the service's folder."""
    if settings.store is None:
        return SQLiteJobStore(settings.database, settings.max_queue)
    from musetune.serve.service.postgres_store import PostgresJobStore

    return PostgresJobStore(settings.store, settings.max_queue)
