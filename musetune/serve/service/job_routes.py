"""What is asked of a job: where it is, what happens to it, what it made; and that it be cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from musetune.client.wire import UPDATE_EXAMPLE, JobStatus
from musetune.serve.service.job_status import INNER, owned_job, status_of
from musetune.serve.service.jobs import Job
from musetune.serve.service.problems import ProblemError, documented
from musetune.serve.service.results import AUDIO_FORMATS
from musetune.serve.service.service import JobService
from musetune.serve.service.streams import event_lines, stream_events
from musetune.serve.service.worker import result_folder

MEDIA_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".json": "application/json",
    ".jams": "application/json",
    ".mid": "audio/midi",
    ".musicxml": "application/vnd.recordare.musicxml+xml",
    ".txt": "text/plain; charset=utf-8",
    ".zip": "application/zip",
}
KINDS = (
    "audio",
    "report",
    "chart",
    "midi",
    "musicxml",
    "jams",
    "plan",
    "stems",
    "loops",
    "record",
    "labels",
)
SENT = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in sorted(set(MEDIA_TYPES.values()))}
FILE_HEADERS = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}


def add_jobs(app: FastAPI, service: JobService) -> None:
    """GET and DELETE of jobs, GET of their events, previews and files."""
    problems = documented(401, 403, 404, 409, 422, 429)
    example: dict[int | str, dict[str, Any]] = {
        200: {
            "description": "events",
            "content": {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "examples": {"1": {"value": event_lines(5, UPDATE_EXAMPLE)}},
                }
            },
        }
    }
    sent: dict[int | str, dict[str, Any]] = {
        200: {"description": "the file", "content": SENT},
        206: {"description": "the range of it that was asked for"},
    }
    files = sent | documented(400, 416)

    @app.get("/v1/jobs/{job_id}", tags=["jobs"], response_model=JobStatus, responses=problems)
    def job(request: Request, job_id: str) -> JobStatus:
        """Where a job is on its way: state, place in the queue, progress, seconds left, files."""
        return status_of(service, owned_job(service, request, job_id))

    @app.delete("/v1/jobs/{job_id}", tags=["jobs"], response_model=JobStatus, responses=problems)
    def cancel(request: Request, job_id: str) -> JobStatus:
        """Cancel a job: at once where it waits, between two denoising steps where it runs."""
        owned_job(service, request, job_id)
        service.store.cancel(job_id)
        return status_of(service, owned_job(service, request, job_id))

    @app.get(
        "/v1/jobs/{job_id}/events",
        tags=["jobs"],
        response_class=StreamingResponse,
        responses=example | problems,
    )
    async def events(request: Request, job_id: str) -> StreamingResponse:
        """A job's events as server-sent events, from `Last-Event-ID` on, until it ends: its place in the queue, its
        steps with the seconds left, addresses of previews.
        """
        await run_in_threadpool(owned_job, service, request, job_id)
        last = request.headers.get("last-event-id", "0")
        stream = stream_events(service, request, job_id, int(last) if last.isdecimal() and len(last) < 18 else 0)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    @app.head("/v1/jobs/{job_id}/previews/{step}", include_in_schema=False)
    @app.get(
        "/v1/jobs/{job_id}/previews/{step}", tags=["jobs"], response_class=FileResponse, responses=files | problems
    )
    def preview(request: Request, job_id: str, step: int) -> FileResponse:
        """What a running job was going to be after a step: its beginning as a short OGG, as its events announce it."""
        found = owned_job(service, request, job_id)
        paths = [event.data["preview"] for event in service.store.events(job_id) if event.data.get("step") == step
                 and "preview" in event.data]  # fmt: skip
        if not paths:
            raise ProblemError(404, "no-such-file", f"job {job_id} has no preview of step {step}")
        return _send(service, found, paths[-1])

    @app.head("/v1/jobs/{job_id}/{kind}", include_in_schema=False)
    @app.get("/v1/jobs/{job_id}/{kind}", tags=["jobs"], response_class=FileResponse, responses=files | problems)
    def file(request: Request, job_id: str, kind: str, format: str = "wav") -> FileResponse:
        """A file that a job made: audio (format=wav, flac, mp3 or ogg), report, chart, midi, musicxml, jams, plan,
        stems, loops, record or labels. Ranges are served.
        """
        found = owned_job(service, request, job_id)
        if kind not in KINDS:
            raise ProblemError(404, "no-such-file", f"{kind[:40]!r} is none of {', '.join(KINDS)}")
        if kind == "audio" and format not in AUDIO_FORMATS:
            text = f"format={format[:20]!r} is not one of {', '.join(AUDIO_FORMATS)}"
            raise ProblemError(422, "invalid-request", text)
        if found.state != "succeeded":
            text = f"job {job_id} is {found.state}: it has files once it has succeeded"
            raise ProblemError(409, "not-done", text)
        name = f"audio.{format}" if kind == "audio" else kind
        made: Mapping[str, str] = (found.result or {})["files"]
        if name not in made:
            have = ", ".join(sorted({one.partition(".")[0] for one in made if one not in INNER}))
            raise ProblemError(404, "no-such-file", f"job {job_id} made no {kind}; it made {have}")
        return _send(service, found, made[name])


def _send(service: JobService, job: Job, path: str) -> FileResponse:
    """A file below a job's results. Raises ProblemError where it is gone."""
    place = result_folder(service.settings.folder, job.id) / path
    if not place.is_file():
        raise ProblemError(404, "no-such-file", f"the files of job {job.id} are not kept any more")
    media = MEDIA_TYPES[place.suffix]
    return RangedFile(place, media_type=media, filename=f"musetune-{job.id[:8]}-{place.name}", headers=FILE_HEADERS)


class RangedFile(FileResponse):
    """A file or a range of it; a range that it has not is refused with a problem, as all else is."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it. Raises ProblemError."""

        async def send_or_refuse(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (400, 416):
                asked = Headers(scope=scope).get("range", "")[:80]
                size = Path(self.path).stat().st_size
                text = f"Range {asked!r}: the file has {size} bytes; ask for some of them, such as bytes=0-{size - 1}"
                raise ProblemError(message["status"], "range", text, {"Content-Range": f"bytes */{size}"})
            await send(message)

        await super().__call__(scope, receive, send_or_refuse)
