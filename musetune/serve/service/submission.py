"""POST: a request becomes a job in the queue, and waits for its end where it says so."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from musetune.client.wire import JobStatus
from musetune.serve.service.batching import batch_key
from musetune.serve.service.inputs import no_such_adapter
from musetune.serve.service.job_status import owned_job, status_of
from musetune.serve.service.jobs import REQUEST_ID, TRACE, IdempotencyError, Job, QueueFullError, StoreUnavailableError
from musetune.serve.service.problems import MEGABYTE, ProblemError, disk_full, documented
from musetune.serve.service.reading import keep_files, link_sources, media_types, read_request
from musetune.serve.service.service import JobService
from musetune.serve.service.tasks import TASKS, Task

POLL_S = 0.2  # how often a request that waits looks at its job
log: Any = structlog.get_logger("musetune.serve")


def add_submission(app: FastAPI, service: JobService) -> None:
    """POST of every task."""
    ended: dict[int | str, dict[str, Any]] = {
        200: {"model": JobStatus, "description": "the job has ended while the request waited"}
    }
    problems = documented(400, 401, 403, 408, 409, 413, 415, 422, 429, 500, 503, 507)
    for task in TASKS:
        app.post(
            task.path,
            tags=["submission"],
            operation_id=f"submit_{task.name}",
            summary=task.summary,
            status_code=202,
            response_model=JobStatus,
            responses=ended | problems,
            openapi_extra={"requestBody": _schema(task)},
        )(_endpoint(service, task))


def _endpoint(service: JobService, task: Task) -> Callable[..., Awaitable[JobStatus]]:
    async def submit_task(request: Request, response: Response, wait_seconds: float = 0) -> JobStatus:
        _check_waiting(service, request, wait_seconds)
        async with read_request(request, task, service.settings.max_body) as (body, files):
            job = await _submit(service, request, task, body, files)
        request.state.end_body()  # what came is a job's now, and its files are counted as such
        job = await _wait_for_end(service, request, job, wait_seconds)
        response.status_code = 200 if job.final else 202
        response.headers["Location"] = f"/v1/jobs/{job.id}"
        return await run_in_threadpool(status_of, service, job)

    submit_task.__doc__ = (task.body.__doc__ or "").partition("\n\n    Example:")[0]
    return submit_task


def _schema(task: Task) -> dict[str, Any]:
    """OpenAPI's request body of a task, with its examples."""
    schema = task.body.model_json_schema()
    examples = {str(number): {"value": value} for number, value in enumerate(schema.get("examples", ()), start=1)}
    files = {name: {"type": "string", "format": "binary", "description": " ".join(suffixes)}
             for name, suffixes in task.files.items()}  # fmt: skip
    text = {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}
    form = {"type": "object", "properties": {"request": text} | files, "required": list(task.required)}
    content = {
        "application/json": {"schema": schema, "examples": examples},
        "multipart/form-data": {
            "schema": form,
            "examples": {"1": {"value": {"request": schema.get("examples", [{}])[-1]}}},
        },
    }
    return {"required": True, "content": {kind: content[kind] for kind in media_types(task)}}


async def _submit(
    service: JobService,
    request: Request,
    task: Task,
    body: BaseModel,
    files: Mapping[str, UploadFile],
) -> Job:
    """Check a request and put its job into the queue."""
    try:
        cost = await run_in_threadpool(task.check, body, set(files), service.settings.max_seconds)
        await run_in_threadpool(_check_adapters, service, body)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        text = f"lead_sheet has no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise ProblemError(422, "invalid-request", text) from error
    await run_in_threadpool(_check_disk, service)
    job_id = secrets.token_hex(16)
    keep = False
    try:
        asked: dict[str, Any] = {"task": task.name, "body": body.model_dump(mode="json", exclude_defaults=True)}
        asked[REQUEST_ID] = request.state.request_id
        await run_in_threadpool(link_sources, service, body, request.state.owner, job_id)
        asked |= await keep_files(service, files, task, job_id)
        if (key := await run_in_threadpool(batch_key, task.name, body, files)) is not None:
            asked["batch"] = key
        if service.tracing is not None:
            asked[TRACE] = service.tracing.context()
        job, new = await run_in_threadpool(_put, service, request, task, asked, cost, job_id)
        keep = new
    except ProblemError as error:
        keep = isinstance(error.__cause__, StoreUnavailableError)  # it may be in the queue: the sweep will know
        raise
    finally:
        if not keep:
            service.uploads.remove(job_id)
    log.info("job submitted", job=job.id, task=task.name, new=new)
    return job


async def _wait_for_end(service: JobService, request: Request, job: Job, seconds: float) -> Job:
    """A job when it has ended, or as it is after so many seconds, or when the service stops and leaves it."""
    until = time.monotonic() + seconds
    while not (job.final or service.leaves(job) or time.monotonic() > until or await request.is_disconnected()):
        await asyncio.sleep(POLL_S)
        job = await run_in_threadpool(owned_job, service, request, job.id)
    return job


def _check_waiting(service: JobService, request: Request, wait_seconds: float) -> None:
    """Raise ProblemError for a wait or an idempotency key out of range."""
    if not 0 <= wait_seconds <= service.settings.max_wait:
        text = f"wait_seconds={wait_seconds:g} is outside 0–{service.settings.max_wait:g}"
        raise ProblemError(422, "invalid-request", text)
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= 200:
        raise ProblemError(400, "idempotency", "Idempotency-Key takes 1 to 200 characters")


def _check_adapters(service: JobService, body: BaseModel) -> None:
    """Raise ValueError for a genre adapter that the workers say there is not; what they have not said yet the job says.

    A worker of a cluster holds those alone that its requests named: what there are is what the workers began with.
    """
    asked = getattr(body, "adapters", None)
    if asked and (notice := service.loaded()) is not None:
        names = {one["name"] for one in notice["adapters"] if one["kind"] == "lora"}
        if unknown := sorted(set(asked) - names):
            raise no_such_adapter(unknown[0], names)


def _check_disk(service: JobService) -> None:
    """Raise ProblemError where the disk has less left than is to stay free."""
    free, least = shutil.disk_usage(service.settings.folder).free, service.settings.min_free
    if free < least:
        service.metrics.rejected.labels("disk").inc()
        text = (
            f"the service's disk has {free // MEGABYTE} MB left, and {least // MEGABYTE} MB are to stay free: ask "
            "again later"
        )
        raise ProblemError(507, "disk-full", text, {"Retry-After": "60"})


def _put(
    service: JobService, request: Request, task: Task, asked: dict[str, Any], cost: float, job_id: str
) -> tuple[Job, bool]:
    """The job in the queue, and whether it is new. Raises ProblemError."""
    if service.draining:
        raise ProblemError(503, "not-ready", "the service stops: ask again later", {"Retry-After": "30"})
    key = request.headers.get("idempotency-key")
    try:
        return service.store.submit(
            task.kind, asked, owner=request.state.owner, cost=cost, idempotency_key=key, job_id=job_id
        )
    except QueueFullError as error:
        service.metrics.rejected.labels("queue").inc()
        raise ProblemError(429, "queue-full", str(error), {"Retry-After": str(error.retry_after)}) from error
    except IdempotencyError as error:
        raise ProblemError(409, "idempotency", str(error)) from error
    except StoreUnavailableError as error:
        raise disk_full(error) from error
    except ValueError as error:  # a number that is not finite, deep in a lead sheet
        raise ProblemError(422, "invalid-request", str(error)) from error
