"""Requests as httpx sends them and answers as it gets them: what both clients share."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
from pydantic import BaseModel, ValidationError

from musetune.client.bodies import (
    AnalysisBody,
    ArrangementBody,
    CoverBody,
    ExtendBody,
    GenerationBody,
    LoopBody,
    PlanBody,
    RepaintBody,
    VaryBody,
)
from musetune.client.wire import JobStatus, JobUpdate, Problem

TIMEOUT_S = 60.0
PATIENCE_S = 60.0  # how long a service that restarts is looked for
FINAL = ("succeeded", "failed", "cancelled")  # kinds of events after which none comes
POLL_S = 0.5  # 120 requests a minute, of the 300 that a key has by default
PASSING = ("rate", "busy")  # refusals after which asking again helps
BODIES: dict[str, type[BaseModel]] = {
    "/v1/generations": GenerationBody,
    "/v1/repaints": RepaintBody,
    "/v1/extensions": ExtendBody,
    "/v1/variations": VaryBody,
    "/v1/covers": CoverBody,
    "/v1/loops": LoopBody,
    "/v1/plans": PlanBody,
    "/v1/arrangements": ArrangementBody,
    "/v1/analyses": AnalysisBody,
}
FilePath = str | Path | None


class ServiceError(Exception):
    """The service refused a request, or a job failed.

    Attributes:
        problem: What went wrong, as the service says it.
        retry_after: Seconds after which to ask again; None where that does not help.
    """

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(problem.detail)
        self.problem, self.retry_after = problem, retry_after


def authorization(api_key: str | None) -> dict[str, str]:
    """The header of a key."""
    return {"Authorization": f"Bearer {api_key}"} if api_key else {}


def submission(
    path: str,
    fields: Mapping[str, Any],
    files: Mapping[str, FilePath],
    idempotency_key: str | None = None,
    wait_seconds: float = 0,
) -> dict[str, Any]:
    """Arguments of `httpx.Client.request` that submit a job.

    Args:
        path: Where to, one of BODIES.
        fields: Of its body; checked here, before anything is sent.
        files: Parts that are files, None where there is none.
        idempotency_key: The same key again gives the same job.
        wait_seconds: Let the service answer once the job has ended, or after so long.

    Raises:
        pydantic.ValidationError: A field is unknown or out of range.
    """
    values = BODIES[path](**fields).model_dump(mode="json", exclude_defaults=True)
    common: dict[str, Any] = {
        "method": "POST",
        "url": path,
        "headers": {"Idempotency-Key": idempotency_key} if idempotency_key else {},
        "params": {"wait_seconds": wait_seconds} if wait_seconds else {},
    }
    given = {name: Path(file) for name, file in files.items() if file is not None}
    if not given:
        return common | {"json": values}
    parts = {name: (file.name, file.read_bytes()) for name, file in given.items()}
    return common | {"data": {"request": json.dumps(values)}, "files": parts}


def edit_files(audio: FilePath, sheet: FilePath, notes: FilePath, style: FilePath) -> dict[str, FilePath]:
    """The files of an edit by the names of their parts: recording, lead sheet, notes, a clip whose sound is meant."""
    return {"audio": audio, "lead_sheet": sheet, "arrangement": notes, "style_audio": style}


def file_request(job_id: str, kind: str, format: str | None) -> dict[str, Any]:
    """Arguments of `httpx.Client.request` that fetch a file of a job."""
    return {"method": "GET", "url": f"/v1/jobs/{job_id}/{kind}", "params": {} if format is None else {"format": format}}


def check(response: httpx.Response) -> httpx.Response:
    """Return a response that is none of a failure. Raises ServiceError."""
    if response.is_success:
        return response
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        text = response.text[:500] or response.reason_phrase
        problem = Problem(title=response.reason_phrase, status=response.status_code, detail=text, code="http")
    after = response.headers.get("retry-after", "")
    raise ServiceError(problem, float(after) if after.isdecimal() else None)


def job_of(response: httpx.Response) -> JobStatus:
    """The job that a response tells of. Raises ServiceError."""
    return JobStatus.model_validate_json(check(response).content)


def success_of(job: JobStatus) -> JobStatus:
    """Return a job that succeeded. Raises ServiceError for one that did not."""
    if job.state == "succeeded":
        return job
    if job.error is not None:
        raise ServiceError(job.error)
    raise ServiceError(Problem(title="Cancelled", status=409, detail=f"job {job.id} was cancelled", code="cancelled"))


def waited_too_long(job_id: str, seconds: float) -> TimeoutError:
    """What is raised where a job has not ended in time."""
    return TimeoutError(f"job {job_id} has not ended after {seconds:g} s; wait longer, or cancel it")


def pause_after(error: ServiceError) -> float:
    """Seconds after which to ask for a job again. Raises the error where asking again does not help."""
    if error.problem.code not in PASSING:
        raise error
    return error.retry_after or POLL_S


class EventPlace:
    """Where a client is in a job's events: a connection that breaks, or that the service closes because it stops, is
    followed by another that goes on behind the last event.

    Args:
        after: The number of the last event that is known already.
    """

    def __init__(self, after: int = 0) -> None:
        self.after, self.ended = after, False
        self._lines = EventLines()
        self._final = False  # whether the job had ended before the present connection
        self._broken_since: float | None = None

    def headers(self) -> dict[str, str]:
        """Headers of the next connection."""
        self._lines = EventLines()
        return {"Last-Event-ID": str(self.after)}

    def update(self, line: str) -> JobUpdate | None:
        """The update that ends with a line; None where none does."""
        update = self._lines.update(line)
        if update is not None:
            self._broken_since, self.after = None, max(self.after, update.number)
            self.ended = update.kind in FINAL
        return update

    def pause_before_next(self, final: bool) -> float:
        """Seconds until the next connection, the last one having ended in order.

        Args:
            final: Whether the job has ended.
        """
        self.ended = self.ended or self._final  # nothing came of a job that had ended before: all is known
        self._final = final
        return 0.0 if final or self.ended else POLL_S

    def pause_after(self, error: httpx.TransportError | ServiceError) -> float:
        """Seconds until the next connection, the last one having broken. Raises the error where that is long ago."""
        if isinstance(error, ServiceError):
            return pause_after(error)
        now = time.monotonic()
        self._broken_since = self._broken_since or now
        if now - self._broken_since > PATIENCE_S:
            raise error
        return POLL_S


class EventLines:
    """Puts the lines of a stream of server-sent events together."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def update(self, line: str) -> JobUpdate | None:
        """The update that ends with this line; None in the midst of one, and after a comment."""
        if line:
            self._lines.append(line)
            return None
        data = [one.removeprefix("data:").strip() for one in self._lines if one.startswith("data:")]
        self._lines = []
        return JobUpdate.model_validate_json("\n".join(data)) if data else None
