"""The request of an edit, and the latents that come of it: a call's own, with what it starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from musetune.pipeline.checks import check_counts, check_scales, check_shares
from musetune.pipeline.edit_options import EditOptions
from musetune.pipeline.request import GenerationRequest, build_request
from musetune.pipeline.sampler import SourceLatents, check_generators
from musetune.pipeline.style import load_style
from musetune.symbols import Arrangement, LeadSheet

WORDS = (  # what a call may give beside its prompt
    "transcription",
    "prompt_embeds",
    "negative_prompt_embeds",
    "generated_prompt_embeds",
    "negative_generated_prompt_embeds",
    "attention_mask",
    "negative_attention_mask",
    "max_new_tokens",
)


def edit_request(
    pipe: Any,
    sheet: LeadSheet,
    notes: Arrangement | None,
    prompt: str,
    seconds: float,
    options: EditOptions,
    follow: Sequence[str] | None = None,
) -> GenerationRequest:
    """Check the options, and return the request of one waveform of so many seconds.

    ``follow``: the streams that count, as in a call; None: all.
    """
    scales = {name: options.get(name) for name in ("guidance_scale", "music_guidance_scale", "stem_guidance_scale")}
    check_scales(**scales)  # type: ignore[arg-type]
    check_shares(strength=options.get("strength"))
    check_counts(num_inference_steps=options.get("num_inference_steps"))
    check_generators(options.get("generator"))
    if options.get("arrangement") is not None and (pipe.adapter is None or pipe.adapter.stems is None):
        raise ValueError(
            "this adapter reads no notes: load one that does, such as 'theory', or leave the arrangement out"
        )
    request = build_request(
        [prompt],
        lead_sheet=sheet,
        harmonic_progression=None,
        settings={},
        seconds=None,
        default_seconds=seconds,
        arrangement=notes,
        adapter=pipe.adapter,
        song=True,
        follow=follow,
        follow_seconds=None,
        guidance_rescale=None,
        guidance_interval=None,
        music_guidance_interval=None,
        window_seconds=None,
        steps=options.get("num_inference_steps"),
        waveforms=1,
        strength=options.get("strength"),
        stems=False,
        sampling=pipe.adapter_manager.sampling,
        **scales,  # type: ignore[arg-type]
    )
    style = load_style(pipe, options.get("style_audio"), options.get("style_strength"))
    return replace(request, seconds=seconds, style=style)


def generate_latents(
    pipe: Any,
    request: GenerationRequest,
    prompt: str,
    options: EditOptions,
    source: SourceLatents | None = None,
) -> Tensor:
    """Return latents (1, channels, rows, cols)."""
    words = dict.fromkeys(WORDS) | {"negative_prompt": options.get("negative_prompt")}
    on_step = pipe._on_step(None, 1, options.get("callback_on_step_end"))
    sampling = {"eta": 0.0, "cross_attention_kwargs": None, "on_step": on_step}
    with pipe.adapter_manager.playing(request.strength, music=True):
        return pipe._generate(request, [prompt], words, options.get("generator"), None, source, **sampling)
