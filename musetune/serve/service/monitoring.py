"""What the service says of itself: metrics for Prometheus, logs as lines of JSON with the request's id."""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from musetune.serve.service.jobs import Job, JobStore

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
SHARES = tuple(share / 10 for share in range(1, 11))
OVERLAP_S = 60.0  # ended jobs are looked for again so far back: transactions end in another order than they began
STATES = ("queued", "running", "succeeded", "failed", "cancelled")
KINDS = ("generation", "analysis")


class ServiceMetrics:
    """The service's metrics, in a registry of their own.

    Args:
        store: Whose jobs are counted.
    """

    def __init__(self, store: JobStore) -> None:
        self.store, self.registry = store, CollectorRegistry()
        self.requests = Counter(
            "musetune_http_requests", "HTTP requests", ("method", "route", "status"), registry=self.registry
        )
        self.latency = Histogram(
            "musetune_http_seconds",
            "Seconds until a response begins",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.jobs = Gauge("musetune_jobs", "Jobs that the store holds", ("kind", "state"), registry=self.registry)
        self.ended = Counter("musetune_jobs_ended", "Jobs that ended", ("kind", "state"), registry=self.registry)
        self.errors = Counter(
            "musetune_job_errors", "Jobs that failed, by cause", ("kind", "code"), registry=self.registry
        )
        self.waited = Histogram(
            "musetune_job_wait_seconds", "Seconds in the queue", ("kind",), buckets=SECONDS, registry=self.registry
        )
        self.stages = Histogram(
            "musetune_job_stage_seconds",
            "Seconds of a stage",
            ("kind", "stage"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.factor = Histogram(
            "musetune_real_time_factor",
            "Seconds of work a second of sound",
            ("kind",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.adherence = Histogram(
            "musetune_adherence", "Overall score of what was generated, 0 to 1", buckets=SHARES, registry=self.registry
        )
        self.workers = Gauge("musetune_workers", "Worker processes that live", ("kind",), registry=self.registry)
        self.restarts = Gauge(
            "musetune_worker_restarts", "Workers started in place of dead ones", ("kind",), registry=self.registry
        )
        self.rejected = Counter(
            "musetune_rejected", "Requests refused before they became jobs", ("code",), registry=self.registry
        )
        self._began = self._since = time.time()
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    def observe_ended(self) -> list[Job]:
        """Count the jobs that ended since the last call, and return them."""
        with self._lock:
            ended = self.store.ended(max(self._began, self._since - OVERLAP_S))
            new = [job for job in ended if job.id not in self._seen]
            for job in new:
                self._seen[job.id] = job.finished or 0
                self._observe(job)
            self._since = max([self._since, *self._seen.values()])
            self._seen = {name: at for name, at in self._seen.items() if at >= self._since - OVERLAP_S}
            return new

    def _observe(self, job: Job) -> None:
        self.ended.labels(job.kind, job.state).inc()
        if job.error is not None:
            self.errors.labels(job.kind, str(job.error["code"])).inc()
        if job.started is not None:
            self.waited.labels(job.kind).observe(job.started - job.created)
        result = job.result or {}
        for stage, seconds in result.get("stages", {}).items():
            self.stages.labels(job.kind, stage).observe(seconds)
        if "real_time_factor" in result:
            self.factor.labels(job.kind).observe(result["real_time_factor"])
        if result.get("score") is not None:
            self.adherence.observe(result["score"])

    def render(self) -> bytes:
        """The metrics in Prometheus's text format."""
        self.observe_ended()
        counts = self.store.counts()
        for kind in KINDS:
            for state in STATES:
                self.jobs.labels(kind, state).set(counts.get((kind, state), 0))
        return generate_latest(self.registry)


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
