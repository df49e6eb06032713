"""The HTTP application: /v1 over a `JobService`. No path from a request ever reaches the file system."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from musetune.analysis.service.batch import AUDIO
from musetune.client.wire import AnalysisBody, GenerationBody, JobProgress, JobStatus, JobUpdate, Problem
from musetune.formats.files import SUFFIXES
from musetune.serve.guard import Guard
from musetune.serve.service.access import ApiKeys, BodyTooLargeError, RateLimit, SlowClientError, bounded
from musetune.serve.service.analysis import SONG_STEM
from musetune.serve.service.generation import AUDIO_FORMATS, SHEET_STEM, check_generation
from musetune.serve.service.jobs import TRACE, IdempotencyError, Job, QueueFullError, StoreUnavailableError
from musetune.serve.service.service import JobService
from musetune.serve.service.tracing import TraceRequests
from musetune.serve.service.worker import result_folder, upload_folder

Body = TypeVar("Body", bound=BaseModel)
OPEN = ("/healthz", "/readyz", "/metrics")  # without a key
POLL_S = 0.2  # how often an open stream of events, or a request that waits, looks at its job
ALIVE_S = 15.0  # between two signs of life in a stream of events
CHUNK = 2**20
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
KINDS = ("audio", "report", "chart", "midi", "musicxml", "jams", "plan", "stems", "record", "labels")
TITLES = {
    400: "Bad request",
    401: "No valid key",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported media type",
    422: "Invalid request",
    429: "Too many requests",
    500: "Fault of the service",
    503: "Not ready",
    504: "Too slow",
    507: "Insufficient storage",
}
DESCRIPTION = """Music that follows chords. Submit a job, watch it, fetch what it made.

Errors are problem details (RFC 9457) whose `detail` says what to change."""
log: Any = structlog.get_logger("musetune.serve")


class ProblemError(Exception):
    """A request that cannot be served, and what the answer says of it."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.headers = status, code, detail, dict(headers or {})


def build_app(service: JobService, keys: ApiKeys, host: str = "127.0.0.1") -> FastAPI:
    """The application over a service, which it starts and stops.

    Args:
        service: The service.
        keys: Who may use it.
        host: The address that it is served on, which is one of the names that it answers to.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(service.start)
        yield
        await run_in_threadpool(service.stop)

    app = FastAPI(
        title="MuseTune", version="1", description=DESCRIPTION, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.add_middleware(Gate, service=service, keys=keys, host=host)
    if service.tracing is not None:
        app.add_middleware(TraceRequests, tracing=service.tracing)
    _add_problems(app)
    _add_state(app, service)
    _add_submission(app, service)
    _add_jobs(app, service)
    return app


class Gate:
    """ASGI middleware before everything else: the request's id, its key, its rate, the size and pace of its body, and
    that no other site's page sends it.

    Args:
        app: What answers where nothing is wrong.
        service: Whose settings and metrics count.
        keys: Who may use it.
        host: The address that it is served on.
    """

    def __init__(self, app: ASGIApp, service: JobService, keys: ApiKeys, host: str) -> None:
        self.app, self.service, self.keys = app, service, keys
        self.rate = RateLimit(service.settings.rate)
        self.guard = Guard(app, [host, *service.settings.allow_hosts])  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass the request on; log and count it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status, started = time.perf_counter(), 500, False
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        request_id = headers.get("x-request-id", "")
        if not re.fullmatch(r"[\w.-]{8,64}", request_id):
            request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        structlog.contextvars.bind_contextvars(request_id=request_id)

        async def send_with_id(message: Any) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                status, started = message["status"], True
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
                route = getattr(scope.get("route"), "path", "none")
                self.service.metrics.latency.labels(route).observe(time.perf_counter() - began)
                self.service.metrics.requests.labels(scope["method"], route, str(status)).inc()
            await send(message)

        try:
            large = scope["path"] == "/v1/analyses"
            limit = self.service.settings.max_upload if large else self.service.settings.max_body
            self._check(scope, headers, limit)
            await self.app(scope, bounded(receive, limit), send_with_id)
        except (ProblemError, BodyTooLargeError, SlowClientError) as error:
            if not started:
                problem = error if isinstance(error, ProblemError) else _body_problem(error, limit)
                await _answer(problem, request_id, scope["path"])(scope, receive, send_with_id)
        except Exception:
            log.exception("request failed", method=scope["method"], path=scope["path"])
            if not started:
                problem = ProblemError(500, "internal", "a fault of the service, which its log says more about")
                await _answer(problem, request_id, scope["path"])(scope, receive, send_with_id)
        finally:
            seconds = round(time.perf_counter() - began, 4)
            log.info("request", method=scope["method"], path=scope["path"], status=status, seconds=seconds)
            structlog.contextvars.clear_contextvars()

    def _check(self, scope: Scope, headers: dict[str, str], limit: int) -> None:
        """Raise ProblemError for a request that is not to be answered."""
        if (problem := self.guard.stranger(headers, scope["method"])) is not None:
            raise ProblemError(403, "forbidden", problem.replace("musetune ui", "musetune serve"))
        if scope["path"] in OPEN:
            return
        owner = self.keys.owner(headers.get("authorization"))
        if owner is None:
            text = "give a key: Authorization: Bearer KEY"
            raise ProblemError(401, "unauthorized", text, {"WWW-Authenticate": "Bearer"})
        scope["state"]["owner"] = owner
        if seconds := self.rate.seconds_to_wait(owner):
            self.service.metrics.rejected.labels("rate").inc()
            text = f"more than {self.service.settings.rate} of this key: ask again in {seconds} s"
            raise ProblemError(429, "rate", text, {"Retry-After": str(seconds)})
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            raise _body_problem(BodyTooLargeError(), limit)


def _body_problem(error: Exception, limit: int) -> ProblemError:
    if isinstance(error, SlowClientError):
        return ProblemError(408, "slow", "the body comes too slowly: send it again", {"Connection": "close"})
    text = f"the body is longer than {limit / CHUNK:g} MB, which is the most that is taken here"
    return ProblemError(413, "too-large", text, {"Connection": "close"})


def _answer(problem: ProblemError, request_id: str | None, path: str, errors: Any = None) -> JSONResponse:
    """A problem as the answer of HTTP."""
    body = Problem(
        title=TITLES.get(problem.status, "Error"),
        status=problem.status,
        detail=problem.detail,
        code=problem.code,
        instance=path,
        request_id=request_id,
    ).model_dump()
    content = body if errors is None else body | {"errors": errors}
    return JSONResponse(content, problem.status, problem.headers, media_type="application/problem+json")


def _add_problems(app: FastAPI) -> None:
    """Answer every error as a problem."""

    def answer(request: Request, problem: ProblemError, errors: Any = None) -> JSONResponse:
        return _answer(problem, request.state.request_id, request.url.path, errors)

    @app.exception_handler(ProblemError)
    async def on_problem(request: Request, error: ProblemError) -> JSONResponse:
        return answer(request, error)

    @app.exception_handler(StoreUnavailableError)
    async def on_unavailable(request: Request, error: StoreUnavailableError) -> JSONResponse:
        return answer(request, _full(error))

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        detail, errors = _explain(error.errors())
        return answer(request, ProblemError(422, "invalid-request", detail), errors)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "no-such-path", 405: "method"}.get(error.status_code, "http")
        detail = f"{request.method} {request.url.path[:200]}: {error.detail}"
        return answer(request, ProblemError(error.status_code, code, detail, error.headers))


def _explain(errors: Any) -> tuple[str, list[dict[str, str]]]:
    """What a validation found, as a sentence and as a list."""
    rows = [
        {"field": ".".join(str(part) for part in row["loc"] if part not in ("body", "query")), "message": row["msg"]}
        for row in errors
    ]
    return "; ".join(f"{row['field'] or 'the request'}: {row['message']}" for row in rows[:5]), rows


# -- state


def _add_state(app: FastAPI, service: JobService) -> None:
    """Health, readiness, metrics, adapters and models."""

    @app.get("/healthz", tags=["state"])
    async def healthz() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["state"], responses={503: {"model": Problem}})
    def readyz() -> dict[str, str]:
        """Whether the models are loaded and jobs are taken."""
        if not service.ready:
            raise ProblemError(503, "not-ready", "the service stops" if service.draining else "the models are loading")
        return {"status": "ready"}

    @app.get("/metrics", tags=["state"], response_class=Response)
    def metrics() -> Response:
        """Metrics in Prometheus's text format."""
        return Response(service.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/v1/adapters", tags=["models"])
    def adapters() -> dict[str, Any]:
        """Adapters that are loaded; genre adapters ("lora") can be named in a request."""
        return {"adapters": _loaded(service)["adapters"]}

    @app.get("/v1/models", tags=["models"])
    def models() -> dict[str, Any]:
        """The models that generate."""
        return {"models": [_loaded(service)["model"]]}


def _loaded(service: JobService) -> dict[str, Any]:
    notice = service.loaded()
    if notice is None:
        raise ProblemError(503, "not-ready", "the models are loading", {"Retry-After": "5"})
    return notice


# -- submission


def _multipart(model: str, file: str, required: bool) -> dict[str, Any]:
    return {
        "schema": {
            "type": "object",
            "properties": {
                "request": {"type": "string", "contentMediaType": "application/json", "description": model},
                file: {"type": "string", "format": "binary"},
            },
            "required": [file] if required else ["request"],
        }
    }


def _add_submission(app: FastAPI, service: JobService) -> None:
    """POST of generations and analyses."""
    problems: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem} for status in (400, 401, 409, 413, 415, 422, 429, 507)
    }
    settings = service.settings
    ended: dict[int | str, dict[str, Any]] = {
        200: {"model": JobStatus, "description": "the job has ended while the request waited"}
    }
    generation_schema = {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": GenerationBody.model_json_schema()},
                "multipart/form-data": _multipart("a GenerationBody", "lead_sheet", False),
            },
        }
    }
    analysis_schema = {
        "requestBody": {
            "required": True,
            "content": {"multipart/form-data": _multipart("an AnalysisBody", "file", True)},
        }
    }

    @app.post(
        "/v1/generations",
        tags=["jobs"],
        status_code=202,
        response_model=JobStatus,
        responses=ended | problems,
        openapi_extra=generation_schema,
    )
    async def generate(request: Request, response: Response, wait_seconds: float = 0) -> JobStatus:
        """Submit a clip to generate, as JSON, or as multipart with a lead sheet's file (`lead_sheet`)."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            body, upload = _parse(GenerationBody, await request.body()), None
            return await _submit_generation(service, request, response, body, upload, wait_seconds)
        if kind != "multipart/form-data":
            text = f"Content-Type {kind[:80]!r}: send application/json or multipart/form-data"
            raise ProblemError(415, "media-type", text)
        async with request.form(max_files=1, max_fields=2, max_part_size=settings.max_body) as form:
            body, upload = _parse(GenerationBody, _text(form, "request")), _upload(form, "lead_sheet")
            return await _submit_generation(service, request, response, body, upload, wait_seconds)

    @app.post(
        "/v1/analyses",
        tags=["jobs"],
        status_code=202,
        response_model=JobStatus,
        responses=ended | problems,
        openapi_extra=analysis_schema,
    )
    async def analyse(request: Request, response: Response, wait_seconds: float = 0) -> JobStatus:
        """Upload a song (`file`) to analyse: audio, MIDI, MusicXML or a lead sheet."""
        if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
            raise ProblemError(415, "media-type", "send multipart/form-data with the song as file=")
        async with request.form(max_files=1, max_fields=2, max_part_size=settings.max_body) as form:
            body = _parse(AnalysisBody, _text(form, "request") or b"{}")
            upload = _upload(form, "file")
            if upload is None:
                raise ProblemError(422, "invalid-request", "file: the song is missing")
            job_id = secrets.token_hex(16)
            suffix = _suffix(upload, (*AUDIO, *SUFFIXES))
            digest = await _keep(service, upload, job_id, f"{SONG_STEM}{suffix}")
            asked = {
                "body": body.model_dump(mode="json"),
                "filename": Path(upload.filename or "song").name[:200],
                "sha256": digest,
            }
            return await _submit(service, request, response, "analysis", asked, 1.0, job_id, wait_seconds)


async def _submit_generation(
    service: JobService,
    request: Request,
    response: Response,
    body: GenerationBody,
    upload: UploadFile | None,
    wait_seconds: float,
) -> JobStatus:
    """Check a generation and put it into the queue."""
    try:
        seconds = service.settings.max_seconds
        cost = await run_in_threadpool(check_generation, body, upload is not None, seconds)
    except (ValueError, TypeError, KeyError) as error:
        text = f"lead_sheet has no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise ProblemError(422, "invalid-request", text) from error
    asked: dict[str, Any] = {"body": body.model_dump(mode="json", exclude_defaults=True)}
    job_id = secrets.token_hex(16)
    if upload is not None:
        asked["sha256"] = await _keep(service, upload, job_id, f"{SHEET_STEM}{_suffix(upload, SUFFIXES)}")
    return await _submit(service, request, response, "generation", asked, cost, job_id, wait_seconds)


def _parse(model: type[Body], text: bytes) -> Body:
    """A body of a model. Raises ProblemError that names the fields."""
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        detail, _ = _explain(error.errors(include_url=False))
        raise ProblemError(422, "invalid-request", detail) from error


def _text(form: FormData, name: str) -> bytes:
    value = form.get(name, "")
    if not isinstance(value, str):
        raise ProblemError(422, "invalid-request", f"{name}: a text, not a file")
    return value.encode()


def _upload(form: FormData, name: str) -> UploadFile | None:
    value = form.get(name)
    if isinstance(value, str):
        raise ProblemError(422, "invalid-request", f"{name}: a file with a name, not a text")
    return value


def _suffix(upload: UploadFile, known: tuple[str, ...]) -> str:
    """The suffix of an upload's name, one of those known: all that its name decides."""
    suffix = Path(upload.filename or "").suffix.lower()
    if suffix not in known:
        text = f"the file's name ends in {suffix[:20]!r}; it takes {' '.join(dict.fromkeys(known))}"
        raise ProblemError(415, "media-type", text)
    return suffix


async def _keep(service: JobService, upload: UploadFile, job_id: str, name: str) -> str:
    """Write an upload into the job's folder; its SHA-256."""
    place, digest = upload_folder(service.settings.folder, job_id), hashlib.sha256()
    try:
        await run_in_threadpool(place.mkdir, parents=True)
        with (place / name).open("wb") as file:
            while chunk := await upload.read(CHUNK):
                digest.update(chunk)
                await run_in_threadpool(file.write, chunk)
    except OSError as error:
        shutil.rmtree(place, ignore_errors=True)
        raise _full(error) from error
    return digest.hexdigest()


def _full(error: Exception) -> ProblemError:
    log.error("the folder or the job store cannot be written to", error=str(error))
    text = "the service's disk is full, or its job store cannot be reached: ask again later"
    return ProblemError(507, "disk-full", text, {"Retry-After": "60"})


async def _submit(
    service: JobService,
    request: Request,
    response: Response,
    kind: str,
    asked: dict[str, Any],
    cost: float,
    job_id: str,
    wait_seconds: float,
) -> JobStatus:
    """Put a job into the queue, and wait for its end where the request says so."""
    place = upload_folder(service.settings.folder, job_id)
    if not 0 <= wait_seconds <= service.settings.max_wait:
        shutil.rmtree(place, ignore_errors=True)
        text = f"wait_seconds={wait_seconds:g} is outside 0–{service.settings.max_wait:g}"
        raise ProblemError(422, "invalid-request", text)
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= 200:
        shutil.rmtree(place, ignore_errors=True)
        raise ProblemError(400, "idempotency", "Idempotency-Key takes 1 to 200 characters")

    if service.tracing is not None:
        asked = asked | {TRACE: service.tracing.context()}

    def submit() -> tuple[Job, bool]:
        if service.draining:
            raise ProblemError(503, "not-ready", "the service stops: ask again later", {"Retry-After": "30"})
        return service.store.submit(
            kind, asked, owner=request.state.owner, cost=cost, idempotency_key=key, job_id=job_id
        )

    new = False
    try:
        job, new = await run_in_threadpool(submit)
    except QueueFullError as error:
        service.metrics.rejected.labels("queue").inc()
        raise ProblemError(429, "queue-full", str(error), {"Retry-After": str(error.retry_after)}) from error
    except IdempotencyError as error:
        raise ProblemError(409, "idempotency", str(error)) from error
    except StoreUnavailableError as error:
        raise _full(error) from error
    finally:
        if not new:
            shutil.rmtree(place, ignore_errors=True)
    log.info("job submitted", job=job.id, kind=kind, new=new)
    until = time.monotonic() + wait_seconds
    while not job.final and time.monotonic() < until and not await request.is_disconnected():
        await asyncio.sleep(POLL_S)
        job = await run_in_threadpool(_owned, service, request, job.id)
    response.status_code = 200 if job.final else 202
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return await run_in_threadpool(status_of, service, job)


# -- jobs


def _owned(service: JobService, request: Request, job_id: str) -> Job:
    """The job of an id, where it is this key's. Raises ProblemError."""
    job = service.store.get(job_id)
    if job is None or job.owner != request.state.owner:
        hours = service.settings.keep_seconds / 3600
        raise ProblemError(404, "no-such-job", f"there is no job {job_id[:64]}; results are kept for {hours:g} hours")
    return job


def status_of(service: JobService, job: Job) -> JobStatus:
    """A job as its owner sees it."""
    seconds = service.store.seconds_left(job, service.workers_of(job.kind))
    result = dict(job.result or {})
    names = {name.partition(".")[0] for name in result.pop("files", {})}
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
        state=job.state,
        created=job.created,
        started=job.started,
        finished=job.finished,
        expires=None if job.finished is None else job.finished + service.settings.keep_seconds,
        attempt=job.attempt,
        position=service.store.position(job),
        seconds_left=None if seconds is None else round(seconds, 2),
        cancelling=job.cancelling,
        progress=JobProgress(**job.progress) if job.progress else None,
        files={name: f"/v1/jobs/{job.id}/{name}" for name in sorted(names)},
        result=result or None,
        error=error,
    )


def _add_jobs(app: FastAPI, service: JobService) -> None:
    """What is asked of a job."""
    problems: dict[int | str, dict[str, Any]] = {status: {"model": Problem} for status in (401, 404, 409, 422)}

    @app.get("/v1/jobs/{job_id}", tags=["jobs"], response_model=JobStatus, responses=problems)
    def job(request: Request, job_id: str) -> JobStatus:
        """Where a job is on its way: state, place in the queue, progress, seconds left, files."""
        return status_of(service, _owned(service, request, job_id))

    @app.delete("/v1/jobs/{job_id}", tags=["jobs"], response_model=JobStatus, responses=problems)
    def cancel(request: Request, job_id: str) -> JobStatus:
        """Cancel a job: at once where it waits, between two denoising steps where it runs."""
        _owned(service, request, job_id)
        service.store.cancel(job_id)
        return status_of(service, _owned(service, request, job_id))

    @app.get("/v1/jobs/{job_id}/events", tags=["jobs"], response_class=StreamingResponse, responses=problems)
    async def events(request: Request, job_id: str) -> StreamingResponse:
        """A job's events as server-sent events, from `Last-Event-ID` on, until it ends."""
        await run_in_threadpool(_owned, service, request, job_id)
        last = request.headers.get("last-event-id", "0")
        stream = _stream(service, request, job_id, int(last) if last.isdecimal() and len(last) < 18 else 0)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    @app.get("/v1/jobs/{job_id}/{kind}", tags=["jobs"], response_class=FileResponse, responses=problems)
    def file(request: Request, job_id: str, kind: str, format: str = "wav") -> FileResponse:
        """A file that a job made: audio (format=wav, flac, mp3 or ogg), report, chart, midi, musicxml, jams, plan,
        stems, record or labels. Ranges are served.
        """
        found = _owned(service, request, job_id)
        if kind not in KINDS:
            raise ProblemError(404, "no-such-file", f"{kind[:40]!r} is none of {', '.join(KINDS)}")
        if kind == "audio" and format not in AUDIO_FORMATS:
            text = f"format={format[:20]!r} is not one of {', '.join(AUDIO_FORMATS)}"
            raise ProblemError(422, "invalid-request", text)
        if found.state != "succeeded":
            text = f"job {job_id} is {found.state}: it has files once it has succeeded"
            raise ProblemError(409, "not-done", text)
        name = f"audio.{format}" if kind == "audio" else kind
        files = (found.result or {})["files"]
        if name not in files:
            have = ", ".join(sorted({name.partition(".")[0] for name in files}))
            raise ProblemError(404, "no-such-file", f"job {job_id} made no {kind}; it made {have}")
        path = result_folder(service.settings.folder, job_id) / files[name]
        if not path.is_file():
            raise ProblemError(404, "no-such-file", f"the files of job {job_id} are not kept any more")
        headers = {"Cache-Control": "private, max-age=3600", "X-Content-Type-Options": "nosniff"}
        media = MEDIA_TYPES[path.suffix]
        return FileResponse(path, media_type=media, filename=f"musetune-{job_id[:8]}-{path.name}", headers=headers)


async def _stream(service: JobService, request: Request, job_id: str, after: int) -> AsyncIterator[bytes]:
    """The events of a job in the format of server-sent events."""
    told = time.monotonic()
    while not await request.is_disconnected():
        job = await run_in_threadpool(service.store.get, job_id)
        for event in await run_in_threadpool(service.store.events, job_id, after):
            after, told = event.number, time.monotonic()
            update = JobUpdate(number=event.number, at=event.at, kind=event.kind, data=dict(event.data))
            text = json.dumps(update.model_dump())
            yield f"id: {event.number}\nevent: {event.kind}\ndata: {text}\n\n".encode()
        if job is None or job.final or service.draining:
            return
        if time.monotonic() - told > ALIVE_S:
            told = time.monotonic()
            yield b": waiting\n\n"
        await asyncio.sleep(POLL_S)
