"""Metrics for Prometheus, and logs as lines of JSON with the request's id."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

import musetune
from musetune.serve.service.jobs import Job, JobStore
from musetune.serve.service.timeline import AttemptTime, read_timeline

Observer = Callable[[Job, Sequence[AttemptTime]], None]

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
SHARES = tuple(share / 10 for share in range(1, 11))
OVERLAP_S = 60.0  # ended jobs are looked for again so far back: transactions end in another order than they began
STATES = ("queued", "running", "succeeded", "failed", "cancelled")
KINDS = ("generation", "analysis")
REJECTIONS = ("queue", "rate")


class ServiceMetrics:
    """The service's metrics, in a registry of their own.

    Args:
        store: Whose jobs are counted.
        observers: Told of each job that ended, once, with its attempts.
        refresh: Called before the metrics are read, to set the gauges that only the service knows.
    """

    def __init__(
        self, store: JobStore, observers: Sequence[Observer] = (), refresh: Callable[[], None] = lambda: None
    ) -> None:
        self.store, self.registry = store, CollectorRegistry()
        self.observers, self.refresh = (self._observe, *observers), refresh
        self._add_counters()
        self._add_histograms()
        self._add_gauges()
        ProcessCollector(registry=self.registry)
        self._began = self._since = store.now()
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    def _add_counters(self) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"musetune_{name}", text, labels, registry=self.registry)

        self.requests = counter("http_requests", "HTTP requests", "method", "route", "status")
        self.rejected = counter("rejected", "Requests refused before they became jobs", "code")
        self.ended = counter("jobs_ended", "Jobs that ended", "kind", "state")
        self.errors = counter("job_errors", "Jobs that failed, by cause", "kind", "code")
        self.lost = counter("attempts_lost", "Attempts at jobs whose worker died", "kind")
        for code in REJECTIONS:  # from the first scrape on, so that a rate sees the first one
            self.rejected.labels(code)
        for kind in KINDS:
            self.lost.labels(kind)

    def _add_histograms(self) -> None:
        def histogram(name: str, text: str, *labels: str, buckets: Sequence[float] = SECONDS) -> Histogram:
            return Histogram(f"musetune_{name}", text, labels, buckets=buckets, registry=self.registry)

        self.latency = histogram("http_seconds", "Seconds until a response begins", "route")
        self.waited = histogram("job_wait_seconds", "Seconds of a wait in the queue", "kind")
        self.stages = histogram("job_stage_seconds", "Seconds of a stage of a job that succeeded", "kind", "stage")
        self.whole = histogram("job_seconds", "Seconds from submission to end", "kind", "state")
        self.factor = histogram("real_time_factor", "Seconds of work a second of sound", "kind")
        self.adherence = histogram("adherence", "Overall score of what was generated, 0 to 1", buckets=SHARES)
        self.parts = histogram(
            "adherence_part", "Score of a part of what was asked for, 0 to 1", "part", buckets=SHARES
        )

    def _add_gauges(self) -> None:
        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"musetune_{name}", text, labels, registry=self.registry)

        self.jobs = gauge("jobs", "Jobs that the store holds", "kind", "state")
        self.queue_limit = gauge("queue_limit", "Jobs that may wait")
        self.workers = gauge("workers", "Worker processes that live", "kind")
        self.restarts = gauge("worker_restarts", "Workers started in place of dead ones", "kind")
        self.ready = gauge("ready", "1 where every worker has loaded its models, else 0")
        self.disk_free = gauge("disk_free_bytes", "Bytes that are free where jobs and results lie")
        self.memory = gauge(
            "process_memory_bytes", "Memory of a process, its part of what is shared included", "process"
        )
        gauge("build_info", "1, for this version", "version").labels(musetune.__version__).set(1)

    def observe_ended(self) -> list[Job]:
        """Tell the observers of the jobs that ended since the last call, and return them."""
        with self._lock:
            ended = self.store.ended(max(self._began, self._since - OVERLAP_S))
            new = [job for job in ended if job.id not in self._seen]
            for job in new:
                self._seen[job.id] = job.finished or 0
                attempts = read_timeline(self.store.events(job.id))
                for observe in self.observers:
                    observe(job, attempts)
            self._since = max([self._since, *self._seen.values()])
            self._seen = {name: at for name, at in self._seen.items() if at >= self._since - OVERLAP_S}
            return new

    def _observe(self, job: Job, attempts: Sequence[AttemptTime]) -> None:
        self.ended.labels(job.kind, job.state).inc()
        self.whole.labels(job.kind, job.state).observe((job.finished or job.created) - job.created)
        if job.error is not None:
            self.errors.labels(job.kind, str(job.error["code"])).inc()
        for attempt in attempts:
            if attempt.started is not None:
                self.waited.labels(job.kind).observe(attempt.started - attempt.queued)
            if attempt.died:
                self.lost.labels(job.kind).inc()
            for stage in attempt.stages if attempt.outcome == "succeeded" else ():
                self.stages.labels(job.kind, stage.name).observe(stage.end - stage.start)
        result = job.result or {}
        if "real_time_factor" in result:
            self.factor.labels(job.kind).observe(result["real_time_factor"])
        if result.get("score") is not None:
            self.adherence.observe(result["score"])
        for part, score in result.get("parts", {}).items():
            if score is not None:
                self.parts.labels(part).observe(score)

    def render(self) -> bytes:
        """The metrics in Prometheus's text format."""
        self.observe_ended()
        self.refresh()
        counts = self.store.counts()
        for kind in KINDS:
            for state in STATES:
                self.jobs.labels(kind, state).set(counts.get((kind, state), 0))
        return generate_latest(self.registry)


def memory_of(pid: int) -> int | None:
    """Bytes of memory of a process, what it shares with others divided among them (PSS); None where nothing says it."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # no Linux, or the process has just ended
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), None)


def set_up_logs(level: int = logging.INFO) -> None:
    """Write every log line of this process as JSON to standard error, with what is bound to the request."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("httpx").setLevel(logging.WARNING)
