"""TinyDecoder: latents straight to a waveform, in the place of an autoencoder's decoder and a vocoder.

AudioLDM 2 decodes a latent row by a decoder of 512 channels at the spectrogram's full size, and each frame by HiFi-GAN
at sixteen kilohertz. Here both are one network that works at the frames' rate: ConvNeXt blocks (arXiv 2201.03545) and a
head that says magnitude and phase of a short-time spectrum, whose inverse is the waveform (Vocos, arXiv 2306.00814).
"""

from __future__ import annotations

import math

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from musetune.models.nano.spectrogram import ExactBuffers
from musetune.models.nano.vocoder import ConvNeXtBlock
from musetune.models.sizes import check_sizes


class TinyDecoder(ExactBuffers, ModelMixin, ConfigMixin):
    """Latents (batch, channels, rows, cols) → waves (batch, rows · hop · frames_per_row).

    Args:
        latent_channels: of the latents.
        cols: columns of the latents.
        frames_per_row: frames of the spectrum in a latent row.
        hop: samples of a frame.
        n_fft: of the spectrum; a multiple of ``hop``.
        dim: width of the blocks.
        hidden: width inside a block.
        layers: blocks.
        sampling_rate: Hz, of the waves.
        scaling_factor: of the autoencoder whose latents it reads: they are divided by it.

    Raises:
        ValueError: for sizes out of range.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 8,
        cols: int = 16,
        frames_per_row: int = 4,
        hop: int = 160,
        n_fft: int = 640,
        dim: int = 384,
        hidden: int = 1152,
        layers: int = 8,
        sampling_rate: int = 16000,
        scaling_factor: float = 1.0,
    ) -> None:
        super().__init__()
        check_sizes("TinyDecoder", 1024, latent_channels=latent_channels, cols=cols, frames_per_row=frames_per_row)
        check_sizes("TinyDecoder", 16384, hop=hop, n_fft=n_fft, dim=dim, hidden=hidden, layers=layers)
        check_sizes("TinyDecoder", 192000, sampling_rate=sampling_rate)
        if n_fft % hop or n_fft < 2 * hop:
            raise ValueError(f"n_fft={n_fft} is no multiple of hop={hop} from two on: the frames must overlap evenly")
        self.embed = nn.Conv1d(latent_channels * cols, dim * frames_per_row, 3, padding=1)
        self.norm = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(ConvNeXtBlock(dim, hidden) for _ in range(layers))
        self.final_norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, n_fft + 2)
        self.register_buffer("window", torch.hann_window(n_fft, dtype=torch.float32), persistent=False)

    @property
    def samples_per_row(self) -> int:
        """Samples of a latent row."""
        return int(self.config.frames_per_row * self.config.hop)

    def forward(self, latents: Tensor) -> Tensor:
        """Return waves (batch, samples), float32, of scaled latents (batch, channels, rows, cols)."""
        return self.waves(self.features(latents))

    def features(self, latents: Tensor) -> Tensor:
        """Return features (batch, rows · frames_per_row, dim) of scaled latents (batch, channels, rows, cols).

        They may be stretched in time before they become waves, as a spectrogram may.
        """
        batch, _, rows, _ = latents.shape
        x = (latents / self.config.scaling_factor).transpose(2, 3).flatten(1, 2).to(self.embed.weight.dtype)
        per_row = self.config.frames_per_row
        h = self.embed(x).unflatten(1, (-1, per_row)).permute(0, 3, 2, 1).reshape(batch, rows * per_row, -1)
        features: Tensor = self.norm(h)
        return features

    def waves(self, features: Tensor) -> Tensor:
        """Return waves (batch, frames · hop), float32, of features (batch, frames, dim)."""
        h = features.transpose(1, 2)
        for block in self.blocks:
            h = block(h)
        magnitude, phase = self.head(self.final_norm(h.transpose(1, 2))).float().transpose(1, 2).chunk(2, dim=1)
        spectrum = torch.polar(magnitude.clamp(max=math.log(1e2)).exp(), phase)
        closed = torch.cat([spectrum, spectrum[:, :, -1:]], dim=2)  # centred frames: one more than hops
        return torch.istft(
            closed,
            self.config.n_fft,
            self.config.hop,
            window=self.window,
            length=features.shape[1] * self.config.hop,
        )
