"""A job's events as server-sent events: its place in the queue while it waits, then what happens to it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from musetune.client.wire import JobUpdate
from musetune.serve.service.job_status import seconds_left
from musetune.serve.service.jobs import Job, JobEvent
from musetune.serve.service.service import JobService

POLL_S = 0.2  # how often an open stream looks at its job
ALIVE_S = 15.0  # between two signs of life


async def stream_events(service: JobService, request: Request, job_id: str, after: int) -> AsyncIterator[str]:
    """The events of a job in the format of server-sent events.

    Args:
        service: Whose job it is.
        request: The client's; the stream ends where it is gone.
        job_id: The job.
        after: The number of the last event that the client knows.
    """
    told, place = time.monotonic(), -1
    while not await request.is_disconnected():
        job, updates = await run_in_threadpool(_news, service, job_id, after, place)
        for update in updates:
            told = time.monotonic()
            if update.kind == "queue":
                place = update.data["position"]
            else:
                after = update.number
            yield event_lines(None if update.kind == "queue" else update.number, update.model_dump())
        if job is None or job.final or service.leaves(job):
            return
        if time.monotonic() - told > ALIVE_S:
            told = time.monotonic()
            yield ": waiting\n\n"
        await asyncio.sleep(POLL_S)


def event_lines(number: int | None, update: Mapping[str, Any]) -> str:
    """The lines of one event.

    Example:
        >>> print(event_lines(3, {"kind": "running"}), end="")
        id: 3
        event: running
        data: {"kind": "running"}
        <BLANKLINE>
    """
    first = "" if number is None else f"id: {number}\n"
    return f"{first}event: {update['kind']}\ndata: {json.dumps(update)}\n\n"


def _news(service: JobService, job_id: str, after: int, place: int) -> tuple[Job | None, list[JobUpdate]]:
    """A job, and what is new of it since an event and a place in the queue."""
    job = service.store.get(job_id)  # before its events: none of a job that has ended is missed
    updates = [_update(service, job, event) for event in service.store.events(job_id, after)]
    if job is not None and job.state == "queued" and (position := service.store.position(job)) != place:
        data = {"position": position, "seconds_left": seconds_left(service, job)}
        number = updates[-1].number if updates else after
        updates.append(JobUpdate(number=number, at=service.store.now(), kind="queue", data=data))
    return job, updates


def _update(service: JobService, job: Job | None, event: JobEvent) -> JobUpdate:
    """An event as the client sees it: with the address of a preview, and with the seconds left where it is fresh."""
    data, kind = dict(event.data), event.kind
    if "preview" in data:
        data["preview"], kind = f"/v1/jobs/{job.id if job else ''}/previews/{data['step']}", "preview"
    if kind in ("progress", "preview") and job is not None and job.state == "running":
        data["seconds_left"] = seconds_left(service, job)
    return JobUpdate(number=event.number, at=event.at, kind=kind, data=data)
