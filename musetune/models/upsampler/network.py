"""StereoUpsampler: any 16 kHz mono waveform → 48 kHz stereo.

The lower third of the output's spectrum is the input itself, interpolated (`musetune.models.upsampler.crossover`). A
ConvNeXt over the frames of the input's spectrum (after AP-BWE, arXiv 2401.06387) gives the magnitudes of the upper two
thirds; their phases are those of the input's own images (what a resampler would filter away: they keep the attacks)
mixed with fixed noise. It also gives a tilt and a width for each band of the side signal; see
`musetune.models.upsampler.space`.

Everything is measured against the input's loudness of the last and next quarter second, so a quieter input gives the
same output, quieter, and silence gives silence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from musetune.models.nano.spectrogram import ExactBuffers
from musetune.models.nano.vocoder import ConvNeXtBlock
from musetune.models.sizes import check_sizes
from musetune.models.upsampler.crossover import REACH, join_bands, low_pass
from musetune.models.upsampler.space import BANDS, band_filters, decorrelate, twin_signs

RATE = 16000  # Hz, of the input
FACTOR = 3  # output samples an input sample
NOISE_SEED = 13
NOISE_FRAMES = 512  # after so many the noise begins again: 4.1 s
GATES = 8  # bands above 8 kHz in each of which images and noise are mixed
QUIET = 1e-8  # magnitude below which there is silence


@dataclass(frozen=True)
class Prediction:
    """What the network says of each frame.

    Attributes:
        low: (batch, frequencies, frames) complex, the input's spectrum.
        high: (batch, frequencies above the input's, frames) complex.
        tilt: (batch, bands, frames), −0.95 to 0.95; left is positive.
        width: (batch, bands, frames), 0 to 1.2.
    """

    low: torch.Tensor
    high: torch.Tensor
    tilt: torch.Tensor
    width: torch.Tensor


class StereoUpsampler(ExactBuffers, ModelMixin, ConfigMixin):
    """Waveforms (batch, samples) at 16 kHz → (batch, 2, 3 · samples) at 48 kHz.

    The mean of both channels, brought back to 16 kHz, is the input, up to 8 kHz. Weights may be in half precision;
    spectra and waveforms are float32 always.

    Args:
        dim: Channels of the network.
        hidden: Channels inside of its blocks.
        layers: Blocks.
        n_fft: Samples of the input that a frame sees.
        hop: Samples of the input from frame to frame.
        level_frames: Frames over which the input's loudness is measured, to either side.

    Example:
        >>> network = StereoUpsampler(dim=16, hidden=32, layers=1)
        >>> network.upsample(torch.zeros(16000)).shape
        torch.Size([2, 48000])
    """

    @register_to_config
    def __init__(
        self,
        dim: int = 160,
        hidden: int = 480,
        layers: int = 5,
        n_fft: int = 512,
        hop: int = 128,
        level_frames: int = 32,
    ) -> None:
        super().__init__()
        check_sizes("StereoUpsampler", 4096, dim=dim, hidden=hidden, n_fft=n_fft, hop=hop)
        check_sizes("StereoUpsampler", 256, layers=layers, level_frames=level_frames)
        if n_fft % (4 * hop) or n_fft % 2:
            raise ValueError(f"StereoUpsampler: n_fft={n_fft} is no multiple of 4 · hop={hop}; see config.json")
        self.low_bins, self.all_bins = n_fft // 2 + 1, FACTOR * n_fft // 2 + 1
        high = self.all_bins - self.low_bins
        self.embed = nn.Conv1d(self.low_bins, dim, 7, padding=3)
        self.norm = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(ConvNeXtBlock(dim, hidden) for _ in range(layers))
        self.final_norm = nn.LayerNorm(dim)
        self.magnitude = nn.Linear(dim, high)
        self.gate = nn.Linear(dim, GATES)
        self.space = nn.Linear(dim, 2 * BANDS)
        for head in (self.magnitude, self.gate, self.space):
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
        with torch.no_grad():
            self.magnitude.bias.copy_(torch.linspace(-3.0, -6.0, high))
            self.space.bias[BANDS:].fill_(-1.5)
        # every dtype is named: diffusers makes half precision the default while it loads a half-precision pipeline
        self.register_buffer("window", torch.hann_window(n_fft, dtype=torch.float32), persistent=False)
        wide = torch.hann_window(FACTOR * n_fft, dtype=torch.float32)
        self.register_buffer("wide_window", wide, persistent=False)
        bell = torch.hann_window(2 * level_frames + 3, periodic=False, dtype=torch.float32)[1:-1]
        self.register_buffer("bell", (bell / bell.sum())[None, None], persistent=False)
        bands = band_filters(self.all_bins, FACTOR * RATE)
        self.register_buffer("bands", bands, persistent=False)
        self.register_buffer("twin", twin_signs(self.all_bins), persistent=False)
        self.register_buffer("kernel", low_pass(FACTOR, RATE), persistent=False)
        self.register_buffer("noise", torch.view_as_real(self._noise_directions()), persistent=False)
        gates = torch.arange(high, dtype=torch.int64) * GATES // high
        self.register_buffer("gate_of_bin", gates, persistent=False)

    @property
    def context(self) -> int:
        """Frames to either side of a frame that its output depends on, and some to spare."""
        network = self.config.level_frames + 3 * (self.config.layers + 1) + self.config.n_fft // self.config.hop
        return int(network + math.ceil(REACH / self.config.hop) + 7)

    def forward(self, wave: torch.Tensor, first_frame: int = 0) -> torch.Tensor:
        """Stereo (batch, 2, 3 · samples) of mono waves (batch, samples).

        Args:
            wave: Float, at 16 kHz.
            first_frame: How many hops of the recording came before `wave`; the noise goes on from there.
        """
        samples = wave.shape[-1]
        found = self.predict(wave, first_frame)
        middle = torch.cat([found.low, found.high], dim=1)
        side = self.side(middle, found.tilt, found.width)
        high = self.to_wave(torch.cat([torch.zeros_like(found.low), found.high], dim=1), samples)
        mid, off = join_bands(wave.float(), high, self.kernel), self.to_wave(side, samples)
        return torch.stack([mid + off, mid - off], dim=1)

    def predict(self, wave: torch.Tensor, first_frame: int = 0) -> Prediction:
        """What the network makes of waves (batch, samples); arguments as of `forward`."""
        hop = self.config.hop
        padded = nn.functional.pad(wave.float(), (0, -wave.shape[-1] % hop))
        low = torch.stft(
            padded, self.config.n_fft, hop, window=self.window, return_complex=True, pad_mode="constant"
        )  # (batch, low bins, frames)
        power = low.real**2 + low.imag**2
        level = nn.functional.conv1d(power.mean(1, keepdim=True), self.bell, padding=self.config.level_frames).sqrt()
        size = power.sqrt()
        seen = ((size + QUIET).log() - (level + QUIET).log()).clamp(-9.0, 6.0)
        features = self._features((seen + 3.0) / 3.0)
        magnitude = self.magnitude(features).float().clamp(-14.0, 4.0).exp().transpose(1, 2) * level
        high = magnitude * self._directions(low, size, features, first_frame)
        high[:, 0] = 0  # the bin beside 8 kHz would reach below it
        tilt, width = self.space(features).float().transpose(1, 2).chunk(2, dim=1)
        return Prediction(low, high, 0.95 * torch.tanh(tilt), 1.2 * torch.sigmoid(width))

    def side(self, middle: torch.Tensor, tilt: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
        """The side signal's spectrum of the middle's (batch, frequencies, frames) and each band's tilt and width."""
        tilt, width = (self.bands.T @ tilt, self.bands.T @ width)
        return tilt * middle + width * decorrelate(middle, self.twin)

    @torch.no_grad()
    def upsample(self, wave: torch.Tensor, block_s: float = 20.0) -> torch.Tensor:
        """Stereo of a waveform of any length, block by block.

        Args:
            wave: (samples,) or (batch, samples) at 16 kHz.
            block_s: Seconds of a block, at least 1. The result does not depend on it, the memory does.

        Returns:
            Float32 (2, 3 · samples) or (batch, 2, 3 · samples) at 48 kHz, on the device of `wave`.

        Raises:
            ValueError: The shape is another, values are not finite, or blocks are shorter than a second.
        """
        if wave.dim() not in (1, 2):
            raise ValueError(f"the wave has shape {tuple(wave.shape)}; give (samples,) or (batch, samples)")
        if not bool(torch.isfinite(wave).all()):
            raise ValueError("the wave has values that are not finite: infinity or NaN cannot be upsampled")
        if not block_s >= 1:
            raise ValueError(f"block_s={block_s:g} is less than 1 s")
        batch = wave[None] if wave.dim() == 1 else wave
        out = torch.empty(len(batch), 2, FACTOR * batch.shape[-1], dtype=torch.float32, device=wave.device)
        for at, piece in self._pieces(batch, block_s):
            out[..., at : at + piece.shape[-1]] = piece
        return out[0] if wave.dim() == 1 else out

    def _pieces(self, batch: torch.Tensor, block_s: float) -> Iterator[tuple[int, torch.Tensor]]:
        """(first output sample, stereo) of each block in turn; a block is computed amid its context."""
        hop, samples = self.config.hop, batch.shape[-1]
        length, margin = math.ceil(block_s * RATE / hop) * hop, self.context * hop
        for start in range(0, samples, length):
            end, first = min(start + length, samples), max(0, start - margin)
            part = batch[:, first : min(end + margin, samples)].to(self.window.device)
            stereo = self(part, first // hop)
            yield FACTOR * start, stereo[..., FACTOR * (start - first) : FACTOR * (end - first)].to(batch.device)

    def _features(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, frames, dim) of normalised log magnitudes (batch, low bins, frames)."""
        h = self.embed(x.to(self.embed.weight.dtype))
        h = self.norm(h.transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            h = block(h)
        return self.final_norm(h.transpose(1, 2))

    def _directions(self, low: torch.Tensor, size: torch.Tensor, features: torch.Tensor, first: int) -> torch.Tensor:
        """Complex numbers of modulus about 1 above 8 kHz: the input's images, then fixed noise, as the gate mixes."""
        unit = low / (size + QUIET)
        images = torch.cat([unit[:, :-1].flip(1).conj(), unit[:, 1:]], dim=1)
        frames = (torch.arange(low.shape[-1], device=low.device) + first) % NOISE_FRAMES
        noise = torch.view_as_complex(self.noise)[:, frames]
        gate = torch.sigmoid(self.gate(features).float()).transpose(1, 2)[:, self.gate_of_bin]
        return gate * images + (1 - gate**2 + 1e-6).sqrt() * noise

    def to_wave(self, spectrum: torch.Tensor, samples: int) -> torch.Tensor:
        """(batch, 3 · samples) of a spectrum (batch, frequencies, frames)."""
        scale = torch.full((self.all_bins, 1), float(FACTOR), device=spectrum.device)
        scale[self.low_bins - 1] /= 2  # 8 kHz is its own image
        return torch.istft(
            spectrum * scale,
            FACTOR * self.config.n_fft,
            FACTOR * self.config.hop,
            window=self.wide_window,
            length=FACTOR * samples,
        )

    def _noise_directions(self) -> torch.Tensor:
        """Phases (high bins, NOISE_FRAMES) of a seeded noise that ends where it begins."""
        n_fft, hop = FACTOR * int(self.config.n_fft), FACTOR * int(self.config.hop)
        generator = torch.Generator("cpu").manual_seed(NOISE_SEED)
        noise = torch.randn(NOISE_FRAMES * hop, generator=generator, dtype=torch.float32, device="cpu")
        ring = torch.cat([noise, noise[: n_fft - hop]])
        window = torch.hann_window(n_fft, dtype=torch.float32, device="cpu")
        spectrum = torch.stft(ring, n_fft, hop, window=window, center=False, return_complex=True)
        return (spectrum / (spectrum.abs() + QUIET))[self.low_bins :]
