"""What the service answers; server and client share these classes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
EXAMPLE_ID = "5f1c7f0d2a9e4b6c8d3e1f0a9b8c7d6e"
PROBLEM_EXAMPLE: dict[str, JsonValue] = {
    "type": "about:blank",
    "title": "Invalid request",
    "status": 422,
    "detail": "bpm=500 is outside 30–300; did you mean 250?",
    "code": "invalid-request",
    "instance": "/v1/generations",
    "request_id": "0f3b6c1d9a7e5542",
}
JOB_EXAMPLE: dict[str, JsonValue] = {
    "id": EXAMPLE_ID,
    "kind": "generation",
    "task": "generation",
    "state": "running",
    "created": 1767225600.0,
    "started": 1767225600.4,
    "attempt": 1,
    "position": 0,
    "seconds_left": 3.2,
    "progress": {"stage": "denoising", "step": 8, "steps": 20},
    "files": {},
}
UPDATE_EXAMPLE: dict[str, JsonValue] = {
    "number": 5,
    "at": 1767225601.9,
    "kind": "progress",
    "data": {"stage": "denoising", "step": 8, "steps": 20, "seconds_left": 3.2},
}


class JobProgress(BaseModel):
    """How far a running job is."""

    stage: str
    step: int | None = None
    steps: int | None = None


class Problem(BaseModel):
    """What went wrong, after RFC 9457: ``detail`` is the library's own message."""

    model_config = ConfigDict(json_schema_extra={"examples": [PROBLEM_EXAMPLE]})

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str
    instance: str | None = None
    request_id: str | None = None


class JobStatus(BaseModel):
    """A job: where it is on its way, and what it made.

    Attributes:
        kind: Whose workers do it: those that generate, or those that analyse.
        task: What is done.
        position: Jobs that go before it.
        seconds_left: How long it is likely to take from now on; None where nothing is known yet.
        files: Kinds of files that can be fetched, by their URL.
        result: What came out beside the files.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [JOB_EXAMPLE]})

    id: str
    kind: Literal["generation", "analysis"]
    task: str = "generation"
    state: JobState
    created: float
    started: float | None = None
    finished: float | None = None
    expires: float | None = None
    attempt: int = 0
    position: int = 0
    seconds_left: float | None = None
    cancelling: bool = False
    progress: JobProgress | None = None
    files: dict[str, str] = Field(default_factory=dict)
    result: dict[str, Any] | None = None
    error: Problem | None = None

    @property
    def final(self) -> bool:
        """Whether nothing will happen to it any more."""
        return self.state in ("succeeded", "failed", "cancelled")


class JobUpdate(BaseModel):
    """Something that happened to a job, as its stream of events tells it.

    Attributes:
        number: Counts from 1; "queue" tells where a waiting job is and bears the number of what came before it.
        kind: queued, queue, running, progress, preview, succeeded, failed or cancelled.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [UPDATE_EXAMPLE]})

    number: int
    at: float
    kind: str
    data: dict[str, Any] = Field(default_factory=dict)
