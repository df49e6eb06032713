"""Client of the service that `musetune serve` runs: what goes over the wire, typed, and httpx to send it."""

from musetune.client.async_client import AsyncServiceClient
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
from musetune.client.client import ServiceClient
from musetune.client.requests import ServiceError
from musetune.client.wire import JobStatus, JobUpdate, Problem

__all__ = [
    "ServiceClient",
    "AsyncServiceClient",
    "ServiceError",
    "GenerationBody",
    "RepaintBody",
    "ExtendBody",
    "VaryBody",
    "CoverBody",
    "LoopBody",
    "PlanBody",
    "ArrangementBody",
    "AnalysisBody",
    "JobStatus",
    "JobUpdate",
    "Problem",
]
