"""Loops: the last bar flows into the first, a whole number of bars to the sample."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from musetune.models.upsampler.network import FACTOR, RATE
from musetune.pipeline.checks import reject_arguments
from musetune.pipeline.decoding import frame_samples, frames_per_row, to_frames, to_waves
from musetune.pipeline.loop_sheets import check_loop, repeat_notes, repeat_sheet
from musetune.pipeline.request import GenerationRequest
from musetune.pipeline.splicing import FADE_S, crossfade

AROUND = 64  # spectrogram frames of the loop's other end that the vocoder hears beyond either end


def loop_request(request: GenerationRequest, row_s: float) -> GenerationRequest:
    """Return the request of a loop: what it asks for, played in a circle.

    Latent rows do not fit bars. So the sheet is played a little faster or slower, in whole rows, and the spectrogram
    is stretched back in time, which leaves pitches alone; what then lacks to the sample, less than a frame, is made by
    resampling the periodic waveform.

    Args:
        request: of whole bars.
        row_s: seconds of a latent row.

    Raises:
        ValueError: where a sheet is not whole bars, a stretch of it is asked for alone, or its loudness changes.
    """
    for one in request.music:
        check_loop(one.lead_sheet)
        reject_arguments({"follow_seconds": one.mask.stretch_s}, "has no meaning in a loop: leave it out")
        if one.expression is not None and len({level for _, level in one.expression.loudness_db}) > 1:
            raise ValueError("the loudness of a loop would jump at its seam: give expression one level, ((0, -20),)")
    length_s = request.music[0].lead_sheet.duration_s
    seconds = max(8, round(length_s / row_s)) * row_s
    music = tuple(
        replace(
            one,
            lead_sheet=repeat_sheet(one.lead_sheet, seconds / length_s),
            arrangement=one.arrangement and repeat_notes(one.arrangement, one.lead_sheet, seconds / length_s),
        )
        for one in request.music
    )
    return replace(request, music=music, seconds=seconds, loop_seconds=length_s)


def vocode_loop(pipe: Any, latents: Tensor, samples: int) -> np.ndarray:
    """Return a loop of so many samples, (samples,) float32, of latents (1, channels, rows, cols) that are one."""
    rows, scale = latents.shape[2], frames_per_row(pipe)
    edge = min(8, rows)
    circle = torch.cat([latents[:, :, -edge:], latents, latents[:, :, :edge]], dim=2)
    sound = to_frames(pipe, circle)[:, :, edge * scale : (edge + rows) * scale]
    hop = frame_samples(pipe)
    frames = max(1, round(samples / hop))
    sound = stretch_circle(sound, frames)
    more = math.ceil(FADE_S * pipe.vocoder.config.sampling_rate / hop) + AROUND
    index = torch.arange(-AROUND, frames + more, device=sound.device) % frames
    audio = to_waves(pipe, sound[:, :, index])[0].float().cpu().numpy()
    body = audio[AROUND * hop : (AROUND + frames) * hop].copy()
    fade = min(len(body), int(FADE_S * pipe.vocoder.config.sampling_rate))
    after = audio[(AROUND + frames) * hop :][:fade]
    body[:fade] = crossfade(after, body[:fade])
    body = resample_circle(body, samples)
    return np.asarray(body / max(1.0, np.abs(body).max() / 0.99), np.float32)


def stereo_loop(pipe: Any, wave: np.ndarray, seconds: float) -> np.ndarray:
    """Make 48 kHz stereo of a loop, which stays one.

    The upsampler hears the loop's end before its beginning and its beginning after its end; its noise above 8 kHz,
    which does not recur, is crossfaded at the seam.

    Args:
        wave: (samples,) at 16 kHz.
        seconds: what the loop lasts.

    Returns:
        Float32 (2, n), ``seconds`` to the sample.
    """
    network = pipe.upsampler
    margin = int(network.context * network.config.hop)
    fade = min(len(wave), int(FADE_S * RATE))
    wide = pipe.to_stereo(wave[np.arange(-margin, len(wave) + fade + margin) % len(wave)])
    first, last = FACTOR * margin, FACTOR * (margin + len(wave))
    body, fade = wide[:, first:last].copy(), FACTOR * fade
    body[:, :fade] = crossfade(wide[:, last : last + fade], body[:, :fade])
    return np.asarray(resample_circle(body, round(seconds * FACTOR * RATE)), np.float32)


def resample_circle(wave: np.ndarray, samples: int) -> np.ndarray:
    """Resample a periodic waveform (…, n) to a period of ``samples``, by its Fourier series."""
    if wave.shape[-1] == samples:
        return wave
    import scipy.signal

    return np.asarray(scipy.signal.resample(wave, samples, axis=-1))


def stretch_circle(mel: Tensor, frames: int) -> Tensor:
    """Stretch a periodic spectrogram, or other features, (B, 1, n, bins) to ``frames``, linear between neighbours."""
    count = mel.shape[2]
    place = torch.arange(frames, device=mel.device, dtype=torch.float32) * count / frames
    low = place.floor().long() % count
    share = (place - place.floor()).to(mel.dtype)[:, None]
    return (1 - share) * mel[:, :, low] + share * mel[:, :, (low + 1) % count]
