"""Sets of loops: one sheet, several takes that are played together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from musetune.models.upsampler.network import FACTOR, RATE
from musetune.pipeline.checks import check_counts
from musetune.pipeline.edit_options import EditOptions
from musetune.pipeline.edit_request import edit_request, generate_latents
from musetune.pipeline.looping import loop_request, stereo_loop
from musetune.pipeline.output import MuseTuneOutput
from musetune.symbols import LeadSheet

MEASURE_S = 3.0  # a shorter loop is repeated until loudness can be measured


def make_loops(
    pipe: Any,
    sheet: LeadSheet,
    prompt: str | Sequence[str],
    loops: int | None,
    stereo: bool,
    options: EditOptions,
) -> MuseTuneOutput:
    """Generate loops; see ``MuseTunePipeline.loop``."""
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    if not prompts:
        raise ValueError("prompt=[] names no loop: give one text, or one for each loop")
    count = len(prompts) if loops is None else loops
    check_counts(loops=count)
    generators = options.get("generator")
    if isinstance(generators, list) and len(generators) != count:
        raise ValueError(f"generator holds {len(generators)} for {count} loops: give one, or one for each")
    notes, audios = options.get("arrangement"), []
    for index in range(count):
        words = prompts[index % len(prompts)]
        own = dict(options) | {"generator": generators[index] if isinstance(generators, list) else generators}
        request = edit_request(pipe, sheet, notes, words, sheet.duration_s, own)  # type: ignore[arg-type]
        played = loop_request(request, pipe.row_s)
        latents = generate_latents(pipe, played, words, own)  # type: ignore[arg-type]
        with pipe.adapter_manager.playing(request.strength, music=True):
            audios.append(pipe._sound(latents, played)[0])
    pipe.maybe_free_model_hooks()
    rate, reports = pipe._rate, None
    if options.get("return_report"):
        from musetune.evaluation import report

        reports = [report(audio, rate, sheet) for audio in audios]
    if stereo:
        audios, rate = [stereo_loop(pipe, audio, sheet.duration_s) for audio in audios], FACTOR * RATE
    return MuseTuneOutput(level_loops(np.stack(audios), rate), rate, sheet, reports, notes, lead_sheets=(sheet,))


def level_loops(audios: np.ndarray, rate: int) -> np.ndarray:
    """Make loops equally loud: all as loud as they are on average, by EBU R128, softer where one would clip.

    Args:
        audios: floats (loops, samples) or (loops, channels, samples).
        rate: Hz.

    Returns:
        Float32 of the same shape; silence as it is.

    Example:
        >>> tones = np.stack([np.sin(np.arange(16000) / 5) * gain for gain in (0.1, 0.4)])
        >>> loud, soft = level_loops(tones, 16000).std(axis=1)
        >>> bool(abs(loud / soft - 1) < 0.01)
        True
    """
    import pyloudnorm

    meter = pyloudnorm.Meter(rate)
    times = max(1, int(np.ceil(MEASURE_S * rate / audios.shape[-1])))
    found = []
    for audio in audios:
        turns = np.concatenate([audio] * times, axis=-1).astype(float)
        found.append(meter.integrated_loudness(turns.T) if np.abs(audio).max() > 0 else -np.inf)
    loudness = np.array(found)
    sounding = np.isfinite(loudness)
    gain = np.ones(len(audios))
    if sounding.any():
        gain[sounding] = 10 ** ((loudness[sounding].mean() - loudness[sounding]) / 20)
    level = audios * gain.reshape(-1, *[1] * (audios.ndim - 1))
    return np.asarray(level / max(1.0, float(np.abs(level).max(initial=0.0)) / 0.99), np.float32)
