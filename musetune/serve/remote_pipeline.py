"""What looks like a pipeline to the page and lets a service generate and edit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, NoReturn, Unpack

import numpy as np

from musetune.client import JobStatus, ServiceError
from musetune.serve.remote_jobs import RemoteJobs, SoundOptions
from musetune.serve.remote_sound import fit_take, keep_rest
from musetune.serve.service_queue import GONE, ServiceQueue
from musetune.symbols import LeadSheet

RATE = 16000  # Hz: of bases whose sound a service makes 48 kHz stereo
LOCAL_ONLY = (
    "Live needs a pipeline on this machine, since a service makes whole pieces and no endless sound: start musetune ui "
    "without --server"
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
    """What the service made, as `MuseTuneOutput` has it.

    Attributes:
        audios: Clips, a list of (samples,) or (channels, samples), or an array of equally long ones.
        sampling_rate: Theirs, Hz.
        lead_sheet: What is played.
        reports: One with a ``summary``, where the service wrote one.
        stems: Each player's clip, of a call with ``stems=True``.
        job: Id of the service's job, from whose latents an edit goes on; None: it has none.
    """

    audios: Any
    sampling_rate: int
    lead_sheet: LeadSheet | None = None
    reports: Sequence[Any] | None = None
    stems: Mapping[str, np.ndarray] | None = None
    job: str | None = None

    latents = None  # they stay at the service


class RemotePipeline:
    """What the page needs of a pipeline, done by a service. Everything else raises NeedsPipelineError.

    A piece that is edited is a `RemoteOutput` whose job the service may still have, or floats (samples,) or (channels,
    samples) with their ``sampling_rate``.

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
        self._jobs = RemoteJobs(queue)
        self._wide: tuple[np.ndarray, np.ndarray] | None = None  # a clip, mono, and its stereo

    def __getattr__(self, name: str) -> NoReturn:
        raise NeedsPipelineError(LOCAL_ONLY)

    def set_adapter(self, weights: Mapping[str, float] | None) -> None:
        """Genre adapters and their weights for the next calls; None: none of them."""
        self._jobs.weights = dict(weights or {})

    def __call__(
        self,
        prompt: str,
        *,
        lead_sheet: LeadSheet,
        loop: bool = False,
        stems: bool = False,
        **options: Unpack[SoundOptions],
    ) -> RemoteOutput:
        """Let the service generate a clip.

        Args:
            prompt: What it should sound like.
            lead_sheet: What is to be played.
            loop: Whether the last bar flows into the first; the sheet is whole bars of one meter.
            stems: Whether each player of the ``arrangement`` is generated alone.
            options: As of all that makes sound.

        Raises:
            ValueError: The service refuses, in its own words.
        """
        client = self.queue.client
        fields: dict[str, Any] = {"prompt": prompt, "lead_sheet": lead_sheet.to_json()}
        fields["mono16"] = self.upsampler is None
        job = self._jobs.make(
            client.loop if loop else client.generate, options, fields | ({"stems": True} if stems else {})
        )
        if stems:
            players = {name: self._remember(*sound) for name, sound in self._jobs.archive(job, "stems").items()}
            clips = {name: mono for name, (mono, _) in players.items()}
            return RemoteOutput([], next(iter(players.values()))[1], lead_sheet, stems=clips)
        mono, rate = self._remember(*self._jobs.sound(job))
        return RemoteOutput([mono], rate, lead_sheet, job=job.id)

    def to_stereo(self, mono: np.ndarray) -> np.ndarray:
        """The stereo, (2, samples) at 48 kHz, that the service made with the last clip.

        Args:
            mono: That clip, the very array.

        Raises:
            ValueError: It is any other sound.
        """
        if self._wide is None or self._wide[0] is not mono:
            raise NeedsPipelineError("a service makes its clips stereo itself, and no other sound")
        return self._wide[1]

    def repaint(
        self,
        audio: np.ndarray | RemoteOutput,
        lead_sheet: LeadSheet,
        prompt: str = "",
        *,
        seconds: Any = None,
        bars: Any = None,
        harmonic_progression: str | None = None,
        sampling_rate: int | None = None,
        **options: Unpack[SoundOptions],
    ) -> RemoteOutput:
        """Let the service make stretches anew; as `MuseTunePipeline.repaint`, which says what stays as it is."""
        from musetune.pipeline.splicing import REACH_S
        from musetune.pipeline.stretches import stretches_of

        wave, rate = _samples(audio, sampling_rate)
        kept = np.ones(wave.shape[-1], bool)
        for start, end in stretches_of(lead_sheet, wave.shape[-1] / rate, seconds, bars):
            kept[max(0, round((start - REACH_S) * rate)) : round(end * rate)] = False
        fields = {"seconds": seconds, "bars": bars, "harmonic_progression": harmonic_progression, "prompt": prompt}
        job = self._edit(self.queue.client.repaint, audio, rate, lead_sheet, fields, options)
        return self._edited(job, keep_rest(self._jobs.sound(job)[0], wave, kept), rate)

    def extend(
        self,
        audio: np.ndarray | RemoteOutput,
        lead_sheet: LeadSheet,
        prompt: str = "",
        *,
        before_seconds: float = 0.0,
        after_seconds: float = 0.0,
        sampling_rate: int | None = None,
        **options: Unpack[SoundOptions],
    ) -> RemoteOutput:
        """Let the service play on at either end; as `MuseTunePipeline.extend` with the lead sheet of the whole."""
        from musetune.pipeline.splicing import REACH_S

        wave, rate = _samples(audio, sampling_rate)
        fields = {"before_seconds": before_seconds, "after_seconds": after_seconds, "prompt": prompt}
        job = self._edit(self.queue.client.extend, audio, rate, lead_sheet, fields, options)
        made = self._jobs.sound(job)[0]
        front = round(before_seconds * rate)
        back = max(0, made.shape[-1] - front - wave.shape[-1])
        whole = np.pad(wave, [(0, 0)] * (wave.ndim - 1) + [(front, back)])
        kept = np.zeros(whole.shape[-1], bool)
        kept[front : front + wave.shape[-1] - (round(REACH_S * rate) if after_seconds else 0)] = True
        return self._edited(job, keep_rest(made, whole, kept), rate)

    def vary(
        self,
        audio: np.ndarray | RemoteOutput,
        lead_sheet: LeadSheet,
        prompt: str = "",
        *,
        amount: float = 0.4,
        sampling_rate: int | None = None,
        **options: Unpack[SoundOptions],
    ) -> RemoteOutput:
        """Let the service take a piece again; as `MuseTunePipeline.vary`: at the piece's rate and channels."""
        wave, rate = _samples(audio, sampling_rate)
        fields = {"amount": amount, "prompt": prompt, "mono16": self.upsampler is None}
        job = self._edit(self.queue.client.vary, audio, rate, lead_sheet, fields, options)
        made, own_rate = self._jobs.sound(job)
        output = self._edited(job, fit_take(made, own_rate, wave, rate), rate)
        return output if (own_rate, made.shape) == (rate, wave.shape) else replace(output, job=None)  # another sound

    def cover(
        self,
        audio: np.ndarray | RemoteOutput,
        prompt: str = "",
        *,
        genre: str | None = None,
        keep: Sequence[str],
        lead_sheet: LeadSheet,
        sampling_rate: int | None = None,
        **options: Unpack[SoundOptions],
    ) -> RemoteOutput:
        """Let the service play a piece with another sound; as `MuseTunePipeline.cover`."""
        wave, rate = _samples(audio, sampling_rate)
        fields = {"genre": genre, "keep": list(keep), "prompt": prompt}
        job = self._edit(self.queue.client.cover, audio, rate, lead_sheet, fields, options)
        return self._edited(job, fit_take(*self._jobs.sound(job), wave, rate), rate)

    def loop(
        self,
        lead_sheet: LeadSheet,
        prompt: str = "",
        *,
        loops: int = 1,
        stereo: bool = False,
        **options: Unpack[SoundOptions],
    ) -> RemoteOutput:
        """Let the service generate a set of loops that fit each other; as `MuseTunePipeline.loop`."""
        fields = {"prompt": prompt, "lead_sheet": lead_sheet.to_json(), "loops": loops, "mono16": not stereo}
        job = self._jobs.make(self.queue.client.loop, options, fields)
        clips = list(self._jobs.archive(job, "loops").values()) if loops > 1 else [self._jobs.sound(job)]
        return RemoteOutput(np.stack([clip for clip, _ in clips]), clips[0][1], lead_sheet)

    # -- what all of these share

    def _edit(
        self,
        submit: Callable[..., JobStatus],
        audio: np.ndarray | RemoteOutput,
        rate: int,
        sheet: LeadSheet,
        fields: Mapping[str, Any],
        options: SoundOptions,
    ) -> JobStatus:
        """The job of an edit when it has succeeded; from the latents of the piece's own job where they are kept."""
        fields = {name: value for name, value in fields.items() if value is not None} | {"lead_sheet": sheet.to_json()}
        if isinstance(audio, RemoteOutput) and audio.job is not None:
            try:
                return self._jobs.make(submit, options, fields | {"source_job": audio.job})
            except ValueError as error:
                cause = error.__cause__
                if not (isinstance(cause, ServiceError) and cause.problem.code in GONE):
                    raise
        return self._jobs.make(submit, options, fields, _samples(audio, rate))

    def _edited(self, job: JobStatus, audio: np.ndarray, rate: int) -> RemoteOutput:
        """The output of an edit whose sound is ``audio``."""
        summary = (job.result or {}).get("summary", "")
        return RemoteOutput([audio], rate, self._jobs.sheet(job), [SimpleNamespace(summary=summary)], job=job.id)

    def _remember(self, audio: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
        """A clip in mono at the base's rate, and that rate; `to_stereo` gives back the stereo that it came in."""
        from musetune.audio import resample

        if audio.ndim == 1:
            return audio, rate
        mono = resample(audio.mean(axis=0), rate, RATE)
        self._wide = mono, audio
        return mono, RATE


def _samples(audio: np.ndarray | RemoteOutput, rate: int | None) -> tuple[np.ndarray, int]:
    """A piece's samples, (n,) or (channels, n), and their rate in Hz."""
    if isinstance(audio, RemoteOutput):
        return audio.audios[0], audio.sampling_rate
    assert rate is not None  # an array comes with it
    return audio, rate
