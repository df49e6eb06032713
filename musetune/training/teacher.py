"""The teacher of a distillation: the guided model's whole way from noise to latents, by the pipeline's own sampler."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from diffusers.schedulers.scheduling_utils import SchedulerMixin
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import pad

from musetune.conditioning import STEM_STREAMS, MusicTokens
from musetune.datasets.latent_dataset import TextEmbedding
from musetune.pipeline.conditions import Conditions
from musetune.pipeline.guidance import Guidance
from musetune.pipeline.sampler import sample
from musetune.training.denoiser import Denoiser


@torch.no_grad()
def trajectory(
    denoiser: Denoiser,
    scheduler: SchedulerMixin,
    guidance: Guidance,
    tokens: MusicTokens,
    text: TextEmbedding,
    wordless: TextEmbedding,
    noise: Tensor,
    steps: int,
) -> Tensor:
    """What the sampler passes through under guidance.

    Args:
        denoiser: U-Net and adapter.
        scheduler: Of the base.
        guidance: Scales of words and music, and of stems where `tokens` are to be heard with them.
        tokens: Of B stretches of music.
        text: Their words.
        wordless: The embedding of no words, one row.
        noise: Standard normal, (B, channels, rows, cols).
        steps: Of the sampler.

    Returns:
        (steps + 1, B, channels, rows, cols): the noise, what each step made of it, at last the clean latents.
    """
    nested = [tokens.drop(), tokens.drop(), tokens.drop(STEM_STREAMS), tokens][: guidance.levels]
    music = denoiser.adapter.prepare(MusicTokens.stack(nested), noise.shape[2], noise.shape[3], denoiser.row_s)
    embeds, mask, generated = (
        torch.cat([empty, *[full] * (guidance.levels - 1)])
        for empty, full in zip(_rows_like(wordless, text), _parts(text), strict=True)
    )
    words = {"encoder_hidden_states_1": embeds, "encoder_attention_mask_1": mask}
    conditions = Conditions(len(noise), guidance.levels, words, generated, [music])
    states = [noise]

    def keep(step: int, t: Tensor, latents: Tensor) -> Tensor:
        states.append(latents.float())
        return latents

    sample(
        denoiser.unet,
        denoiser.adapter,
        scheduler,
        conditions,
        guidance,
        noise,
        steps=steps,
        window_rows=noise.shape[2],
        on_step=keep,
    )
    return torch.stack(states)


def _parts(text: TextEmbedding) -> tuple[Tensor, Tensor, Tensor]:
    return text.prompt_embeds, text.attention_mask, text.generated_prompt_embeds


def _rows_like(wordless: TextEmbedding, text: TextEmbedding) -> tuple[Tensor, Tensor, Tensor]:
    """No words for as many rows as `text` has, padded to its length."""
    embeds, mask, generated = _parts(wordless)
    rows, lacking = len(text.prompt_embeds), text.prompt_embeds.shape[1] - embeds.shape[1]
    embeds, mask = pad(embeds, (0, 0, 0, lacking)), pad(mask, (0, lacking))
    return embeds.expand(rows, -1, -1), mask.expand(rows, -1), generated.expand(rows, -1, -1)


def keep_states(path: Path, states: Tensor) -> None:
    """Write a batch's trajectory in half precision, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(f".{os.getpid()}.tmp")
    save_file({"states": states.to(torch.float16).contiguous()}, scratch)
    scratch.replace(path)


def read_states(path: Path) -> Tensor:
    """What `keep_states` wrote, in float32."""
    return load_file(path)["states"].float()
