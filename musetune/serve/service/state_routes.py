"""What is asked of the service itself: health, readiness, metrics, adapters and models."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import FastAPI, Response
from pydantic import BaseModel, ConfigDict

from musetune.serve.service.problems import ProblemError, documented
from musetune.serve.service.service import JobService


class Health(BaseModel):
    """What /healthz and /readyz say."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: Literal["ok", "ready"]


class Adapter(BaseModel):
    """An adapter that is loaded; those of kind "lora" can be named in a request."""

    name: str
    kind: str


class AdapterList(BaseModel):
    """The adapters that are loaded."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"adapters": [{"name": "theory", "kind": "theory"}, {"name": "jazz", "kind": "lora"}]}]
        }
    )

    adapters: list[Adapter]


class Model(BaseModel):
    """A model that generates: its name, where it runs, the rate of its own sound in Hz and the length of a window."""

    name: str
    device: str
    sampling_rate: int
    seconds: float


class ModelList(BaseModel):
    """The models that generate."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"models": [{"name": "nano", "device": "cpu", "sampling_rate": 16000, "seconds": 10.24}]}]
        }
    )

    models: list[Model]


def add_state(app: FastAPI, service: JobService) -> None:
    """GET of health, readiness, metrics, adapters and models."""

    @app.get("/healthz", tags=["state"], response_model=Health)
    async def healthz() -> Any:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["state"], response_model=Health, responses=documented(503))
    def readyz() -> Any:
        """Whether the models are loaded and jobs are taken."""
        if not service.ready:
            raise ProblemError(503, "not-ready", "the service stops" if service.draining else "the models are loading")
        return {"status": "ready"}

    text = {"schema": {"type": "string"}, "examples": {"1": {"value": 'musetune_jobs{kind="analysis"} 0.0\n'}}}

    @app.get(
        "/metrics",
        tags=["state"],
        response_class=Response,
        responses={200: {"description": "metrics", "content": {"text/plain": text}}},
    )
    def metrics() -> Response:
        """Metrics in Prometheus's text format."""
        return Response(service.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/v1/adapters", tags=["models"], response_model=AdapterList, responses=documented(401, 403, 429, 503))
    def adapters() -> Any:
        """Adapters that are loaded; genre adapters ("lora") can be named in a request."""
        return {"adapters": _loaded(service)["adapters"]}

    @app.get("/v1/models", tags=["models"], response_model=ModelList, responses=documented(401, 403, 429, 503))
    def models() -> Any:
        """The models that generate."""
        return {"models": [_loaded(service)["model"]]}


def _loaded(service: JobService) -> dict[str, Any]:
    notice = service.loaded()
    if notice is None:
        raise ProblemError(503, "not-ready", "the models are loading", {"Retry-After": "5"})
    return notice
