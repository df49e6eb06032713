"""Client of the service for asyncio, with the methods of `ServiceClient`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Unpack

import httpx

from musetune.client.fields import (
    AnalysisFields,
    ArrangementFields,
    CoverFields,
    ExtendFields,
    GenerationFields,
    LoopFields,
    PlanFields,
    RepaintFields,
    VaryFields,
)
from musetune.client.requests import (
    POLL_S,
    TIMEOUT_S,
    EventPlace,
    FilePath,
    ServiceError,
    authorization,
    check,
    edit_files,
    file_request,
    job_of,
    pause_after,
    submission,
    success_of,
    waited_too_long,
)
from musetune.client.wire import JobStatus, JobUpdate


class AsyncServiceClient:
    """A client for asyncio, with the methods of `ServiceClient`.

    Args:
        url: Where the service is, such as http://127.0.0.1:8000.
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
        self._timeout = timeout
        self._http = httpx.AsyncClient(
            base_url=url, headers=authorization(api_key), timeout=timeout, transport=transport, trust_env=False
        )

    # -- submission

    async def generate(
        self,
        prompt: str = "",
        *,
        lead_sheet_file: FilePath = None,
        arrangement_file: FilePath = None,
        style_audio_file: FilePath = None,
        idempotency_key: str | None = None,
        wait_seconds: float = 0,
        **fields: Unpack[GenerationFields],
    ) -> JobStatus:
        """Submit a generation.

        Args:
            prompt: What it should sound like.
            lead_sheet_file: A lead sheet as JSON, MIDI, MusicXML or JAMS.
            arrangement_file: Players' notes as MIDI, or as the JSON that MuseTune writes.
            style_audio_file: A clip whose sound is meant.
            idempotency_key, wait_seconds: As of every submission.
            fields: Those of `GenerationBody`.
        """
        files = {"lead_sheet": lead_sheet_file, "arrangement": arrangement_file, "style_audio": style_audio_file}
        return await self._submit("/v1/generations", {"prompt": prompt, **fields}, files, idempotency_key, wait_seconds)

    async def repaint(
        self,
        audio_file: FilePath = None,
        *,
        lead_sheet_file: FilePath = None,
        arrangement_file: FilePath = None,
        style_audio_file: FilePath = None,
        idempotency_key: str | None = None,
        wait_seconds: float = 0,
        **fields: Unpack[RepaintFields],
    ) -> JobStatus:
        """Submit stretches of a recording, or of a job (``source_job=``), to make anew.

        Args:
            audio_file: The recording.
            lead_sheet_file: Of the whole piece; else the job's own, or what is heard in the recording.
            arrangement_file: Notes of the whole piece.
            style_audio_file: A clip whose sound is meant.
            idempotency_key, wait_seconds: As of every submission.
            fields: Those of `RepaintBody`: seconds or bars, harmonic_progression, prompt, previews, …
        """
        files = edit_files(audio_file, lead_sheet_file, arrangement_file, style_audio_file)
        return await self._submit("/v1/repaints", fields, files, idempotency_key, wait_seconds)

    async def extend(
        self,
        audio_file: FilePath = None,
        *,
        lead_sheet_file: FilePath = None,
        arrangement_file: FilePath = None,
        style_audio_file: FilePath = None,
        idempotency_key: str | None = None,
        wait_seconds: float = 0,
        **fields: Unpack[ExtendFields],
    ) -> JobStatus:
        """Submit a recording, or a job, to play on at either end.

        Files and ``source_job`` as of `repaint`; the sheet is of the whole. ``fields`` are those of `ExtendBody`.
        """
        files = edit_files(audio_file, lead_sheet_file, arrangement_file, style_audio_file)
        return await self._submit("/v1/extensions", fields, files, idempotency_key, wait_seconds)

    async def vary(
        self,
        audio_file: FilePath = None,
        *,
        lead_sheet_file: FilePath = None,
        arrangement_file: FilePath = None,
        style_audio_file: FilePath = None,
        idempotency_key: str | None = None,
        wait_seconds: float = 0,
        **fields: Unpack[VaryFields],
    ) -> JobStatus:
        """Submit a recording, or a job, to take again; files as of `repaint`, ``fields`` those of `VaryBody`."""
        files = edit_files(audio_file, lead_sheet_file, arrangement_file, style_audio_file)
        return await self._submit("/v1/variations", fields, files, idempotency_key, wait_seconds)

    async def cover(
        self,
        audio_file: FilePath = None,
        *,
        lead_sheet_file: FilePath = None,
        arrangement_file: FilePath = None,
        style_audio_file: FilePath = None,
        idempotency_key: str | None = None,
        wait_seconds: float = 0,
        **fields: Unpack[CoverFields],
    ) -> JobStatus:
        """Submit a recording, or a job, to play with another sound; ``fields`` are those of `CoverBody`."""
        files = edit_files(audio_file, lead_sheet_file, arrangement_file, style_audio_file)
        return await self._submit("/v1/covers", fields, files, idempotency_key, wait_seconds)

    async def loop(
        self,
        prompt: str = "",
        *,
        lead_sheet_file: FilePath = None,
        style_audio_file: FilePath = None,
        idempotency_key: str | None = None,
        wait_seconds: float = 0,
        **fields: Unpack[LoopFields],
    ) -> JobStatus:
        """Submit loops to generate; ``fields`` are those of `LoopBody`."""
        files = {"lead_sheet": lead_sheet_file, "style_audio": style_audio_file}
        return await self._submit("/v1/loops", {"prompt": prompt, **fields}, files, idempotency_key, wait_seconds)

    async def plan(
        self,
        prompt: str = "",
        *,
        lead_sheet_file: FilePath = None,
        idempotency_key: str | None = None,
        wait_seconds: float = 0,
        **fields: Unpack[PlanFields],
    ) -> JobStatus:
        """Submit words of which a song's plan is written; ``fields`` are those of `PlanBody`."""
        return await self._submit(
            "/v1/plans", {"prompt": prompt, **fields}, {"lead_sheet": lead_sheet_file}, idempotency_key, wait_seconds
        )

    async def arrange(
        self,
        *,
        lead_sheet_file: FilePath = None,
        arrangement_file: FilePath = None,
        idempotency_key: str | None = None,
        wait_seconds: float = 0,
        **fields: Unpack[ArrangementFields],
    ) -> JobStatus:
        """Submit a lead sheet for which every player's notes are written; ``fields`` are those of `ArrangementBody`."""
        files = {"lead_sheet": lead_sheet_file, "arrangement": arrangement_file}
        return await self._submit("/v1/arrangements", fields, files, idempotency_key, wait_seconds)

    async def analyse(
        self,
        song: str | Path,
        *,
        idempotency_key: str | None = None,
        wait_seconds: float = 0,
        **fields: Unpack[AnalysisFields],
    ) -> JobStatus:
        """Upload a song and submit its analysis; ``fields`` are those of `AnalysisBody`."""
        return await self._submit("/v1/analyses", fields, {"file": song}, idempotency_key, wait_seconds)

    async def _submit(
        self,
        path: str,
        fields: Mapping[str, Any],
        files: dict[str, FilePath],
        idempotency_key: str | None,
        wait_seconds: float,
    ) -> JobStatus:
        patience = httpx.Timeout(self._timeout, read=self._timeout + wait_seconds)  # it may answer at the last moment
        asked = submission(path, fields, files, idempotency_key, wait_seconds)
        return job_of(await self._http.request(**asked, timeout=patience))

    # -- jobs

    async def job(self, job_id: str) -> JobStatus:
        """Where a job is on its way."""
        return job_of(await self._http.get(f"/v1/jobs/{job_id}"))

    async def cancel(self, job_id: str) -> JobStatus:
        """Cancel a job."""
        return job_of(await self._http.delete(f"/v1/jobs/{job_id}"))

    async def wait(self, job_id: str, seconds: float = float("inf")) -> JobStatus:
        """Wait until a job has succeeded.

        Raises:
            ServiceError: It failed or was cancelled.
            TimeoutError: It has not ended after so many seconds.
        """
        until = time.monotonic() + seconds
        while True:
            try:
                job, pause = await self.job(job_id), POLL_S
            except ServiceError as error:
                pause = pause_after(error)
            else:
                if job.final:
                    return success_of(job)
            if time.monotonic() > until:
                raise waited_too_long(job_id, seconds)
            await asyncio.sleep(pause)

    async def events(self, job_id: str, after: int = 0) -> AsyncIterator[JobUpdate]:
        """What happens to a job, until it ends; ``after`` is the number of the last one that is known already.

        A connection that breaks is made anew for up to a minute, and goes on where it was: a service may restart.
        """
        place = EventPlace(after)
        while not place.ended:
            try:
                async with self._http.stream("GET", f"/v1/jobs/{job_id}/events", headers=place.headers()) as response:
                    if not response.is_success:
                        await response.aread()
                    check(response)
                    async for line in response.aiter_lines():
                        if (update := place.update(line)) is not None:
                            yield update
                pause = 0.0 if place.ended else place.pause_before_next((await self.job(job_id)).final)
            except (httpx.TransportError, ServiceError) as error:
                pause = place.pause_after(error)
            await asyncio.sleep(pause)

    async def preview(self, job_id: str, step: int) -> bytes:
        """What a job was going to be after a step, as OGG; its events of kind "preview" say which steps there are."""
        return check(await self._http.get(f"/v1/jobs/{job_id}/previews/{step}")).content

    async def file(self, job_id: str, kind: str = "audio", format: str | None = None) -> bytes:
        """A file that a job made: audio (``format``: wav, flac, mp3 or ogg), report, chart, midi and so on."""
        return check(await self._http.request(**file_request(job_id, kind, format))).content

    async def save(self, job_id: str, kind: str, path: str | Path, format: str | None = None) -> Path:
        """Write such a file to ``path``, piece by piece."""
        place = Path(path)
        async with self._http.stream(**file_request(job_id, kind, format)) as response:
            if not response.is_success:
                await response.aread()
            check(response)
            with place.open("wb") as file:
                async for piece in response.aiter_bytes():
                    file.write(piece)
        return place

    # -- the service

    async def adapters(self) -> list[Mapping[str, Any]]:
        """The adapters that the service has loaded."""
        return list(check(await self._http.get("/v1/adapters")).json()["adapters"])

    async def models(self) -> list[Mapping[str, Any]]:
        """The models that the service generates with."""
        return list(check(await self._http.get("/v1/models")).json()["models"])

    async def healthy(self) -> bool:
        """Whether the service answers."""
        return (await self._http.get("/healthz")).is_success

    async def ready(self) -> bool:
        """Whether the service has loaded its models and takes jobs."""
        return (await self._http.get("/readyz")).is_success

    async def metrics(self) -> str:
        """The service's metrics in Prometheus's text format."""
        return check(await self._http.get("/metrics")).text

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncServiceClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
