"""Edits and loops: a stretch anew, more before or after, another take, and what flows back into its beginning."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from musetune.client.bodies import CoverBody, EditBody, ExtendBody, LoopBody, RepaintBody, VaryBody
from musetune.serve.service.checks import check_length, loop_sheet, steps_of
from musetune.serve.service.generation import stepper, write_generation
from musetune.serve.service.inputs import Inputs, adapter_mix
from musetune.serve.service.previews import LEAD_IN_S, DenoisingCall
from musetune.serve.service.results import (
    check_stereo,
    finish_loops,
    write_audio,
    write_latents,
    write_report,
    write_sheet,
    write_zip,
)
from musetune.serve.service.worker import JobContext

if TYPE_CHECKING:
    from musetune.pipeline.pieces import AudioInput
    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.symbols import LeadSheet

OPTIONS = (
    "negative_prompt",
    "num_inference_steps",
    "guidance_scale",
    "music_guidance_scale",
    "stem_guidance_scale",
    "strength",
)


def repaint(pipe: MuseTunePipeline, context: JobContext, inputs: Inputs, max_seconds: float) -> Mapping[str, Any]:
    """Make stretches of a recording anew."""
    from musetune.pipeline.stretches import stretches_of

    body = RepaintBody.model_validate(context.job.request["body"])
    began, piece, sheet, options = _prepare(pipe, context, inputs, body)
    stretches = stretches_of(sheet, piece.duration_s, body.seconds, body.bars)
    options |= listening(pipe, context, body, section_calls(pipe, body, stretches, piece.duration_s))
    output = pipe.repaint(
        **_given(piece, sheet),
        prompt=body.prompt,
        seconds=body.seconds,
        bars=body.bars,
        harmonic_progression=body.harmonic_progression,
        **options,
    )
    return _write(context, body, output, began, inputs.depth())


def extend(pipe: MuseTunePipeline, context: JobContext, inputs: Inputs, max_seconds: float) -> Mapping[str, Any]:
    """Play on after a recording's end or before its beginning."""
    from musetune.pipeline.continuing import continue_sheet
    from musetune.pipeline.stretches import extension_of

    body = ExtendBody.model_validate(context.job.request["body"])
    began, piece, sheet, options = _prepare(pipe, context, inputs, body)
    check_length(piece.duration_s + body.before_seconds + body.after_seconds, max_seconds)
    if body.harmonic_progression is not None:
        sheet = continue_sheet(sheet, piece.duration_s, body.harmonic_progression, body.after_seconds)
    around = extension_of(piece.wave.shape[-1], piece.rate, body.before_seconds, body.after_seconds, pipe.row_s)
    options |= listening(pipe, context, body, section_calls(pipe, body, around.stretches, around.duration_s))
    output = pipe.extend(
        **_given(piece, sheet) | {"lead_sheet": sheet},
        prompt=body.prompt,
        before_seconds=body.before_seconds,
        after_seconds=body.after_seconds,
        **options,
    )
    return _write(context, body, output, began, inputs.depth())


def vary(pipe: MuseTunePipeline, context: JobContext, inputs: Inputs, max_seconds: float) -> Mapping[str, Any]:
    """Take a recording again."""
    body = VaryBody.model_validate(context.job.request["body"])
    from musetune.pipeline.editing import first_step_of

    check_stereo(pipe, body.mono16)
    began, piece, sheet, options = _prepare(pipe, context, inputs, body)
    rate = int(pipe.vocoder.config.sampling_rate)
    piece = replace(piece, wave=piece.mono(rate), rate=rate)  # the take is new: its format is what was asked for
    steps = steps_of(body, pipe=pipe)
    options |= listening(pipe, context, body, [DenoisingCall(steps, first=first_step_of(body.amount, steps))])
    output = pipe.vary(**_given(piece, sheet), prompt=body.prompt, amount=body.amount, **options)
    return write_generation(pipe, context, body, output, 0, {"generate": time.perf_counter() - began})


def cover(pipe: MuseTunePipeline, context: JobContext, inputs: Inputs, max_seconds: float) -> Mapping[str, Any]:
    """Play a recording with another sound."""
    body = CoverBody.model_validate(context.job.request["body"])
    began, piece, sheet, options = _prepare(pipe, context, inputs, body)
    if body.keep is not None:
        options["keep"] = body.keep
    options |= listening(pipe, context, body, [DenoisingCall(steps_of(body, pipe=pipe))])
    output = pipe.cover(**_given(piece, sheet), prompt=body.prompt, genre=body.genre, **options)
    return _write(context, body, output, began)


def loop(pipe: MuseTunePipeline, context: JobContext, inputs: Inputs, max_seconds: float) -> Mapping[str, Any]:
    """Generate loops: the first is the audio, all of them are in a zip."""
    from musetune.pipeline.loop_sheets import check_loop

    began = time.perf_counter()
    body = LoopBody.model_validate(context.job.request["body"])
    check_stereo(pipe, body.mono16)
    sheet = loop_sheet(body, inputs.sheet(body))
    check_loop(sheet)
    check_length(sheet.duration_s * body.loops, max_seconds)
    context.step("preparing")
    adapter_mix(pipe, body.adapters)
    options = _options(inputs, body)
    options |= listening(pipe, context, body, [DenoisingCall(steps_of(body, pipe=pipe))] * body.loops)
    output = pipe.loop(sheet, body.prompt, loops=body.loops, **options)
    seconds = {"generate": time.perf_counter() - began}
    context.step("writing")
    loops, rate = finish_loops(pipe, output.audios, body.mono16, body.lufs, sheet.duration_s)
    result = write_generation(pipe, context, body, output, 0, seconds, sound=(loops[0], {}, rate))
    if body.loops > 1:
        named = {f"{number}": audio for number, audio in enumerate(loops, start=1)}
        return {**result, "files": {**result["files"], **write_zip(context.folder, "loops", named, rate)}}
    return result


def _prepare(
    pipe: MuseTunePipeline, context: JobContext, inputs: Inputs, body: EditBody
) -> tuple[float, AudioInput, LeadSheet, dict[str, Any]]:
    """When the work began, the recording, its lead sheet, and the edit's options."""
    began = time.perf_counter()
    piece = inputs.source()
    sheet = inputs.sheet(body) or piece.lead_sheet or inputs.heard_sheet()
    context.step("preparing")
    adapter_mix(pipe, body.adapters)
    options = _options(inputs, body)
    notes = inputs.notes()
    if notes is not None:
        options["arrangement"] = notes
    return began, piece, sheet, options


def _options(inputs: Inputs, body: Any) -> dict[str, Any]:
    """Options that every edit takes."""
    import torch

    options = {name: value for name in OPTIONS if (value := getattr(body, name)) is not None}
    if (style := inputs.style()) is not None:
        options |= {"style_audio": style, "style_strength": body.style_strength}
    return options | {"generator": torch.Generator().manual_seed(body.seed), "return_report": True}


def listening(
    pipe: MuseTunePipeline, context: JobContext, body: EditBody | LoopBody, calls: Sequence[DenoisingCall]
) -> dict[str, Any]:
    """The option by which the pipeline tells of each step of the calls that it is going to make."""
    return {"callback_on_step_end": stepper(pipe, context, body.previews, calls)}


def section_calls(
    pipe: MuseTunePipeline, body: EditBody, stretches: Sequence[tuple[float, float]], duration_s: float
) -> list[DenoisingCall]:
    """The calls in which stretches are made anew, each listened to from shortly before its first one on."""
    from musetune.pipeline.stretches import sections_of

    window_s = pipe.unet.config.sample_size * pipe.row_s
    return [
        DenoisingCall(steps_of(body, pipe=pipe), begin_s=max(0.0, section.stretches[0][0] - LEAD_IN_S))
        for section in sections_of(stretches, duration_s, pipe.row_s, window_s)
    ]


def _given(piece: AudioInput, sheet: LeadSheet) -> dict[str, Any]:
    """The recording and its lead sheet as the pipeline takes them: a result with its latents, or samples."""
    from musetune.pipeline.output import MuseTuneOutput

    if piece.latents is None:
        return {"audio": piece.wave, "sampling_rate": piece.rate, "lead_sheet": sheet}
    notes = piece.arrangement if sheet is piece.lead_sheet else None  # its notes are not those of another sheet
    return {
        "audio": MuseTuneOutput(
            piece.wave[None], piece.rate, sheet, arrangement=notes, lead_sheets=(sheet,), latents=piece.latents
        )
    }


def _write(
    context: JobContext, body: EditBody, output: Any, began: float, depth: str | None = None
) -> Mapping[str, Any]:
    """Write the edited recording at its own rate, channels and depth; what came out as plain values.

    What the edit keeps stays as loud as it was, up to full scale.
    """
    from musetune.audio.loudness import set_loudness

    context.step("writing")
    made, folder = time.perf_counter(), context.folder
    audio, rate = output.audios[0], output.sampling_rate
    if body.lufs is not None:
        audio = set_loudness(audio, rate, body.lufs)
    length = audio.shape[-1] / rate
    most = 1.0 if body.lufs is None else 0.99
    files = write_audio(folder, "audio", audio, rate, most=most, depth=depth)
    files |= write_sheet(folder, output.lead_sheet, output.arrangement)
    files |= write_latents(folder, output.latents)
    result = {"seconds": length, "sampling_rate": rate, "seed": body.seed}
    result["channels"] = 1 if audio.ndim == 1 else len(audio)
    if output.reports:
        kept, shown = write_report(folder, output.reports[0], body.model_dump(mode="json", exclude_defaults=True))
        files, result = files | kept, result | shown
    seconds = {"generate": made - began, "write": time.perf_counter() - made}
    return result | {"stages": seconds, "real_time_factor": seconds["generate"] / length, "files": files}
