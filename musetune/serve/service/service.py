"""The service without HTTP: its store, its workers, what it removes in time, and what it starts and ends with."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import IO, Any

from musetune.serve.service.analysis import AnalysisRunner
from musetune.serve.service.fork_server import can_fork
from musetune.serve.service.jobs import Job, JobStore, StoreUnavailableError
from musetune.serve.service.monitoring import Observer, ServiceMetrics, memory_of, set_up_logs
from musetune.serve.service.pool import Pool, WorkerPool, WorkerSetup
from musetune.serve.service.runner import generation_factory, load_warm
from musetune.serve.service.settings import ServiceSettings
from musetune.serve.service.stores import open_store
from musetune.serve.service.timeline import AttemptTime
from musetune.serve.service.tracing import Tracing
from musetune.serve.service.upload_room import UploadRoom
from musetune.serve.service.worker import JobRunner, job_words, result_folder

TEND_S = 1.0  # how often ended jobs are counted
CLEAN_S = 30.0  # how often old results are removed

log = logging.getLogger(__name__)


class JobService:
    """Store, workers and what tends them. Its folder is its own while it is open.

    Args:
        settings: What it is set to.
        tracing: Makes traces of requests and jobs; None: nothing does.
        make_pools: Makes what does the jobs, by kind; None: processes of this machine.

    Raises:
        OSError: Another service uses the folder.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        tracing: Tracing | None = None,
        make_pools: Callable[[JobStore], Mapping[str, Pool]] | None = None,
    ) -> None:
        self.settings, self.tracing = settings, tracing
        settings.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(settings)
        self.store: JobStore = open_store(settings)
        traces: list[Observer] = [] if tracing is None else [tracing.trace_job]
        self.metrics = ServiceMetrics(self.store, [_log_end, *traces], self._refresh)
        self.uploads = UploadRoom(settings.folder / "uploads", settings.max_uploads)
        self.draining = False  # what runs may end, nothing begins
        self.drained = False  # and nothing runs any more
        self._alone = make_pools is None
        if self._alone:
            shutil.rmtree(settings.notices, ignore_errors=True)
        self.pools = local_pools(settings, self.store) if make_pools is None else make_pools(self.store)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._tend, name="tending", daemon=True)

    def start(self) -> None:
        """Go on where the last service on this folder was, and start the workers."""
        if self._alone:  # on a cluster replicas may live that a service before this one started: leases tell
            again, failed = self.store.recover(None, "the service ended in the middle of it", death=False)
            if again or failed:
                text = "%d job(s) that ran when the last service ended start again, %d fail"
                log.warning(text, len(again), len(failed))
        self.sweep()
        for pool in self.pools.values():
            pool.start()
        self._thread.start()

    def drain(self) -> bool:
        """Take no more jobs, and let running ones end for as long as the settings say; what waits goes on at the next
        start. The service can still be asked for its jobs.

        Returns:
            Whether all that ran has ended.
        """
        self.draining = True
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join()
        for pool in self.pools.values():
            pool.end_watch()
        until, ended = time.monotonic() + self.settings.drain_seconds, []
        for kind, pool in self.pools.items():
            try:
                ended.append(pool.stop(max(0.0, until - time.monotonic())))
            except StoreUnavailableError as error:  # the next start takes back what ran
                log.error("%s workers are stopped while the job store is away: %s", kind, error)
                ended.append(False)
        self.drained = True
        return all(ended)

    def stop(self) -> None:
        """Drain, where that was not done before, and give back all that the service holds."""
        if not self.drained:
            self.drain()
        with suppress(StoreUnavailableError):  # they are counted at the next start
            self.metrics.observe_ended()
        self.close()

    def leaves(self, job: Job) -> bool:
        """Whether nothing will happen to a job any more before the next start of the service."""
        return self.drained or (self.draining and job.state == "queued")

    def close(self) -> None:
        """Give back the store and the folder, and send the traces that are left."""
        self.store.close()
        if self.tracing is not None:
            self.tracing.close()
        self._lock.close()

    @property
    def ready(self) -> bool:
        """Whether every worker lives and has loaded its models."""
        return not self.draining and all(
            len(pool.pids) == len(pool.names) and all(self.notice(pid) is not None for pid in pool.pids.values())
            for pool in self.pools.values()
        )

    def notice(self, pid: int) -> dict[str, Any] | None:
        """What a worker process says that it has loaded; None while it loads."""
        try:
            return dict(json.loads((self.settings.notices / f"{pid}.json").read_text()))
        except FileNotFoundError:
            return None

    def loaded(self) -> dict[str, Any] | None:
        """What the workers that generate have loaded; None while they load."""
        notices = (self.notice(pid) for pid in self.pools["generation"].pids.values())
        return next((notice for notice in notices if notice is not None), None)

    def workers_of(self, kind: str) -> int:
        """How many processes do jobs of a kind."""
        return len(self.pools[kind].names)

    def sweep(self) -> None:
        """Forget jobs whose time is over, and remove files that belong to no job."""
        self.store.expire(self.settings.keep_seconds, self.settings.max_bytes)
        known = self.store.ids()
        for kind in ("results", "uploads"):
            folder = self.settings.folder / kind
            for place in folder.iterdir() if folder.is_dir() else ():
                young = time.time() - place.stat().st_mtime < CLEAN_S  # an upload whose job is not submitted yet
                if place.name not in known and not young:
                    shutil.rmtree(place, ignore_errors=True)
        for job_id in known:
            job = self.store.get(job_id)
            if job is not None and job.final:  # the song is not needed any more, nor what dead workers left
                shutil.rmtree(self.settings.folder / "uploads" / job_id, ignore_errors=True)
                _remove_other_attempts(result_folder(self.settings.folder, job_id), job)
        self.uploads.measure()

    def _refresh(self) -> None:
        """Set the gauges that only the service knows."""
        metrics = self.metrics
        pids = {"server": os.getpid()}
        for kind, pool in self.pools.items():
            metrics.workers.labels(kind).set(len(pool.pids))
            metrics.restarts.labels(kind).set(pool.restarts)
            pids |= pool.pids if self._alone else {}  # those of a cluster are other machines'
        metrics.memory.clear()
        for name, pid in pids.items():
            if (size := memory_of(pid)) is not None:
                metrics.memory.labels(name).set(size)
        metrics.ready.set(self.ready)
        metrics.queue_limit.set(self.settings.max_queue)
        metrics.disk_free.set(shutil.disk_usage(self.settings.folder).free)

    def _tend(self) -> None:
        cleaned = time.monotonic()
        while not self._end.wait(TEND_S):
            try:
                self.metrics.observe_ended()
                if time.monotonic() - cleaned > CLEAN_S:
                    cleaned = time.monotonic()
                    self.sweep()
            except Exception:  # a full disk: this thread must go on, since it is what makes room
                log.exception("old jobs cannot be tended now")


def _shared_base(settings: ServiceSettings) -> Callable[[], Any] | None:
    """What loads the base that all workers share; None where each has to load its own."""
    return partial(load_warm, settings.base, settings.adapter, settings.loras) if can_fork(settings.device) else None


def _remove_other_attempts(folder: Path, job: Job) -> None:
    """Remove what attempts at an ended job wrote whose workers died before they could remove it."""
    kept = {str(path).partition("/")[0] for path in (job.result or {}).get("files", {}).values()}
    for place in folder.iterdir() if folder.is_dir() else ():
        if place.name not in kept:
            shutil.rmtree(place, ignore_errors=True)


def _log_end(job: Job, attempts: Sequence[AttemptTime]) -> None:
    with job_words(job):
        log.info("job %s of kind %s: %s after %d attempt(s)", job.id, job.kind, job.state, len(attempts))


def runner_factories(settings: ServiceSettings) -> dict[str, Callable[[], JobRunner]]:
    """What makes the runner of each kind of jobs, in the process that does them."""
    generation = generation_factory(
        settings.base,
        settings.adapter,
        settings.device,
        settings.max_seconds,
        settings.notices,
        settings.batch,
        settings.loras,
    )
    return {"generation": generation, "analysis": partial(AnalysisRunner, settings.notices)}


def local_pools(settings: ServiceSettings, store: JobStore) -> dict[str, WorkerPool]:
    """Processes of this machine for each kind of jobs."""
    counts = {"generation": settings.workers, "analysis": settings.analysers}
    threads = {"generation": settings.threads, "analysis": None}
    memory = {"generation": settings.memory, "analysis": None}
    load = {"generation": _shared_base(settings), "analysis": None}
    return {
        kind: WorkerPool(
            WorkerSetup(
                partial(open_store, settings),
                make,
                settings.folder,
                settings.max_job_seconds,
                threads[kind],
                memory[kind],
                set_up_logs,
                load[kind],
            ),
            counts[kind],
            kind,
            store,
        )
        for kind, make in runner_factories(settings).items()
    }


def _lock(settings: ServiceSettings) -> IO[str]:
    """The folder's lock, held until it is closed or the process ends."""
    file = (settings.folder / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise OSError(f"another musetune serve uses {settings.folder}: end that, or give --folder another") from error
    return file
