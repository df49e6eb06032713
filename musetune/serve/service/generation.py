"""Generations: a request as the pipeline's arguments, its output as files; several at once where they fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from musetune.client.bodies import GenerationBody
from musetune.serve.service.checks import SETTINGS, check_length, resolve_music, steps_of
from musetune.serve.service.inputs import Inputs, adapter_mix
from musetune.serve.service.jobs import JobCancelledError
from musetune.serve.service.previews import DenoisingCall, Previewer, preview_steps
from musetune.serve.service.results import (
    check_stereo,
    finish_sound,
    write_audio,
    write_latents,
    write_report,
    write_sheet,
    write_zip,
)
from musetune.serve.service.worker import JobContext

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.symbols import LeadSheet

PASSED = (  # on to the pipeline as they come
    "negative_prompt",
    "transcription",
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
    "expression",
    "strength",
    "max_new_tokens",
)
OnStep = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]


def generate(pipe: MuseTunePipeline, context: JobContext, inputs: Inputs, max_seconds: float) -> Mapping[str, Any]:
    """Do one generation."""
    began = time.perf_counter()
    body = GenerationBody.model_validate(context.job.request["body"])
    sheet, notes = resolve_music(body, inputs.sheet(body)), inputs.notes()
    if sheet is not None:
        check_length(sheet.duration_s, max_seconds)
    elif body.arrange:  # the request was checked: it says how long the song of its words is
        sheet = plan_words(pipe, body)
    check_stereo(pipe, body.mono16)
    context.step("preparing")
    swap = adapter_mix(pipe, body.adapters)
    call = _arguments(body)
    if sheet is None:
        call |= {name: value for name in SETTINGS if (value := getattr(body, name)) is not None}
    else:
        call.pop("duration_seconds", None)
        call |= {"lead_sheet": sheet, "return_report": True}
        if body.arrange:
            notes = pipe.arrange(sheet, seed=body.seed % 2**31)
        if notes is not None:
            call |= {"arrangement": notes, "stems": body.stems}
    if (style := inputs.style()) is not None:
        call |= {"style_audio": style, "style_strength": body.style_strength}
    if body.loop:
        call["loop"] = True
    music = sheet is not None or body.duration_seconds is not None
    players = len(notes.stems) if body.stems and notes is not None else 1
    on_step = stepper(pipe, context, body.previews, [DenoisingCall(steps_of(body, music, pipe))] * players)
    output = pipe(body.prompt, callback_on_step_end=on_step, **call)
    seconds = {"adapters": swap, "generate": time.perf_counter() - began - swap}
    loop_s = output.lead_sheet.duration_s if body.loop else None
    return write_generation(pipe, context, body, output, 0, seconds, loop_s=loop_s)


def plan_words(pipe: MuseTunePipeline, body: GenerationBody) -> LeadSheet:
    """The song that words, a length and what is pinned mean, as the pipeline would write it for the same seed."""
    pins = {name: value for name in SETTINGS if (value := getattr(body, name)) is not None}
    return pipe.plan(body.prompt, duration_seconds=body.duration_seconds, seed=body.seed % 2**31, **pins)


def generate_together(
    pipe: MuseTunePipeline, contexts: Sequence[JobContext], max_seconds: float
) -> list[Mapping[str, Any] | Exception]:
    """Do several generations of one batch key in one call; a job that is cancelled leaves the others alone."""
    began = time.perf_counter()
    bodies = [GenerationBody.model_validate(context.job.request["body"]) for context in contexts]
    sheets = [_own_sheet(body) for body in bodies]
    first, ended = bodies[0], dict[int, Exception]()
    check_length(sheets[0].duration_s, max_seconds)
    swap = adapter_mix(pipe, first.adapters)
    call = _common_arguments(pipe, bodies, sheets)
    steps = steps_of(first, pipe=pipe)

    def on_step(_: Any, step: int, __: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        _tell(contexts, ended, "denoising", step + 1, steps)
        if len(ended) == len(contexts):
            raise ended[0]
        if step + 1 == steps:
            _tell(contexts, ended, "decoding")
        return tensors

    prompts = [body.prompt for body in bodies]
    try:
        output = pipe(prompts, lead_sheet=sheets, return_report=True, callback_on_step_end=on_step, **call)
    except Exception:
        if len(ended) == len(contexts):
            return [ended[number] for number in range(len(contexts))]
        raise
    seconds = {"adapters": swap, "generate": (time.perf_counter() - began - swap) / len(contexts)}

    def write(number: int) -> Mapping[str, Any] | Exception:
        if number in ended:
            return ended[number]
        notes = call["arrangement"][number] if first.arrange else None
        place, body = number * first.num_waveforms_per_prompt, bodies[number]
        try:
            made = write_generation(pipe, contexts[number], body, output, place, dict(seconds), sheets[number], notes)
        except Exception as error:
            return error
        return {**made, "batch": len(contexts)}

    return [write(number) for number in range(len(contexts))]


def _tell(
    contexts: Sequence[JobContext], ended: dict[int, Exception], stage: str, step: int = 0, steps: int = 0
) -> None:
    """Tell how far several jobs are; those that are to stop are put into ``ended`` with what stops them."""
    for number, context in enumerate(contexts):
        if number not in ended:
            try:
                context.step(stage, step, steps)
            except Exception as error:
                ended[number] = error
                if isinstance(error, JobCancelledError):
                    context.finish_cancel()


def _common_arguments(
    pipe: MuseTunePipeline, bodies: Sequence[GenerationBody], sheets: Sequence[LeadSheet]
) -> dict[str, Any]:
    """The pipeline's arguments of several requests of one batch key."""
    first = bodies[0]
    call = _arguments(first)
    call.pop("duration_seconds", None)
    call["negative_prompt"] = [body.negative_prompt for body in bodies]
    candidates = first.num_waveforms_per_prompt  # of one request they share a generator, as when it runs alone
    call["generator"] = [one for body in bodies for one in [_generator(body)] * candidates]
    if first.arrange:
        seeds = [body.seed % 2**31 for body in bodies]
        call["arrangement"] = [pipe.arrange(sheet, seed=seed) for sheet, seed in zip(sheets, seeds, strict=True)]
    return call


def _own_sheet(body: GenerationBody) -> LeadSheet:
    from musetune.symbols import LeadSheet

    sheet = resolve_music(body, None if body.lead_sheet is None else LeadSheet.from_json(body.lead_sheet))
    assert sheet is not None  # its batch key says so
    return sheet


def _generator(body: GenerationBody) -> Any:
    import torch

    return torch.Generator().manual_seed(body.seed)


def _arguments(body: GenerationBody) -> dict[str, Any]:
    """The pipeline's arguments that a request has in itself."""
    call = {name: value for name in PASSED if (value := getattr(body, name)) is not None}
    return call | {"generator": _generator(body)} | ({"eta": body.eta} if body.eta else {})


def stepper(pipe: MuseTunePipeline, context: JobContext, previews: int, calls: Sequence[DenoisingCall]) -> OnStep:
    """What the pipeline calls after each denoising step: it tells how far the job is, lets hear it where previews are
    asked for, and stops where the job is not wanted any more.

    Args:
        pipe: What generates.
        context: The job's.
        previews: How often one listens.
        calls: The job's calls that denoise, in order; those that come beyond them are as the last.
    """
    marks = preview_steps(previews, calls)
    total, done, index, listener = sum(call.steps - call.first for call in calls), 0, 0, None

    def on_step(_: Any, step: int, __: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        nonlocal done, index, listener
        done += 1
        context.step("denoising", done, max(done, total))
        if previews:
            latents: Tensor = tensors["latents"]
            if listener is None:
                own = [mark for call, mark in marks if call == index]
                listener = Previewer(pipe, own, calls[min(index, len(calls) - 1)].begin_s, context.folder)
            if (path := listener.after_step(step + 1, latents, done)) is not None:
                context.show(path, done, max(done, total))
        if step + 1 == calls[min(index, len(calls) - 1)].steps:
            index, listener = index + 1, None
        if done == total:
            context.step("decoding")
        return tensors

    return on_step


def write_generation(
    pipe: MuseTunePipeline,
    context: JobContext,
    body: Any,
    output: Any,
    place: int,
    seconds: dict[str, float],
    sheet: LeadSheet | None = None,
    notes: Any = None,
    loop_s: float | None = None,
    sound: tuple[np.ndarray, dict[str, np.ndarray], int] | None = None,
) -> Mapping[str, Any]:
    """Write an output's files; what came out as plain values.

    Args:
        pipe: What generated.
        context: The job's.
        body: What was asked for: ``mono16``, ``lufs``, ``seed``.
        output: As the pipeline gave it.
        place: Which waveform of it.
        seconds: Of the stages before.
        sheet: The waveform's lead sheet; the output's own where it is one prompt's.
        notes: The like of the players' notes.
        loop_s: Seconds of what is a loop.
        sound: The waveform as `finish_sound` gives it, where it is finished already.
    """
    context.step("writing")
    began, folder = time.perf_counter(), context.folder
    if sound is None:
        stems = getattr(output, "stems", None)
        sound = finish_sound(pipe, output.audios[place], stems, body.mono16, body.lufs, loop_s)
    audio, players, rate = sound
    upsampled = time.perf_counter()
    length = audio.shape[-1] / rate
    files = write_audio(folder, "audio", audio, rate)
    result: dict[str, Any] = {"seconds": length, "sampling_rate": rate, "seed": body.seed}
    result["channels"] = 1 if audio.ndim == 1 else len(audio)
    sheet = getattr(output, "lead_sheet", None) if sheet is None else sheet
    notes = getattr(output, "arrangement", None) if notes is None else notes
    if sheet is not None:
        files |= write_sheet(folder, sheet, notes)
    if reports := getattr(output, "reports", None):
        settings = body.model_dump(mode="json", exclude_defaults=True)
        kept, shown = write_report(folder, reports[place], settings)
        files, result = files | kept, result | shown
    if players:
        files |= write_zip(folder, "stems", players, rate)
    latents = getattr(output, "latents", None)
    files |= write_latents(folder, None if latents is None else latents[place : place + 1])
    seconds |= {"finish": upsampled - began, "write": time.perf_counter() - upsampled}
    return result | {"stages": seconds, "real_time_factor": seconds.get("generate", 0.0) / length, "files": files}
