"""Clients of the service, one that waits and one for asyncio, with the same methods."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from pydantic import ValidationError

from musetune.client.wire import AnalysisBody, GenerationBody, JobStatus, JobUpdate, Problem

TIMEOUT_S = 60.0
POLL_S = 0.2


class ServiceError(Exception):
    """The service refused a request, or a job failed.

    Attributes:
        problem: What went wrong, as the service says it.
        retry_after: Seconds after which to ask again; None where that does not help.
    """

    def __init__(self, problem: Problem, retry_after: float | None = None) -> None:
        super().__init__(problem.detail)
        self.problem, self.retry_after = problem, retry_after


class _Requests:
    """The requests of both clients: method, path and arguments of httpx."""

    def __init__(self, api_key: str | None) -> None:
        self.headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    def generate(
        self, body: GenerationBody, sheet: Path | None, idempotency_key: str | None, wait_seconds: float
    ) -> dict[str, Any]:
        values = body.model_dump(mode="json", exclude_defaults=True)
        common = self._common("/v1/generations", idempotency_key, wait_seconds)
        if sheet is None:
            return common | {"json": values}
        return common | {"data": {"request": json.dumps(values)}, "files": {"lead_sheet": _file(sheet)}}

    def analyse(
        self, song: Path, body: AnalysisBody, idempotency_key: str | None, wait_seconds: float
    ) -> dict[str, Any]:
        common = self._common("/v1/analyses", idempotency_key, wait_seconds)
        return common | {"data": {"request": body.model_dump_json()}, "files": {"file": _file(song)}}

    def _common(self, url: str, idempotency_key: str | None, wait_seconds: float) -> dict[str, Any]:
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        params = {"wait_seconds": wait_seconds} if wait_seconds else {}
        return {"method": "POST", "url": url, "headers": headers, "params": params}


def _file(path: Path) -> tuple[str, bytes]:
    return path.name, path.read_bytes()


def _check(response: httpx.Response) -> httpx.Response:
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


def _ended(job: JobStatus) -> JobStatus:
    """Return a job that succeeded. Raises ServiceError for one that did not."""
    if job.state == "succeeded":
        return job
    if job.error is not None:
        raise ServiceError(job.error)
    raise ServiceError(Problem(title="Cancelled", status=409, detail=f"job {job.id} was cancelled", code="cancelled"))


def _expired(job: JobStatus, seconds: float) -> TimeoutError:
    return TimeoutError(f"job {job.id} is still {job.state} after {seconds:g} s; wait longer, or cancel it")


def _updates(lines: list[str]) -> JobUpdate | None:
    """The update that the lines of one server-sent event say; None for a comment."""
    data = [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]
    return JobUpdate.model_validate_json("\n".join(data)) if data else None


class ServiceClient:
    """A client that waits for answers.

    Args:
        url: Where the service is, such as http://127.0.0.1:8000.
        api_key: The bearer key, where the service asks for one.
        timeout: Seconds to wait for an answer.
        transport: A transport of httpx, for tests.

    Example:
        >>> with ServiceClient("http://127.0.0.1:8000") as client:  # doctest: +SKIP
        ...     job = client.generate("jazz trio", harmonic_progression="ii7 V7 Imaj7", key="F major")
        ...     client.wait(job.id)
        ...     client.save(job.id, "audio", "take.wav")
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout: float = TIMEOUT_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._requests = _Requests(api_key)
        self._http = httpx.Client(
            base_url=url, headers=self._requests.headers, timeout=timeout, transport=transport, trust_env=False
        )

    def generate(
        self,
        prompt: str = "",
        *,
        lead_sheet_file: str | Path | None = None,
        idempotency_key: str | None = None,
        wait_seconds: float = 0,
        **fields: Any,
    ) -> JobStatus:
        """Submit a generation.

        Args:
            prompt: What it should sound like.
            lead_sheet_file: A lead sheet as JSON, MIDI, MusicXML or JAMS.
            idempotency_key: The same key again gives the same job.
            wait_seconds: Let the service answer once the job has ended, or after so long.
            fields: Those of `GenerationBody`.

        Raises:
            ServiceError: The service refuses; the message says why.
        """
        body = GenerationBody(prompt=prompt, **fields)
        sheet = None if lead_sheet_file is None else Path(lead_sheet_file)
        return self._job(**self._requests.generate(body, sheet, idempotency_key, wait_seconds))

    def analyse(
        self, song: str | Path, *, idempotency_key: str | None = None, wait_seconds: float = 0, **fields: Any
    ) -> JobStatus:
        """Upload a song and submit its analysis; ``fields`` are those of `AnalysisBody`. Raises ServiceError."""
        body = AnalysisBody(**fields)
        return self._job(**self._requests.analyse(Path(song), body, idempotency_key, wait_seconds))

    def job(self, job_id: str) -> JobStatus:
        """Where a job is on its way. Raises ServiceError."""
        return self._job(method="GET", url=f"/v1/jobs/{job_id}")

    def cancel(self, job_id: str) -> JobStatus:
        """Cancel a job. Raises ServiceError."""
        return self._job(method="DELETE", url=f"/v1/jobs/{job_id}")

    def wait(self, job_id: str, seconds: float = float("inf")) -> JobStatus:
        """Wait until a job has succeeded.

        Raises:
            ServiceError: It failed or was cancelled.
            TimeoutError: It has not ended after so many seconds.
        """
        until = time.monotonic() + seconds
        while not (job := self.job(job_id)).final:
            if time.monotonic() > until:
                raise _expired(job, seconds)
            time.sleep(POLL_S)
        return _ended(job)

    def events(self, job_id: str, after: int = 0) -> Iterator[JobUpdate]:
        """What happens to a job, until it ends; ``after`` is the number of the last one that is known already."""
        headers = {"Last-Event-ID": str(after)}
        with self._http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as response:
            if not response.is_success:
                response.read()
            _check(response)
            lines: list[str] = []
            for line in response.iter_lines():
                if line:
                    lines.append(line)
                elif (update := _updates(lines)) is not None:
                    yield update
                    lines = []
                else:
                    lines = []

    def file(self, job_id: str, kind: str = "audio", format: str | None = None) -> bytes:
        """A file that a job made: audio, report, chart, midi, musicxml, jams, stems, record. Raises ServiceError."""
        params = {} if format is None else {"format": format}
        return _check(self._http.get(f"/v1/jobs/{job_id}/{kind}", params=params)).content

    def save(self, job_id: str, kind: str, path: str | Path, format: str | None = None) -> Path:
        """Write such a file to ``path``. Raises ServiceError."""
        place = Path(path)
        place.write_bytes(self.file(job_id, kind, format))
        return place

    def adapters(self) -> list[Mapping[str, Any]]:
        """The adapters that the service has loaded. Raises ServiceError."""
        return list(_check(self._http.get("/v1/adapters")).json()["adapters"])

    def models(self) -> list[Mapping[str, Any]]:
        """The models that the service generates with. Raises ServiceError."""
        return list(_check(self._http.get("/v1/models")).json()["models"])

    def ready(self) -> bool:
        """Whether the service has loaded its models and takes jobs."""
        return self._http.get("/readyz").is_success

    def _job(self, **arguments: Any) -> JobStatus:
        return JobStatus.model_validate_json(_check(self._http.request(**arguments)).content)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> ServiceClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncServiceClient:
    """A client for asyncio, with the methods of `ServiceClient`.

    Args:
        url: Where the service is.
        api_key: The bearer key, where the service asks for one.
        timeout: Seconds to wait for an answer.
        transport: A transport of httpx, for tests.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout: float = TIMEOUT_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._requests = _Requests(api_key)
        self._http = httpx.AsyncClient(
            base_url=url, headers=self._requests.headers, timeout=timeout, transport=transport, trust_env=False
        )

    async def generate(
        self,
        prompt: str = "",
        *,
        lead_sheet_file: str | Path | None = None,
        idempotency_key: str | None = None,
        wait_seconds: float = 0,
        **fields: Any,
    ) -> JobStatus:
        """Submit a generation; see `ServiceClient.generate`."""
        body = GenerationBody(prompt=prompt, **fields)
        sheet = None if lead_sheet_file is None else Path(lead_sheet_file)
        return await self._job(**self._requests.generate(body, sheet, idempotency_key, wait_seconds))

    async def analyse(
        self, song: str | Path, *, idempotency_key: str | None = None, wait_seconds: float = 0, **fields: Any
    ) -> JobStatus:
        """Upload a song and submit its analysis. Raises ServiceError."""
        body = AnalysisBody(**fields)
        return await self._job(**self._requests.analyse(Path(song), body, idempotency_key, wait_seconds))

    async def job(self, job_id: str) -> JobStatus:
        """Where a job is on its way. Raises ServiceError."""
        return await self._job(method="GET", url=f"/v1/jobs/{job_id}")

    async def cancel(self, job_id: str) -> JobStatus:
        """Cancel a job. Raises ServiceError."""
        return await self._job(method="DELETE", url=f"/v1/jobs/{job_id}")

    async def wait(self, job_id: str, seconds: float = float("inf")) -> JobStatus:
        """Wait until a job has succeeded; see `ServiceClient.wait`."""
        until = time.monotonic() + seconds
        while not (job := await self.job(job_id)).final:
            if time.monotonic() > until:
                raise _expired(job, seconds)
            await asyncio.sleep(POLL_S)
        return _ended(job)

    async def events(self, job_id: str, after: int = 0) -> AsyncIterator[JobUpdate]:
        """What happens to a job, until it ends."""
        headers = {"Last-Event-ID": str(after)}
        async with self._http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as response:
            if not response.is_success:
                await response.aread()
            _check(response)
            lines: list[str] = []
            async for line in response.aiter_lines():
                if line:
                    lines.append(line)
                elif (update := _updates(lines)) is not None:
                    yield update
                    lines = []
                else:
                    lines = []

    async def file(self, job_id: str, kind: str = "audio", format: str | None = None) -> bytes:
        """A file that a job made; see `ServiceClient.file`."""
        params = {} if format is None else {"format": format}
        return _check(await self._http.get(f"/v1/jobs/{job_id}/{kind}", params=params)).content

    async def adapters(self) -> list[Mapping[str, Any]]:
        """The adapters that the service has loaded. Raises ServiceError."""
        return list(_check(await self._http.get("/v1/adapters")).json()["adapters"])

    async def models(self) -> list[Mapping[str, Any]]:
        """The models that the service generates with. Raises ServiceError."""
        return list(_check(await self._http.get("/v1/models")).json()["models"])

    async def ready(self) -> bool:
        """Whether the service has loaded its models and takes jobs."""
        return (await self._http.get("/readyz")).is_success

    async def _job(self, **arguments: Any) -> JobStatus:
        return JobStatus.model_validate_json(_check(await self._http.request(**arguments)).content)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncServiceClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
