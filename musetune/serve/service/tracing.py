"""OpenTelemetry traces: one from the request over the queue to the stages of the work, where the environment asks.

The standard variables say whether and where: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_EXPORTER, OTEL_TRACES_SAMPLER,
OTEL_SERVICE_NAME and the rest of https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.

A request's context travels with its job (`TRACE` in the job's request). The spans of the work are made from the job's
events once it has ended: they are whole even where a worker or the service was killed in the middle.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from musetune.serve.service.jobs import TRACE, Job
from musetune.serve.service.timeline import AttemptTime

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

NAME = "musetune"
EXPORTERS = ("otlp", "console", "none")
ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
UNTRACED = ("/healthz", "/readyz", "/metrics")


def exporter_name(environment: Mapping[str, str] = os.environ) -> str:
    """Where traces go, one of EXPORTERS: "otlp" where an endpoint is named, and "none" where nothing is.

    Raises:
        ValueError: A variable has a value that is not supported here.

    Example:
        >>> exporter_name({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}), exporter_name({})
        ('otlp', 'none')
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return "none"
    default = "otlp" if any(environment.get(variable) for variable in ENDPOINTS) else "none"
    name = environment.get("OTEL_TRACES_EXPORTER", "").strip().lower() or default
    if name not in EXPORTERS:
        raise ValueError(f"OTEL_TRACES_EXPORTER={name!r} is not one of {', '.join(EXPORTERS)}")
    protocol = next(filter(None, (environment.get(variable) for variable in PROTOCOLS)), "http/protobuf")
    if name == "otlp" and protocol != "http/protobuf":
        raise ValueError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol!r}: traces go by http/protobuf, to port 4318 of most collectors"
        )
    return name


class Tracing:
    """Spans of requests and of jobs.

    Args:
        provider: Makes the spans and sends them away.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self.provider, self.tracer = provider, provider.get_tracer(NAME)

    @staticmethod
    def from_environment(environment: Mapping[str, str] = os.environ) -> Tracing | None:
        """Tracing as the environment asks for it; None where it does not.

        Raises:
            ValueError: A variable has a value that is not supported here.
            ImportError: The packages of the extra are missing.
        """
        if (name := exporter_name(environment)) == "none":
            return None
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
        except ImportError as error:
            raise ImportError(
                f'the environment asks for traces, which need their extra: pip install "musetune[otel]" ({error}); '
                "OTEL_TRACES_EXPORTER=none goes without"
            ) from error
        named = environment.get("OTEL_SERVICE_NAME") or "service.name=" in environment.get(
            "OTEL_RESOURCE_ATTRIBUTES", ""
        )
        provider = TracerProvider(resource=Resource.create({} if named else {"service.name": NAME}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter() if name == "otlp" else ConsoleSpanExporter()))
        return Tracing(provider)

    def close(self) -> None:
        """Send what is left and end."""
        self.provider.shutdown()

    def context(self) -> dict[str, str]:
        """The context of the request that is being answered, to travel with its job (W3C trace context)."""
        from opentelemetry.propagate import inject

        carrier: dict[str, str] = {}
        inject(carrier)
        return carrier

    def trace_job(self, job: Job, attempts: Sequence[AttemptTime]) -> None:
        """Make the spans of a job that has ended: the job, and in it each wait, each attempt and its stages."""
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

        if not attempts:
            return

        def span(name: str, parent: Any, start: float, end: float, fault: str = "", **attributes: Any) -> Any:
            made = self.tracer.start_span(
                name,
                parent,
                kind=SpanKind.CONSUMER if name.startswith("job ") else SpanKind.INTERNAL,
                attributes={key: value for key, value in attributes.items() if value is not None},
                start_time=_nanoseconds(start),
            )
            if fault:
                made.set_status(Status(StatusCode.ERROR, fault))
            made.end(_nanoseconds(max(start, end)))
            return set_span_in_context(made)

        error, result = job.error or {}, job.result or {}
        attributes = {
            "musetune.job.id": job.id,
            "musetune.job.kind": job.kind,
            "musetune.job.state": job.state,
            "musetune.job.attempts": job.attempt,
            "musetune.real_time_factor": result.get("real_time_factor"),
            "musetune.adherence": result.get("score"),
            "error.type": error.get("code"),
        }
        whole = span(
            f"job {job.kind}",
            extract(dict(job.request.get(TRACE, {}))),
            attempts[0].queued,
            attempts[-1].ended,
            str(error.get("message", "")),
            **attributes,
        )
        for attempt in attempts:
            span("queue", whole, attempt.queued, attempt.started or attempt.ended)
            if attempt.started is None:
                continue
            lost = f"the worker ended {attempt.cause}" if attempt.died else ""
            inner = {"musetune.job.attempt": attempt.number, "musetune.job.state": attempt.outcome}
            inside = span("attempt", whole, attempt.started, attempt.ended, lost, **inner)
            for stage in attempt.stages:
                span(stage.name, inside, stage.start, stage.end)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


class TraceRequests:
    """ASGI middleware around everything else: a span for each request, of the trace that the request names if any.

    Args:
        app: What answers.
        tracing: Makes the spans.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self.app, self.tracing = app, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on inside a span; health, readiness and metrics have none."""
        if scope["type"] != "http" or scope["path"] in UNTRACED:
            await self.app(scope, receive, send)
            return
        from opentelemetry.propagate import extract
        from opentelemetry.trace import SpanKind, Status, StatusCode, format_trace_id

        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        attributes = {"http.request.method": scope["method"], "url.path": scope["path"], "url.scheme": scope["scheme"]}
        with self.tracing.tracer.start_as_current_span(
            scope["method"], extract(headers), kind=SpanKind.SERVER, attributes=attributes
        ) as span:
            structlog.contextvars.bind_contextvars(trace_id=format_trace_id(span.get_span_context().trace_id))

            async def send_and_note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    route = getattr(scope.get("route"), "path", None)
                    span.set_attribute("http.response.status_code", message["status"])
                    if route is not None:
                        span.set_attribute("http.route", route)
                        span.update_name(f"{scope['method']} {route}")
                    if message["status"] >= 500:
                        span.set_status(Status(StatusCode.ERROR))
                await send(message)

            await self.app(scope, receive, send_and_note)
