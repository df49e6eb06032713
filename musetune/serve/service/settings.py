"""What the service is set to; `musetune serve` fills it from its options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MEGABYTE = 2**20


@dataclass(frozen=True)
class ServiceSettings:
    """Settings of one service.

    Attributes:
        folder: Where jobs, uploads and results lie; one service at a time uses it.
        base: "nano", a folder, or a Hub id.
        adapter: A theory adapter; None: the base's own, else "theory".
        loras: Genre adapters of your own beside the bundled ones: names and folders or Hub ids.
        device: Such as cpu or cuda:1; None: cuda where there is one.
        workers: Processes that generate.
        analysers: Processes that analyse.
        threads: Threads of each worker; None: torch's own choice.
        max_queue: Jobs that may wait.
        max_seconds: The longest audio of a generation.
        max_job_seconds: The longest time of a job.
        max_upload: Bytes of a song.
        max_body: Bytes of any other request.
        max_uploads: Bytes of all requests under way and of all uploads that jobs wait for, together.
        max_bytes: Bytes of all requests and results together; the oldest go.
        min_free: Bytes of the disk that stay free; nothing is taken below that.
        keep_seconds: How long a job and its results stay after its end.
        max_wait: The longest time that a request may wait for its job to end.
        rate: How many requests each key may send, such as "120/minute"; None: as many as it likes.
        batch: How many requests that can run together a worker does together.
        memory: Bytes that a worker may take for itself; a job that needs more fails. None: no limit.
        drain_seconds: How long a stopping service waits for running jobs.
        allow_hosts: Further names by which the service may be reached.
        cors_origins: Sites whose pages may use the service, such as https://music.example.org.
        store: PostgreSQL's URL, where several machines share the jobs; None: SQLite in ``folder``.
    """

    folder: Path
    base: str = "nano"
    adapter: str | None = None
    loras: tuple[tuple[str, str], ...] = ()
    device: str | None = None
    workers: int = 1
    analysers: int = 1
    threads: int | None = None
    max_queue: int = 64
    max_seconds: float = 120.0
    max_job_seconds: float = 1800.0
    max_upload: int = 256 * MEGABYTE
    max_body: int = 8 * MEGABYTE
    max_uploads: int = 4096 * MEGABYTE
    max_bytes: int = 20 * 1024 * MEGABYTE
    min_free: int = 256 * MEGABYTE
    keep_seconds: float = 24 * 3600.0
    max_wait: float = 60.0
    rate: str | None = "300/minute"
    batch: int = 4
    memory: int | None = None
    drain_seconds: float = 60.0
    allow_hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    store: str | None = None

    @property
    def database(self) -> Path:
        """The file of jobs."""
        return self.folder / "jobs.sqlite3"

    @property
    def spool(self) -> Path:
        """Where parts of requests lie while they come."""
        return self.folder / "spool"

    @property
    def notices(self) -> Path:
        """Where workers say that they are ready."""
        return self.folder / "workers"
