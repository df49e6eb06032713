"""Errors as problem details (RFC 9457): each answer says what went wrong and what to change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from musetune.client.wire import Problem
from musetune.serve.service.access import SlowClientError
from musetune.serve.service.jobs import StoreUnavailableError

MEGABYTE = 2**20
MEDIA_TYPE = "application/problem+json"
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
    416: "No such range",
    422: "Invalid request",
    429: "Too many requests",
    500: "Fault of the service",
    503: "Not ready",
    504: "Too slow",
    507: "Insufficient storage",
}
log: Any = structlog.get_logger("musetune.serve")
CODES = {404: "no-such-path", 405: "method"}  # of what the framework itself refuses


class ProblemError(Exception):
    """A request that cannot be served, and what the answer says of it."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.headers = status, code, detail, dict(headers or {})


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's responses of these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": TITLES[status], "content": content} for status in statuses}


def body_problem(error: Exception, limit: int) -> ProblemError:
    """What is said of a body that is too long, or comes too slowly."""
    if isinstance(error, SlowClientError):
        return ProblemError(408, "slow", "the body comes too slowly: send it again", {"Connection": "close"})
    text = f"the body is longer than {limit / MEGABYTE:g} MB, which is the most that is taken here"
    return ProblemError(413, "too-large", text, {"Connection": "close"})


def disk_full(error: Exception) -> ProblemError:
    """What is said where nothing can be written."""
    log.error("the folder or the job store cannot be written to", error=str(error))
    text = "the service's disk is full, or its job store cannot be reached: ask again later"
    return ProblemError(507, "disk-full", text, {"Retry-After": "60"})


def answer(problem: ProblemError, request_id: str | None, path: str, errors: Any = None) -> JSONResponse:
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
    return JSONResponse(content, problem.status, problem.headers, media_type=MEDIA_TYPE)


def add_problems(app: FastAPI) -> None:
    """Answer every error as a problem, the framework's own included."""

    def reply(request: Request, problem: ProblemError, errors: Any = None) -> JSONResponse:
        return answer(problem, request.state.request_id, request.url.path, errors)

    @app.exception_handler(ProblemError)
    async def on_problem(request: Request, error: ProblemError) -> JSONResponse:
        return reply(request, error)

    @app.exception_handler(StoreUnavailableError)
    async def on_unavailable(request: Request, error: StoreUnavailableError) -> JSONResponse:
        return reply(request, disk_full(error))

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        detail, errors = explain(error.errors())
        return reply(request, ProblemError(422, "invalid-request", detail), errors)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        detail = f"{request.method} {request.url.path[:200]}: {error.detail}"
        problem = ProblemError(error.status_code, CODES.get(error.status_code, "http"), detail, error.headers)
        return reply(request, problem)


def explain(errors: Any) -> tuple[str, list[dict[str, str]]]:
    """What a validation found, as a sentence and as a list."""
    rows = [
        {"field": ".".join(str(part) for part in row["loc"] if part not in ("body", "query")), "message": row["msg"]}
        for row in errors
    ]
    return "; ".join(f"{row['field'] or 'the request'}: {row['message']}" for row in rows[:5]), rows
