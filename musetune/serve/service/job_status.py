"""A job as its owner sees it."""

from __future__ import annotations

from fastapi import Request

from musetune.client.wire import JobProgress, JobStatus, Problem
from musetune.serve.service.jobs import Job
from musetune.serve.service.problems import TITLES, ProblemError
from musetune.serve.service.service import JobService

INNER = ("latents", "song")  # files that only other jobs read


def owned_job(service: JobService, request: Request, job_id: str) -> Job:
    """The job of an id, where it is this key's. Raises ProblemError."""
    job = service.store.get(job_id)
    if job is None or job.owner != request.state.owner:
        hours = service.settings.keep_seconds / 3600
        raise ProblemError(404, "no-such-job", f"there is no job {job_id[:64]}; results are kept for {hours:g} hours")
    return job


def seconds_left(service: JobService, job: Job) -> float | None:
    """How long a job is likely to take from now on, in hundredths; None where nothing is known yet."""
    seconds = service.store.seconds_left(job, service.workers_of(job.kind))
    return None if seconds is None else round(seconds, 2)


def status_of(service: JobService, job: Job) -> JobStatus:
    """A job as its owner sees it."""
    result = dict(job.result or {})
    names = {name.partition(".")[0] for name in result.pop("files", {}) if name not in INNER}
    error = None
    if job.error is not None:
        status = int(job.error["status"])
        error = Problem(
            title=TITLES.get(status, "Error"),
            status=status,
            detail=job.error["message"],
            code=job.error["code"],
            instance=f"/v1/jobs/{job.id}",
        )
    return JobStatus(
        id=job.id,
        kind=job.kind,  # type: ignore[arg-type]
        task=job.request.get("task", job.kind),
        state=job.state,
        created=job.created,
        started=job.started,
        finished=job.finished,
        expires=None if job.finished is None else job.finished + service.settings.keep_seconds,
        attempt=job.attempt,
        position=service.store.position(job),
        seconds_left=seconds_left(service, job),
        cancelling=job.cancelling,
        progress=JobProgress.model_validate(job.progress) if job.progress else None,
        files={name: f"/v1/jobs/{job.id}/{name}" for name in sorted(names)},
        result=result or None,
        error=error,
    )
