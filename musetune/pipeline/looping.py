"""Loops: the last bar flows into the first, a whole number of bars to the sample."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from musetune.pipeline.checks import check_counts, reject_arguments
from musetune.pipeline.edit_options import EditOptions
from musetune.pipeline.editing import edit_request, generate_latents
from musetune.pipeline.output import MuseTuneOutput
from musetune.pipeline.splicing import FADE_S, crossfade
from musetune.symbols import BeatGrid, LeadSheet

AROUND = 64  # spectrogram frames of the loop's other end that the vocoder hears beyond either end


def make_loops(pipe: Any, sheet: LeadSheet, prompt: str, loops: int, options: EditOptions) -> MuseTuneOutput:
    """Generate loops; see ``MuseTunePipeline.loop``.

    Latent rows do not fit bars. So the sheet is played a little faster or slower, in whole rows, and the spectrogram
    is stretched back in time, which leaves pitches alone; what then lacks to the sample, less than a frame, is made by
    resampling the periodic waveform.
    """
    check_counts(loops=loops)
    reject_arguments({"arrangement": options.get("arrangement")}, "cannot be looped: give the lead sheet alone")
    check_loop(sheet)
    rows = max(8, round(sheet.duration_s / pipe.row_s))
    seconds = rows * pipe.row_s
    twice = repeat_sheet(sheet, seconds / sheet.duration_s)
    request = edit_request(pipe, twice, None, prompt, seconds, options)
    latents = torch.cat([generate_latents(pipe, request, prompt, options, circular=True) for _ in range(loops)])
    samples = round(sheet.duration_s * pipe.vocoder.config.sampling_rate)
    audios = np.stack([vocode_loop(pipe, one[None], samples) for one in latents])
    pipe.maybe_free_model_hooks()
    reports = None
    if options.get("return_report"):
        from musetune.evaluation import report

        reports = [report(audio, pipe.vocoder.config.sampling_rate, sheet) for audio in audios]
    return MuseTuneOutput(audios, pipe.vocoder.config.sampling_rate, sheet, reports, lead_sheets=(sheet,))


def check_loop(sheet: LeadSheet) -> None:
    """Raise ValueError where a sheet is not whole bars of one meter from a downbeat at time 0."""
    bar = sheet.meter.beats_per_bar
    if len(sheet.meters) > 1 or sheet.first_downbeat != 0 or abs(float(sheet.grid.time_at(0))) > 1e-6:
        raise ValueError("a loop needs one meter and a first downbeat at time 0: use sheet.slice(bar line, bar line)")
    if sheet.length % bar or sheet.length.denominator != 1:
        raise ValueError(
            f"the lead sheet lasts {sheet.length} beats, no whole number of bars of {bar}: use "
            f"sheet.slice(0, {math.floor(sheet.length / bar) * bar or bar})"
        )


def repeat_sheet(sheet: LeadSheet, ratio: float) -> LeadSheet:
    """Play a sheet twice, ``ratio`` times as slow.

    Example:
        >>> twice = repeat_sheet(LeadSheet.parse("| C | F |", bpm=120), 1.5)
        >>> twice.chord_labels, twice.duration_s
        (['C:maj', 'F:maj', 'C:maj', 'F:maj'], 12.0)
    """
    beats = int(sheet.length)
    once = np.asarray(sheet.grid.time_at(np.arange(beats + 1, dtype=float)))
    times = np.concatenate([once, once[1:] + once[-1]]) * ratio

    def again(spans: Any) -> tuple[Any, ...]:
        return (*spans, *(replace(span, start=span.start + beats) for span in spans))

    keys = sheet.keys if len(sheet.keys) == 1 else again(sheet.keys)
    return replace(
        sheet,
        chords=again(sheet.chords),
        keys=keys,
        melody=again(sheet.melody),
        sections=(),
        grid=BeatGrid(tuple(times.tolist())),
        length=sheet.length * 2,
    )


def vocode_loop(pipe: Any, latents: Tensor, samples: int) -> np.ndarray:
    """Return a loop of so many samples, (samples,) float32, of latents (1, channels, rows, cols) that are one."""
    rows, scale = latents.shape[2], pipe.vae_scale_factor
    edge = min(8, rows)
    circle = torch.cat([latents[:, :, -edge:], latents, latents[:, :, :edge]], dim=2)
    mel = pipe.vae.decode(circle.to(pipe.vae.dtype) / pipe.vae.config.scaling_factor).sample
    mel = mel[:, :, edge * scale : (edge + rows) * scale]
    hop = math.prod(pipe.vocoder.config.upsample_rates)
    frames = max(1, round(samples / hop))
    mel = stretch_circle(mel, frames)
    more = math.ceil(FADE_S * pipe.vocoder.config.sampling_rate / hop) + AROUND
    index = torch.arange(-AROUND, frames + more, device=mel.device) % frames
    audio = pipe.mel_spectrogram_to_waveform(mel[:, :, index])[0].float().cpu().numpy()
    body = audio[AROUND * hop : (AROUND + frames) * hop].copy()
    fade = min(len(body), int(FADE_S * pipe.vocoder.config.sampling_rate))
    after = audio[(AROUND + frames) * hop :][:fade]
    body[:fade] = crossfade(after, body[:fade])
    if len(body) != samples:
        import scipy.signal

        body = scipy.signal.resample(body, samples)
    return np.asarray(body / max(1.0, np.abs(body).max() / 0.99), np.float32)


def stretch_circle(mel: Tensor, frames: int) -> Tensor:
    """Stretch a periodic spectrogram (B, 1, n, bins) to ``frames``, linear between neighbours."""
    count = mel.shape[2]
    place = torch.arange(frames, device=mel.device, dtype=torch.float32) * count / frames
    low = place.floor().long() % count
    share = (place - place.floor()).to(mel.dtype)[:, None]
    return (1 - share) * mel[:, :, low] + share * mel[:, :, (low + 1) % count]
