"""What a worker does with a generation: the request as the pipeline's arguments, and its output as files."""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musetune.client.wire import GenerationBody
from musetune.serve.service.worker import JobContext
from musetune.symbols import LeadSheet

if TYPE_CHECKING:
    import numpy as np

    from musetune.pipeline.pipeline import MuseTunePipeline

AUDIO_FORMATS = ("wav", "flac", "mp3", "ogg")
SUFFIXES = {"midi": ".mid", "musicxml": ".musicxml", "jams": ".jams"}
SHEET_STEM = "lead_sheet"  # of the file that comes with a request
DEFAULT_SECONDS, DEFAULT_STEPS, PLAIN_STEPS = 10.24, 20, 200
STEM_PLAYERS = 5  # that a request for stems generates one by one
PASSED = (  # on to the pipeline as they come
    "negative_prompt",
    "duration_seconds",
    "num_inference_steps",
    "num_waveforms_per_prompt",
    "guidance_scale",
    "music_guidance_scale",
    "stem_guidance_scale",
    "guidance_interval",
    "music_guidance_interval",
    "guidance_rescale",
    "window_seconds",
    "follow",
    "follow_seconds",
    "strength",
)
MUSIC_ONLY = (  # without a sheet the stock call refuses them
    "music_guidance_scale",
    "stem_guidance_scale",
    "guidance_interval",
    "music_guidance_interval",
    "guidance_rescale",
    "window_seconds",
    "follow",
    "follow_seconds",
    "strength",
)
SETTINGS = ("key", "bpm", "time_signature", "genre")


def resolve_music(body: GenerationBody, upload: Path | None) -> LeadSheet | None:
    """The lead sheet that a request means; None where it has none.

    Raises:
        ValueError: As the library says it.
    """
    from musetune.pipeline.request import resolve_lead_sheet

    if body.lead_sheet is not None and upload is not None:
        raise ValueError("give lead_sheet in the request or as a file, not both")
    sheet = None
    if body.lead_sheet is not None:
        sheet = LeadSheet.from_json(body.lead_sheet)
    elif upload is not None:
        sheet = LeadSheet.load(upload)
    settings = {name: getattr(body, name) for name in SETTINGS}
    if sheet is None and body.harmonic_progression is None:
        return None  # with duration_seconds the settings pin the plan of the prompt
    return resolve_lead_sheet(sheet, body.harmonic_progression, body.duration_seconds, DEFAULT_SECONDS, settings)


def check_generation(body: GenerationBody, has_upload: bool, max_seconds: float) -> float:
    """Check a request before it enters the queue, as far as that needs neither models nor the uploaded file.

    Returns:
        Its cost: seconds of audio × denoising steps × candidates.

    Raises:
        ValueError: As the library says it.
    """
    from musetune.pipeline.checks import check_intervals, check_positive, check_scales, check_shares, reject_arguments
    from musetune.pipeline.request import NEEDS_MUSIC

    scales = ("guidance_scale", "music_guidance_scale", "stem_guidance_scale")
    check_scales(**{name: getattr(body, name) for name in scales})
    check_shares(guidance_rescale=body.guidance_rescale, strength=body.strength)
    check_intervals(guidance_interval=body.guidance_interval, music_guidance_interval=body.music_guidance_interval)
    if body.duration_seconds is not None:
        check_positive("duration_seconds", body.duration_seconds)
    if body.stems and not body.arrange:
        raise ValueError("stems=True needs notes for the players: give arrange=true")
    for name, weight in body.adapters.items():
        if not 0 <= weight <= 2:
            raise ValueError(f"adapters: {name[:40]!r} has the weight {weight:g}, which is outside 0–2")
    if has_upload:
        if body.lead_sheet is not None:
            raise ValueError("give lead_sheet in the request or as a file, not both")
        seconds, music = body.duration_seconds or DEFAULT_SECONDS, True
    else:
        sheet = resolve_music(body, None)
        music = sheet is not None
        if not music and body.duration_seconds is None:
            music_only = {name: getattr(body, name) for name in (*SETTINGS, *MUSIC_ONLY)}
            reject_arguments(music_only | {"arrange": body.arrange or None}, NEEDS_MUSIC)
        seconds = sheet.duration_s if sheet is not None else body.duration_seconds or DEFAULT_SECONDS
    check_length(seconds, max_seconds)
    steps = body.num_inference_steps or (DEFAULT_STEPS if music or body.duration_seconds else PLAIN_STEPS)
    return seconds * steps * body.num_waveforms_per_prompt * (STEM_PLAYERS if body.stems else 1)


def check_length(seconds: float, most: float) -> None:
    """Raise ValueError for audio that is longer than the service makes."""
    if seconds > most:
        raise ValueError(f"duration_seconds={seconds:g} is more than the {most:g} s that this service makes at once")


class GenerationRunner:
    """Does generations, on one pipeline that it loads once.

    Args:
        base: "nano", a folder, or a Hub id.
        adapter: A theory adapter; None: the base's own, else "theory".
        device: Such as cpu or cuda:1; None: cuda where there is one.
        max_seconds: The longest audio that it makes.
        notices: A folder in which it says what it has loaded, under the worker's process id.
    """

    kinds: Collection[str] = ("generation",)

    def __init__(
        self,
        base: str = "nano",
        adapter: str | None = None,
        device: str | None = None,
        max_seconds: float = 300.0,
        notices: Path | None = None,
    ) -> None:
        from musetune.serve.work import load

        self.pipe, self.max_seconds = load(base, adapter, device), max_seconds
        self.pipe.set_progress_bar_config(disable=True)  # its log is lines of JSON
        if notices is not None:
            write_notice(notices, loaded(self.pipe))

    def __call__(self, context: JobContext) -> Mapping[str, Any]:
        """Generate what a job asks for."""
        began = time.perf_counter()
        body = GenerationBody.model_validate(context.job.request["body"])
        sheet = resolve_music(body, next(context.uploads.glob(f"{SHEET_STEM}.*"), None))
        if sheet is not None:
            check_length(sheet.duration_s, self.max_seconds)
        context.step("preparing")
        call = self._arguments(body, sheet)
        players = len(call["arrangement"].stems) if body.stems and "arrangement" in call else 1
        done = 0
        steps = call.get("num_inference_steps") or (
            DEFAULT_STEPS if sheet is not None or body.duration_seconds else PLAIN_STEPS
        )

        def on_step(pipe: MuseTunePipeline, step: int, t: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            nonlocal done
            done += 1
            context.step("denoising", done, max(done, steps * players))
            if done == steps * players:
                context.step("decoding")
            return tensors

        output = self.pipe(body.prompt, callback_on_step_end=on_step, **call)
        made = time.perf_counter()
        context.step("writing")
        return self._write(context, body, output, {"generate": made - began}, made)

    def _arguments(self, body: GenerationBody, sheet: LeadSheet | None) -> dict[str, Any]:
        """The pipeline's arguments."""
        import torch

        from musetune.serve.work import genres_of

        if unknown := sorted(set(body.adapters) - set(genres_of(self.pipe))):
            have = ", ".join(genres_of(self.pipe)) or "none"
            raise ValueError(f"adapters: there is no {unknown[0][:40]!r} here; there are: {have}")
        if genres_of(self.pipe):
            self.pipe.set_adapter({name: weight for name, weight in body.adapters.items() if weight > 0} or None)
        call = {name: value for name in PASSED if (value := getattr(body, name)) is not None}
        call["generator"] = torch.Generator().manual_seed(body.seed)
        if sheet is None:
            return call | {name: value for name in SETTINGS if (value := getattr(body, name)) is not None}
        call.pop("duration_seconds", None)
        call |= {"lead_sheet": sheet, "return_report": True}
        if body.arrange:
            call |= {"arrangement": self.pipe.arrange(sheet, seed=body.seed % 2**31), "stems": body.stems}
        return call

    def _write(
        self, context: JobContext, body: GenerationBody, output: Any, seconds: dict[str, float], made: float
    ) -> Mapping[str, Any]:
        """Write an output's files; what came out as plain values."""
        rate = int(self.pipe.vocoder.config.sampling_rate)
        folder, audio = context.folder, output.audios[0]
        length = audio.shape[-1] / rate
        files = write_audio(folder, "audio", audio, rate)
        result: dict[str, Any] = {"seconds": length, "sampling_rate": rate, "seed": body.seed}
        sheet = getattr(output, "lead_sheet", None)
        if sheet is not None:
            files |= write_sheet(folder, sheet, getattr(output, "arrangement", None))
        reports = getattr(output, "reports", None)
        if reports:
            report = reports[0]
            (folder / "report.json").write_text(report.dumps(body.model_dump(mode="json", exclude_defaults=True)))
            files["report"] = "report.json"
            result |= {"score": _number(report.score), "summary": report.summary}
            result["parts"] = {name: _number(value) for name, value in report.parts.items()}
        if getattr(output, "stems", None):
            with zipfile.ZipFile(folder / "stems.zip", "w") as archive:
                for name, stem in output.stems.items():
                    path = folder / write_audio(folder, f"stem-{name}", stem, rate, ("flac",))[f"stem-{name}.flac"]
                    archive.write(path, f"{name}.flac")
                    path.unlink()
            files["stems"] = "stems.zip"
        seconds |= {"write": time.perf_counter() - made}
        return result | {"stages": seconds, "real_time_factor": seconds["generate"] / length, "files": files}


def write_audio(
    folder: Path, stem: str, audio: np.ndarray, rate: int, formats: Collection[str] = AUDIO_FORMATS
) -> dict[str, str]:
    """Write audio in several formats; names of files by stem and format."""
    from musetune.audio import save_audio

    peak = float(abs(audio).max()) if audio.size else 0.0
    audio = audio / max(1.0, peak / 0.99)  # a prompt alone may clip
    return {f"{stem}.{kind}": save_audio(folder / f"{stem}.{kind}", audio, rate).name for kind in formats}


def write_sheet(folder: Path, sheet: LeadSheet, arrangement: Any = None) -> dict[str, str]:
    """Write a lead sheet, or the players' notes where there are some, as chart, MIDI, MusicXML and JAMS."""
    from musetune.formats.chart_text import chart_text
    from musetune.formats.songs import save_song

    (folder / "chart.txt").write_text(chart_text(sheet) + "\n")
    files = {"chart": "chart.txt", "plan": sheet.save(folder / "plan.json").name}
    for kind, suffix in SUFFIXES.items():
        path = folder / f"music{suffix}"
        files[kind] = (sheet.save(path) if arrangement is None else save_song(sheet, arrangement, path)).name
    return files


def _number(value: float) -> float | None:
    return None if value is None or value != value else float(value)


def loaded(pipe: MuseTunePipeline) -> dict[str, Any]:
    """What a pipeline has loaded, as plain values."""
    adapters = [{"name": info.name, "kind": info.kind} for info in pipe.adapters.values()]
    model = {
        "name": pipe.base_name,
        "device": str(pipe.device),
        "sampling_rate": int(pipe.vocoder.config.sampling_rate),
        "seconds": float(pipe.unet.config.sample_size * pipe.row_s),
    }
    return {"adapters": adapters, "model": model}


def write_notice(folder: Path, notice: Mapping[str, Any]) -> None:
    """Say that this process is ready, and with what; the file appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{os.getpid()}.part"
    part.write_text(json.dumps(notice))
    part.replace(folder / f"{os.getpid()}.json")


def generation_factory(
    base: str, adapter: str | None, device: str | None, max_seconds: float, notices: Path
) -> partial[GenerationRunner]:
    """What makes the runner in each worker process."""
    return partial(GenerationRunner, base, adapter, device, max_seconds, notices)
