"""Noise to audio: the pipeline's denoising loop, for all players together or each alone."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from musetune.pipeline.conditions import Conditions, prepare_windows
from musetune.pipeline.guidance import guide, passes
from musetune.pipeline.piece import Piece
from musetune.pipeline.songs import mixed, section_noise, solo_prompt, solos
from musetune.pipeline.windows import blend
from musetune.symbols import LeadSheet


class Playing:
    """A mixin of the pipeline, which has AudioLDM2Pipeline's components and an attached adapter."""

    unet: Any
    vae: Any
    vocoder: Any
    scheduler: Any
    adapter: Any
    _execution_device: Any
    progress_bar: Any
    encode_prompt: Any
    mel_spectrogram_to_waveform: Any
    vae_scale_factor: int

    @property
    def row_s(self) -> float:
        """Seconds of one latent row."""
        vocoder = self.vocoder.config
        return self.vae_scale_factor * math.prod(vocoder.upsample_rates) / vocoder.sampling_rate

    def _solos(
        self, piece: Piece, *, generator: torch.Generator | None = None, **options: Any
    ) -> dict[str, np.ndarray]:
        """Audio (samples,) of each player under its own notes and words, all from the same noise; scaled so that their sum does not clip."""
        assert piece.arrangement is not None
        made, latents = {}, options.pop("latents", None)
        if latents is None:
            latents = self._noise(self._shape(1, piece.seconds), piece.sheet, generator, None)
        for name, alone in solos(piece.arrangement).items():
            words = solo_prompt(alone.stems[name], piece.sheet.genre)
            made[name] = self._play(words, replace(piece, arrangement=alone), latents=latents, **options)[0]
        if not made:
            raise ValueError("stems=True, and no player of the arrangement has a note")
        peak = float(np.abs(mixed(made)).max())
        return {name: audio / max(1.0, peak / 0.99) for name, audio in made.items()}

    def _play(
        self, prompt: str, piece: Piece, *,
        num_inference_steps: int = 20, negative_prompt: str | None = None, num_waveforms_per_prompt: int = 1,
        generator: torch.Generator | None = None, latents: Tensor | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Denoise in up to a pass a step for each level of guidance, decode: (n, samples)."""
        n, device, guidance = num_waveforms_per_prompt, self._execution_device, piece.guidance
        shape = self._shape(n, piece.seconds)
        size = self.unet.config.sample_size if piece.window_seconds is None else self._rows(piece.window_seconds)
        latents = self._noise(shape, piece.sheet, generator, latents)
        windows = prepare_windows(self.adapter, piece, n, (shape[2], size, self.row_s), device)
        words = self._words(prompt, negative_prompt, n, guidance.levels)
        conditions = Conditions(n, guidance.levels, *words, windows)
        self.scheduler.set_timesteps(num_inference_steps, device=device)
        latents = latents * self.scheduler.init_noise_sigma
        for step, t in enumerate(self.progress_bar(self.scheduler.timesteps)):
            scales = guidance.at(step, len(self.scheduler.timesteps))
            scaled = self.scheduler.scale_model_input(latents, t)

            def denoise(window: Tensor, index: int, t: Tensor = t, scales: tuple[float, ...] = scales) -> Tensor:
                which = passes(scales)
                told = conditions.told(index, which)
                sample, hidden = self.adapter.inputs(torch.cat([window] * len(which)), told.generated, told.music)
                out = self.unet(sample, t, encoder_hidden_states=hidden, **told.text).sample
                return guide(out, scales, guidance.rescale)

            predicted = blend(scaled, size, size // 2, denoise)
            latents = self.scheduler.step(predicted, t, latents).prev_sample
        return self._decode(latents, round(piece.seconds * self.vocoder.config.sampling_rate))

    def _shape(self, n: int, seconds: float) -> tuple[int, ...]:
        """Of the latents of n waveforms."""
        return n, self.unet.config.in_channels, self._rows(seconds), self.adapter.config.cols

    def _rows(self, seconds: float) -> int:
        """Latent rows that hold so many seconds, 8 at least."""
        return max(8, math.ceil(seconds / self.row_s - 1e-6))

    def _words(self, prompt: str, negative_prompt: str | None, n: int, levels: int) -> tuple[dict[str, Tensor], Tensor]:
        """The U-Net's arguments of the T5 stream, and GPT-2's embeddings; rows of n waveforms: nothing, and words at every other level."""
        device, dtype = self._execution_device, self.unet.dtype
        embeds, mask, generated = self.encode_prompt(prompt, device, n, True, negative_prompt=negative_prompt)
        embeds, mask, generated = (
            torch.cat([x, *[x[n:]] * (levels - 2)]) for x in (embeds.to(dtype), mask, generated.to(dtype))
        )
        return {"encoder_hidden_states_1": embeds, "encoder_attention_mask_1": mask}, generated

    def _noise(
        self, shape: tuple[int, ...], sheet: LeadSheet, generator: torch.Generator | None, latents: Tensor | None
    ) -> Tensor:
        """What denoising starts from: ``latents`` where given, else noise that is alike where sections recur.

        Raises ValueError where their shape is another.
        """
        device, dtype = self._execution_device, self.unet.dtype
        if latents is None:
            return section_noise(shape, sheet, self.row_s, generator, device, dtype)
        if tuple(latents.shape) != shape:
            raise ValueError(
                f"latents of shape {tuple(latents.shape)} do not fit: this call needs {shape} "
                "(num_waveforms_per_prompt, channels, latent rows of the duration, columns)"
            )
        return latents.to(device, dtype)

    def _decode(self, latents: Tensor, samples: int) -> np.ndarray:
        """Audio (n, samples) float32, scaled down where it would clip."""
        mel = self.vae.decode(latents.to(self.vae.dtype) / self.vae.config.scaling_factor).sample
        audio = self.mel_spectrogram_to_waveform(mel)[:, :samples].float().cpu().numpy()
        return audio / np.maximum(1.0, np.abs(audio).max(axis=1, keepdims=True) / 0.99)
