"""Latents to a waveform in two stages: by the base's autoencoder and vocoder, or by a tiny decoder in their place.

Between the stages lie frames: a log spectrogram of the pair, features of a tiny decoder. Loops stretch them in time,
edits put some of one piece among those of another, both without knowing which they are.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from musetune.models.tiny_decoder import TinyDecoder

SAME_FACTOR = 1e-3  # relative: what a configuration's decimals may move


def to_frames(pipe: Any, latents: Tensor) -> Tensor:
    """Return frames (B, 1, rows · frames_per_row, numbers) of scaled latents (B, channels, rows, cols).

    Args:
        pipe: with autoencoder and vocoder, and perhaps a ``tiny_decoder``.
        latents: as the U-Net makes them.
    """
    if pipe.tiny_decoder is not None:
        features: Tensor = pipe.tiny_decoder.features(latents)
        return features[:, None]
    frames: Tensor = pipe.vae.decode(latents.to(pipe.vae.dtype) / pipe.vae.config.scaling_factor).sample
    return frames


def to_waves(pipe: Any, frames: Tensor, first_frame: int | None = None) -> Tensor:
    """Return waves (B, samples) of what ``to_frames`` made.

    Args:
        pipe: as of ``to_frames``.
        frames: (B, 1, frames, numbers).
        first_frame: of a stream, how many came before: a vocoder with phases of its own counts from there.
    """
    if pipe.tiny_decoder is not None:
        waves: Tensor = pipe.tiny_decoder.waves(frames.squeeze(1))
        return waves
    if first_frame is not None and hasattr(pipe.vocoder, "stream"):
        streamed: Tensor = pipe.vocoder.stream(frames.squeeze(1), first_frame)
        return streamed
    vocoded: Tensor = pipe.mel_spectrogram_to_waveform(frames)
    return vocoded


def frames_per_row(pipe: Any) -> int:
    """Frames of a latent row."""
    return int(pipe.vae_scale_factor if pipe.tiny_decoder is None else pipe.tiny_decoder.config.frames_per_row)


def frame_samples(pipe: Any) -> int:
    """Samples of a frame, at the vocoder's rate."""
    if pipe.tiny_decoder is None:
        return math.prod(pipe.vocoder.config.upsample_rates)
    return int(pipe.tiny_decoder.config.hop)


def decoder_for(pipe: Any, dim: int = 384, layers: int = 8) -> TinyDecoder:
    """Return a new decoder of a base's shapes: its latents in, its rate and length out; random weights.

    Args:
        pipe: with autoencoder and vocoder.
        dim: width of its blocks; inside they are three times as wide.
        layers: blocks.
    """
    vocoder = pipe.vocoder.config
    hop = math.prod(vocoder.upsample_rates)
    return TinyDecoder(
        latent_channels=pipe.unet.config.in_channels,
        cols=vocoder.model_in_dim // pipe.vae_scale_factor,
        frames_per_row=pipe.vae_scale_factor,
        hop=hop,
        n_fft=4 * hop,
        dim=dim,
        hidden=3 * dim,
        layers=layers,
        sampling_rate=vocoder.sampling_rate,
        scaling_factor=pipe.vae.config.scaling_factor,
    )


def check_decoder(pipe: Any, decoder: TinyDecoder) -> None:
    """Raise ValueError that says what differs where ``decoder`` was made for other latents or another rate.

    Args:
        pipe: whose latents it shall read.
        decoder: to be checked.
    """
    vocoder, shape = pipe.vocoder.config, decoder.config
    per_row = pipe.vae_scale_factor * math.prod(vocoder.upsample_rates)
    pairs = {
        "latent_channels": (shape.latent_channels, pipe.unet.config.in_channels),
        "cols": (shape.cols, vocoder.model_in_dim // pipe.vae_scale_factor),
        "sampling_rate": (shape.sampling_rate, vocoder.sampling_rate),
        "hop · frames_per_row": (decoder.samples_per_row, per_row),
    }
    own, base = float(shape.scaling_factor), float(pipe.vae.config.scaling_factor)
    if abs(own - base) > SAME_FACTOR * abs(base):
        pairs["scaling_factor"] = (own, base)
    if other := [f"{name}={mine} (here {here})" for name, (mine, here) in pairs.items() if mine != here]:
        raise ValueError(
            f"the decoder was made for another base, {', '.join(other)}: distil one from this base with "
            "recipes/base/distill_decoder.py"
        )
