"""Spectrogram → waveform: ConvNeXt blocks at frame rate and an inverse STFT (Vocos, arXiv 2306.00814), with a harmonic
prior.

Three parts are added in the STFT domain: a bank of sinusoids on the equal-tempered grid whose phases run on by
themselves (tones stay coherent without learning phase), white noise, and a free complex residual. The network only
scales them; what it scales starts from the input's own magnitudes, so an untrained vocoder already sounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn
from torch.nn import functional as F

from musetune.models.nano.spectrogram import ExactBuffers, LogSpectrogram
from musetune.models.sizes import check_sizes

NOISE_SEED = 7
NOISE_FRAMES = 1024  # of a stream: after so many its noise begins again, 16.4 s


class ConvNeXtBlock(nn.Module):
    """Depthwise 7-tap convolution, then a two-layer perceptron; (batch, dim, frames) in and out."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, hidden)
        self.down = nn.Linear(hidden, dim)
        self.scale = nn.Parameter(torch.full((dim,), 0.2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add to x (B, channels, frames) what the block makes of it."""
        h = self.norm(self.depthwise(x).transpose(1, 2))
        return x + (self.scale * self.down(F.gelu(self.up(h)))).transpose(1, 2)


class NanoVocoder(ExactBuffers, ModelMixin, ConfigMixin):
    """Log spectrogram (batch, frames, bins) → waveform (batch, frames · 256) at 16 kHz.

    Weights may be in half precision; the STFT domain and the waveform are float32 always.

    ``config.model_in_dim``, ``upsample_rates`` and ``sampling_rate`` are what AudioLDM2Pipeline reads of a vocoder.
    ``frontend`` is the LogSpectrogram that this vocoder inverts. ``loudest`` (bins,): what is louder sounds as loud as
    this; guidance now and then drives a few cells far beyond all music, and one such burst would make the rest of a
    clip too soft to hear.
    """

    @register_to_config
    def __init__(
        self,
        model_in_dim: int = 128,
        upsample_rates: tuple[int, ...] = (256,),
        sampling_rate: int = 16000,
        dim: int = 256,
        hidden: int = 768,
        layers: int = 6,
        n_fft: int = 1024,
        lowest_pitch: int = 24,
        highest_pitch: int = 108,
        loudest: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        check_sizes("NanoVocoder", 256, layers=layers, lowest_pitch=lowest_pitch, highest_pitch=highest_pitch)
        check_sizes("NanoVocoder", 16384, model_in_dim=model_in_dim, upsample_rates=upsample_rates, n_fft=n_fft)
        check_sizes("NanoVocoder", 16384, dim=dim, hidden=hidden)
        check_sizes("NanoVocoder", 192000, sampling_rate=sampling_rate)
        self.hop = math.prod(upsample_rates)
        self.frontend = LogSpectrogram(sampling_rate=sampling_rate, hop=self.hop, bins=model_in_dim)
        self.embed = nn.Conv1d(model_in_dim, dim, 7, padding=3)
        self.norm = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(ConvNeXtBlock(dim, hidden) for _ in range(layers))
        self.final_norm = nn.LayerNorm(dim)
        frequencies, pitches = n_fft // 2 + 1, highest_pitch - lowest_pitch + 1
        self.tones = nn.Linear(dim, 2 * pitches)
        self.noise = nn.Linear(dim, frequencies)
        self.residual = nn.Linear(dim, 3 * frequencies)
        for head in (self.tones, self.noise, self.residual):
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
        # every dtype is named: diffusers makes half precision the default while it loads a half-precision pipeline
        hertz = 440.0 * 2 ** ((torch.arange(lowest_pitch, highest_pitch + 1, dtype=torch.float32) - 69) / 12)
        cut = None if loudest is None else torch.tensor(loudest, dtype=torch.float32)
        self.register_buffer("ceiling", cut, persistent=False)
        self.register_buffer("window", torch.hann_window(n_fft, dtype=torch.float32), persistent=False)
        self.register_buffer(
            "omega", 2 * math.pi * hertz.double() * self.hop / sampling_rate, persistent=False
        )  # radians a frame
        self.register_buffer(
            "tone_kernel", torch.view_as_real(_tone_kernel(hertz, n_fft, sampling_rate)), persistent=False
        )
        centres = torch.tensor(self.frontend.frequencies, dtype=torch.float32)
        self.register_buffer("to_pitches", _interpolation(centres, hertz), persistent=False)
        grid = torch.arange(frequencies, dtype=torch.float32) * sampling_rate / n_fft
        self.register_buffer("to_grid", _interpolation(centres, grid.clamp_min(20.0)), persistent=False)
        self._ring: torch.Tensor | None = None  # a stream's noise, made when it is first needed

    def forward(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """Waves (B, samples) of spectrograms (B, frames, bins); (samples,) of one (frames, bins)."""
        single = spectrogram.dim() == 2
        wave = self._waves(spectrogram[None] if single else spectrogram, None)
        return wave[0] if single else wave

    def stream(self, spectrogram: torch.Tensor, first_frame: int) -> torch.Tensor:
        """Waves (B, samples) of a piece of a stream, spectrograms (B, frames, bins).

        Phases and noise count from the stream's beginning, so that overlapping pieces fit each other.

        Args:
            spectrogram: natural-log magnitudes.
            first_frame: how many frames of the stream came before.
        """
        return self._waves(spectrogram, first_frame)

    def _waves(self, x: torch.Tensor, first_frame: int | None) -> torch.Tensor:
        x = self.clamp(x)
        features = self.features(x)
        spectrum = self._tones(x, features, first_frame or 0)
        spectrum = spectrum + self._noise(x, features, first_frame) + self._residual(x, features)
        return self._istft(spectrum)

    def clamp(self, x: torch.Tensor) -> torch.Tensor:
        """Return spectrograms (batch, frames, bins) without what is louder than ``loudest``."""
        return x if self.ceiling is None else torch.minimum(x, self.ceiling.to(x.dtype))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Return features (batch, frames, dim) of spectrograms (batch, frames, bins)."""
        h = self.embed(((x + 4.0).transpose(1, 2) / 3.0).to(self.embed.weight.dtype))
        h = self.norm(h.transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            h = block(h)
        return self.final_norm(h.transpose(1, 2))

    def _tones(self, x: torch.Tensor, features: torch.Tensor, first: int) -> torch.Tensor:
        """Complex (batch, frames, frequencies): every pitch's running phase, scaled."""
        level = (x.float() @ self.to_pitches).exp()
        real, imaginary = self.tones(features).float().chunk(2, dim=-1)
        frames = torch.arange(first, first + x.shape[1], device=x.device)
        phase = torch.remainder(frames[:, None] * self.omega, 2 * math.pi).float()
        amplitude = level * torch.complex(real + 0.5, imaginary) * torch.polar(torch.ones_like(phase), phase)
        return amplitude @ torch.view_as_complex(self.tone_kernel)

    def _noise(self, x: torch.Tensor, features: torch.Tensor, first: int | None) -> torch.Tensor:
        """White noise, shaped by the input's magnitudes times a learned gain."""
        level = (x.float() @ self.to_grid).exp()
        gain = torch.exp(self.noise(features).float().clamp(-8, 3))
        white = self._white(x.shape[1], x.device) if first is None else self._white_ring(first, x.shape[1], x.device)
        return level * gain * white

    def _residual(self, x: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Vocos' head: magnitude and phase for every time and frequency."""
        log_magnitude, real, imaginary = self.residual(features).float().chunk(3, dim=-1)
        level = (x.float() @ self.to_grid).exp() * 60.0
        direction = torch.complex(real + 1e-3, imaginary)
        return level * torch.exp(log_magnitude.clamp(-8, 3) - 3) * direction / direction.abs().clamp_min(1e-4)

    def _white(self, frames: int, device: torch.device) -> torch.Tensor:
        """Return the STFT (frames, frequencies) of a seeded sequence: the white noise is equal at every call."""
        generator = torch.Generator().manual_seed(NOISE_SEED)
        noise = torch.randn(frames * self.hop, generator=generator, dtype=torch.float32).to(device)
        return torch.stft(
            noise, self.config.n_fft, self.hop, window=self.window, return_complex=True, pad_mode="constant"
        ).T[:frames]

    def _white_ring(self, first: int, frames: int, device: torch.device) -> torch.Tensor:
        """Return the STFT (frames, frequencies), from frame ``first`` on, of a seeded noise that goes in a circle."""
        if self._ring is None:
            generator = torch.Generator("cpu").manual_seed(NOISE_SEED)
            noise = torch.randn(NOISE_FRAMES * self.hop, generator=generator, dtype=torch.float32, device="cpu")
            half = self.config.n_fft // 2
            circle = torch.cat([noise[-half:], noise, noise[:half]])  # frames are centred on their first sample
            spectrum = torch.stft(
                circle, self.config.n_fft, self.hop, window=self.window.cpu(), center=False, return_complex=True
            )
            self._ring = spectrum.T[:NOISE_FRAMES]
        places = (torch.arange(frames) + first) % NOISE_FRAMES
        return self._ring[places].to(device)

    def _istft(self, spectrum: torch.Tensor) -> torch.Tensor:
        samples = spectrum.shape[1] * self.hop
        padded = F.pad(torch.view_as_real(spectrum), (0, 0, 0, 0, 0, 1))
        full = torch.view_as_complex(padded).transpose(1, 2)
        return torch.istft(full, self.config.n_fft, self.hop, window=self.window, length=samples)


def _tone_kernel(hertz: torch.Tensor, n_fft: int, rate: int) -> torch.Tensor:
    """STFT of unit sines, phase zero at the frame's centre: complex (pitches, n_fft // 2 + 1)."""
    t = (torch.arange(n_fft, dtype=torch.float32) - n_fft // 2) / rate
    return torch.fft.rfft(torch.cos(2 * math.pi * hertz[:, None] * t) * torch.hann_window(n_fft, dtype=torch.float32))


def _interpolation(centres: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return weights (bins, targets) that read a log spectrogram between its bin centres, linear in log frequency."""
    position = torch.log2(targets / centres[0]) / torch.log2(centres[1] / centres[0])
    position = position.clamp(0, len(centres) - 1)
    low = position.floor().long().clamp_max(len(centres) - 2)
    weights = torch.zeros(len(centres), len(targets), dtype=torch.float32)
    columns = torch.arange(len(targets))
    weights[low, columns] = 1 - (position - low)
    weights[low + 1, columns] = position - low
    return weights
