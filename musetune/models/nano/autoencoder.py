"""A linear autoencoder with ``AutoencoderKL``'s interface: whitened principal components of 8×8 spectrogram patches."""

from __future__ import annotations

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput, DiagonalGaussianDistribution
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.models.modeling_utils import ModelMixin

from musetune.models.sizes import check_sizes

PATCH = 8


class PatchAutoencoder(ModelMixin, ConfigMixin):
    """Log spectrogram (batch, 1, frames, bins) ↔ latents (batch, latent_channels, frames / 8, bins / 8).

    Deterministic: the "distribution" has no variance. ``fit`` sets the weights from data; nothing is learned by
    gradient. ``block_out_channels`` only tells pipelines the factor 8, as AutoencoderKL's does.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 24,
        bins: int = 128,
        block_out_channels: tuple[int, ...] = (1, 1, 1, 1),
        scaling_factor: float = 1.0,
        in_channels: int = 1,
        out_channels: int = 1,
    ) -> None:
        super().__init__()
        check_sizes("PatchAutoencoder", PATCH * PATCH, latent_channels=latent_channels)
        check_sizes("PatchAutoencoder", 16384, bins=bins)
        columns = bins // PATCH
        self.register_buffer("mean", torch.zeros(bins))
        self.register_buffer("basis", torch.eye(PATCH * PATCH)[:latent_channels].clone())
        self.register_buffer("std", torch.ones(latent_channels, columns))

    def encode(self, x: torch.Tensor, return_dict: bool = True) -> AutoencoderKLOutput | tuple:
        """Encode (batch, 1, frames, bins); frames must be a multiple of 8."""
        if x.shape[-2] % PATCH:
            raise ValueError(f"frames={x.shape[-2]} is not a multiple of {PATCH}; pad or cut the spectrogram")
        patches = to_patches(x - self.mean)
        latents = torch.einsum("btfp,cp->bctf", patches, self.basis) / self.std[:, None]
        moments = torch.cat([latents, torch.full_like(latents, -30.0)], dim=1)
        posterior = DiagonalGaussianDistribution(moments, deterministic=True)
        return AutoencoderKLOutput(latent_dist=posterior) if return_dict else (posterior,)

    def decode(
        self, z: torch.Tensor, return_dict: bool = True, generator: torch.Generator | None = None
    ) -> DecoderOutput | tuple:
        """Decode (batch, channels, rows, columns) to a log spectrogram (batch, 1, 8 · rows, 8 · columns)."""
        patches = torch.einsum("bctf,cp->btfp", z * self.std[:, None], self.basis)
        sample = from_patches(patches) + self.mean
        return DecoderOutput(sample=sample) if return_dict else (sample,)

    @torch.no_grad()
    def fit(self, spectrograms: torch.Tensor) -> float:
        """Set mean, basis and scales from (n, 1, frames, bins) and return the share of variance kept."""
        self.mean.copy_(spectrograms.mean(dim=(0, 1, 2)))
        patches = to_patches(spectrograms - self.mean)
        flat = patches.reshape(-1, PATCH * PATCH).double()
        values, vectors = torch.linalg.eigh(flat.T @ flat / len(flat))
        channels = self.config.latent_channels
        self.basis.copy_(vectors[:, -channels:].flip(1).T.float())
        latents = torch.einsum("btfp,cp->bctf", patches, self.basis)
        self.std.copy_(latents.std(dim=(0, 2)).clamp_min(1e-3))
        return float(values[-channels:].sum() / values.sum())


def to_patches(x: torch.Tensor) -> torch.Tensor:
    """Cut (batch, 1, frames, bins) into (batch, rows, columns, 64)."""
    b, _, t, f = x.shape
    return (
        x.reshape(b, t // PATCH, PATCH, f // PATCH, PATCH)
        .permute(0, 1, 3, 2, 4)
        .reshape(b, t // PATCH, f // PATCH, PATCH * PATCH)
    )


def from_patches(patches: torch.Tensor) -> torch.Tensor:
    """Join (batch, rows, columns, 64) to (batch, 1, frames, bins)."""
    b, rows, columns, _ = patches.shape
    x = patches.reshape(b, rows, columns, PATCH, PATCH).permute(0, 1, 3, 2, 4)
    return x.reshape(b, 1, rows * PATCH, columns * PATCH)
