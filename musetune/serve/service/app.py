"""The HTTP application: /v1 over a `JobService`. No path from a request ever reaches the file system."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool

from musetune.client.wire import Problem
from musetune.serve.service.access import ApiKeys
from musetune.serve.service.gate import Gate
from musetune.serve.service.job_routes import add_jobs
from musetune.serve.service.problems import add_problems
from musetune.serve.service.service import JobService
from musetune.serve.service.state_routes import add_state
from musetune.serve.service.submission import add_submission
from musetune.serve.service.tracing import TraceRequests

DESCRIPTION = """Music that follows chords. Submit a job, watch it, fetch what it made.

Errors are problem details (RFC 9457) whose `detail` says what to change."""


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
    if service.settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=service.settings.cors_origins,
            allow_methods=("GET", "HEAD", "POST", "DELETE"),
            allow_headers=("Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Request-ID"),
            expose_headers=("Location", "Retry-After", "X-Request-ID", "Content-Range", "Content-Disposition"),
        )
    if service.tracing is not None:
        app.add_middleware(TraceRequests, tracing=service.tracing)
    add_problems(app)
    add_state(app, service)
    add_submission(app, service)
    add_jobs(app, service)
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]
    return app


def _describe(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1 of the application: errors are problems and nothing else, keys are bearers'."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            openapi_version="3.1.0",
        )
        schemas = schema["components"]["schemas"]
        schemas["Problem"] = Problem.model_json_schema()
        for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, which is never sent
            schemas.pop(name, None)
        schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"key": []}]
        app.openapi_schema = schema
    return app.openapi_schema
