"""Client of the service that `musetune serve` runs: what goes over the wire, typed, and httpx to send it."""

from musetune.client.client import AsyncServiceClient, ServiceClient, ServiceError
from musetune.client.wire import AnalysisBody, GenerationBody, JobStatus, JobUpdate, Problem

__all__ = [
    "ServiceClient",
    "AsyncServiceClient",
    "ServiceError",
    "GenerationBody",
    "AnalysisBody",
    "JobStatus",
    "JobUpdate",
    "Problem",
]
