"""The page's work done by a service: what looks like a pipeline and an analyser here asks `musetune serve` there."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import httpx

from musetune.analysis.export import exports
from musetune.analysis.service.cache import StoredAnalysis
from musetune.analysis.service.worker import AnalysisJob, JobResult, WorkerDeath
from musetune.client import JobStatus, ServiceClient, ServiceError
from musetune.symbols import LeadSheet

if TYPE_CHECKING:
    import numpy as np
    import torch

Answer = TypeVar("Answer")
POLL_S = 0.5  # how often a job is asked for: 120 requests a minute, of the 300 that a key has by default
BUSY = ("rate", "queue-full")  # codes of refusals that pass
RATE = 16000  # Hz: of bases whose sound a service makes 48 kHz stereo
LOCAL_ONLY = (
    "Edit, Live, Song's audio and Compare's new pairs need a pipeline on this machine: start musetune ui without "
    "--server"
)


class NeedsPipelineError(ValueError, AttributeError):
    """A tab asks for what only a pipeline on this machine can do."""


@dataclass(frozen=True)
class RemoteAdapter:
    """An adapter that the service has loaded: its name, and its kind, "theory" or "lora"."""

    name: str
    kind: str


@dataclass(frozen=True)
class RemoteOutput:
    """What the service generated: ``audios`` holds one clip, mono samples (n,) at ``sampling_rate`` Hz."""

    audios: list[np.ndarray]
    sampling_rate: int


class ServiceQueue:
    """A service as a place that work is sent to: its refusals come back as ValueErrors in its own words.

    Args:
        client: The client.
        url: Where the service is, for messages.
    """

    def __init__(self, client: ServiceClient, url: str) -> None:
        self.client, self.url = client, url

    def ask(self, request: Callable[[], Answer]) -> Answer:
        """What the service answers. Raises ValueError where it refuses or does not answer."""
        try:
            return request()
        except ServiceError as error:
            raise ValueError(f"the service at {self.url}: {error}") from error
        except httpx.TransportError as error:
            raise ValueError(
                f"the service at {self.url} does not answer ({error}): start it, then try again"
            ) from error

    def follow(self, job: JobStatus, check: Callable[[JobStatus], None]) -> JobStatus:
        """Wait for a job.

        Args:
            job: As it was submitted.
            check: Called about every POLL_S with the job; what it raises cancels the job.

        Raises:
            ValueError: The job failed.
        """
        try:
            while not job.final:
                check(job)
                time.sleep(POLL_S)
                job = self._poll(job)
        except BaseException:
            self.ask(lambda: self.client.cancel(job.id))
            raise
        if job.state != "succeeded":
            raise ValueError(f"the service at {self.url}: {job.error.detail if job.error else 'the job was cancelled'}")
        return job

    def _poll(self, job: JobStatus) -> JobStatus:
        """A job as it is now, or as it was where the service has no time for the question."""
        try:
            return self.client.job(job.id)
        except ServiceError as error:
            if error.problem.code not in BUSY:
                raise ValueError(f"the service at {self.url}: {error}") from error
        except httpx.TransportError:
            pass  # it may have been started again: the job lives on, and `check` says how long anybody waits
        return job


class RemotePipeline:
    """What the page needs of a pipeline, done by a service. Everything else raises NeedsPipelineError.

    Args:
        queue: The service.

    Raises:
        ValueError: The service does not answer, or has not loaded its models.
    """

    def __init__(self, queue: ServiceQueue) -> None:
        self.queue = queue
        self.adapters = {
            row["name"]: RemoteAdapter(row["name"], row["kind"]) for row in queue.ask(queue.client.adapters)
        }
        model = queue.ask(queue.client.models)[0]
        self.base_name = str(model["name"])
        self.upsampler = self if model["sampling_rate"] == RATE else None  # as a pipeline says whether it makes stereo
        self._weights: dict[str, float] = {}
        self._wide: tuple[np.ndarray, np.ndarray] | None = None  # a clip, mono, and its stereo

    def __getattr__(self, name: str) -> NoReturn:
        raise NeedsPipelineError(LOCAL_ONLY)

    def set_adapter(self, weights: Mapping[str, float] | None) -> None:
        """Genre adapters and their weights for the next calls; None: none of them."""
        self._weights = dict(weights or {})

    def __call__(
        self,
        prompt: str,
        *,
        lead_sheet: LeadSheet,
        num_inference_steps: int,
        generator: torch.Generator,
        callback_on_step_end: Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]] | None = None,
        loop: bool = False,
    ) -> RemoteOutput:
        """Let the service generate a clip.

        Args:
            prompt: What it should sound like.
            lead_sheet: What is to be played.
            num_inference_steps: Denoising steps.
            generator: Whose seed the service takes: the same audio as from a pipeline with the same models.
            callback_on_step_end: Called as the pipeline calls it, about twice a second, with −1 until the first step
                is done; what it raises cancels the job.
            loop: Whether the last bar flows into the first; the sheet is whole bars of one meter.

        Raises:
            ValueError: The service refuses, in its own words.
        """

        def check(job: JobStatus) -> None:
            if callback_on_step_end is not None:
                done = job.progress.step if job.progress is not None and job.progress.step else 0
                callback_on_step_end(self, done - 1, None, {})

        client, weights = self.queue.client, dict(self._weights)
        job = self.queue.ask(
            lambda: (client.loop if loop else client.generate)(
                prompt,
                lead_sheet=lead_sheet.to_json(),
                num_inference_steps=num_inference_steps,
                seed=generator.initial_seed(),
                adapters=weights,
                mono16=self.upsampler is None,
            )
        )
        job = self.queue.follow(job, check)
        audio, rate = read_wave(self.queue.ask(lambda: client.file(job.id, "audio", "wav")))
        if len(audio) == 1:
            return RemoteOutput([audio[0]], rate)
        from musetune.audio import resample

        mono = resample(audio.mean(axis=0), rate, RATE)
        self._wide = mono, audio
        return RemoteOutput([mono], RATE)

    def to_stereo(self, mono: np.ndarray) -> np.ndarray:
        """The stereo, (2, samples) at 48 kHz, that the service made with the last clip.

        Args:
            mono: That clip, the very array.

        Raises:
            ValueError: It is any other sound.
        """
        if self._wide is None or self._wide[0] is not mono:
            raise NeedsPipelineError(LOCAL_ONLY)
        return self._wide[1]


def read_wave(content: bytes) -> tuple[np.ndarray, int]:
    """The sound of a WAV file, (channels, n), and its rate in Hz."""
    import soundfile

    samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    return samples.T.copy(), int(rate)


class RemoteAnalyser:
    """An analyser as `AnalysisWorker` is one: a service hears the song, its files are written here.

    Args:
        queue: The service.
    """

    def __init__(self, queue: ServiceQueue) -> None:
        self.queue, self._killed = queue, threading.Event()

    def run(self, job: AnalysisJob) -> JobResult:
        """Upload a song, wait, and write the files of ``job``.

        Raises:
            ValueError: The service cannot read it, or does not answer.
            WorkerDeath: `kill` was called.
        """
        self._killed.clear()
        client, path = self.queue.client, Path(job.path)

        def check(_: JobStatus) -> None:
            if self._killed.is_set():
                raise WorkerDeath(f"the analysis of {path.name} was stopped")

        fields: dict[str, Any] = {"beats": job.beats, "tempo_hint": job.tempo_hint}
        sent = self.queue.ask(lambda: client.analyse(path, **fields))
        done = self.queue.follow(sent, check)
        record = json.loads(self.queue.ask(lambda: client.file(done.id, "record")))
        sheet = LeadSheet.from_json(json.loads(self.queue.ask(lambda: client.file(done.id, "plan"))))
        stored = StoredAnalysis(record, sheet)
        files = []
        for kind in job.outputs:
            for file, write in exports(stored, kind, Path(job.stem or path), sound=path):
                write()
                files.append(str(file))
        return JobResult(stored, files=tuple(files))

    def kill(self) -> None:
        """Stop the analysis that runs: the service cancels it, and `run` raises WorkerDeath."""
        self._killed.set()

    def close(self) -> None:
        """Nothing is kept between two analyses."""


def connect(url: str, api_key: str | None = None) -> tuple[RemotePipeline, RemoteAnalyser]:
    """Pipeline and analyser of the service at an address.

    Args:
        url: Such as http://127.0.0.1:8000.
        api_key: Its bearer key, where it asks for one.

    Raises:
        ValueError: It does not answer, refuses the key, or has not loaded its models.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no address of a service: give one such as http://127.0.0.1:8000")
    client = ServiceClient(url, api_key)
    queue = ServiceQueue(client, url)
    try:
        return RemotePipeline(queue), RemoteAnalyser(queue)
    except BaseException:
        client.close()
        raise


def note_of(pipe: Any) -> str:
    """What the page says above its tabs of where its work is done; "" where it is done here."""
    if not isinstance(pipe, RemotePipeline):
        return ""
    return f"Generate and Listen work at {pipe.queue.url}. Song plans and writes notes here. {LOCAL_ONLY}."
