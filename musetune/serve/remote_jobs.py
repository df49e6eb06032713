"""Jobs that the page lets a service do: submitted with their files, followed, and what they made fetched."""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Required, TypedDict

from musetune.client import JobStatus
from musetune.serve.remote_sound import read_sound
from musetune.serve.service_queue import ServiceQueue
from musetune.symbols import LeadSheet

if TYPE_CHECKING:
    import numpy as np
    import torch

    from musetune.symbols import Arrangement


class SoundOptions(TypedDict, total=False):
    """What everything that makes sound takes, as `MuseTunePipeline` names it.

    Attributes:
        generator: Whose seed the service takes: the same audio as from a pipeline with the same models.
        num_inference_steps: Denoising steps.
        callback_on_step_end: Called as the pipeline calls it, about twice a second, with −1 until the first step is
            done; what it raises cancels the job.
        arrangement: Players' notes.
        style_audio: Path of a clip whose sound is meant.
        style_strength: How much of it, 0…1.
    """

    generator: Required[torch.Generator]
    num_inference_steps: Required[int]
    callback_on_step_end: Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]] | None
    arrangement: Arrangement | None
    style_audio: str
    style_strength: float


class RemoteJobs:
    """Jobs that make sound at a service.

    Args:
        queue: The service.

    Attributes:
        weights: Genre adapters and their weights for the next jobs.
    """

    def __init__(self, queue: ServiceQueue) -> None:
        self.queue = queue
        self.weights: dict[str, float] = {}

    def make(
        self,
        submit: Callable[..., JobStatus],
        options: SoundOptions,
        fields: Mapping[str, Any],
        piece: tuple[np.ndarray, int] | None = None,
    ) -> JobStatus:
        """Submit a job with its files and wait until it has succeeded.

        Args:
            submit: The client's method.
            options: As of all that makes sound.
            fields: Of the request's body, with ``lead_sheet``.
            piece: Samples (n,) or (channels, n) of what is edited, and their rate in Hz; they are uploaded.

        Raises:
            ValueError: The service refuses, in its own words, or the job fails.
        """
        from musetune.audio import save_audio
        from musetune.formats.songs import save_song

        steps, notes, clip = options["num_inference_steps"], options.get("arrangement"), options.get("style_audio")
        on_step = options.get("callback_on_step_end")
        asked = dict(fields) | {"num_inference_steps": steps, "seed": options["generator"].initial_seed()}
        asked["adapters"] = dict(self.weights)
        if clip is not None:
            asked |= {"style_audio_file": clip, "style_strength": options.get("style_strength")}

        def check(job: JobStatus) -> None:
            if on_step is not None:
                done = job.progress.step if job.progress is not None and job.progress.step else 0
                on_step(self, (done - 1) % steps if done else -1, None, {})  # a set of loops begins again for each

        with tempfile.TemporaryDirectory(prefix="musetune-remote-") as folder:
            if piece is not None:  # 24 bits hold what WAV and FLAC files have
                asked["audio_file"] = save_audio(Path(folder, "piece.flac"), *piece, depth="PCM_24")
            if notes is not None:
                sheet = LeadSheet.from_json(asked["lead_sheet"])
                asked["arrangement_file"] = save_song(sheet, notes, Path(folder, "notes.json"))
            job = self.queue.ask(lambda: submit(**asked))
        return self.queue.follow(job, check)

    def sound(self, job: JobStatus) -> tuple[np.ndarray, int]:
        """A job's sound, (samples,) or (2, samples), and its rate in Hz."""
        return read_sound(self.queue.ask(lambda: self.queue.client.file(job.id, "audio", "wav")))

    def archive(self, job: JobStatus, kind: str) -> dict[str, tuple[np.ndarray, int]]:
        """Sounds of a job's zip file by their names, each with its rate."""
        content = self.queue.ask(lambda: self.queue.client.file(job.id, kind))
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {Path(name).stem: read_sound(archive.read(name)) for name in archive.namelist()}

    def sheet(self, job: JobStatus) -> LeadSheet:
        """The lead sheet of what a job made."""
        return LeadSheet.from_json(json.loads(self.queue.ask(lambda: self.queue.client.file(job.id, "plan"))))
