"""Which spectrogram a base eats: AudioLDM 2's log-mel, or the base's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from diffusers import DiffusionPipeline


class LogMel(nn.Module):
    """AudioLDM 2's log-mel: 64 Slaney bins 0–8000 Hz, n_fft = window = 1024, hop 160 at 16 kHz, natural log, floor
    1e-5.

    Waveform (batch, samples) in −1…1 → (batch, 1, samples // 160, 64).
    """

    def __init__(self, *, sampling_rate: int = 16000, n_fft: int = 1024, hop: int = 160, bins: int = 64) -> None:
        import librosa

        super().__init__()
        self.sampling_rate, self.n_fft, self.hop, self.bins = sampling_rate, n_fft, hop, bins
        self.frequencies = librosa.mel_frequencies(bins + 2, fmin=0, fmax=sampling_rate / 2)[1:-1]
        filters = librosa.filters.mel(sr=sampling_rate, n_fft=n_fft, n_mels=bins, fmin=0, fmax=sampling_rate / 2)
        self.register_buffer("filters", torch.from_numpy(filters), persistent=False)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Log-mel spectrogram (B, frames, bands) of waves (B, samples)."""
        pad = (self.n_fft - self.hop) // 2
        padded = nn.functional.pad(wave[:, None], (pad, pad), mode="reflect")[:, 0]
        spectrum = torch.stft(padded, self.n_fft, self.hop, window=self.window, center=False, return_complex=True)  # type: ignore[arg-type]
        mel = (self.filters @ spectrum.abs()).clamp_min(1e-5).log()  # type: ignore[operator]
        return mel.transpose(1, 2).unsqueeze(1)


def mel_frontend(base: DiffusionPipeline) -> nn.Module:
    """The module that turns waveforms (batch, samples) into what ``base.vae`` encodes, (batch, 1, frames, bins).

    ``frequencies`` (bins,) are its bins' hertz. Of ``base`` only the vocoder is looked at.

    A vocoder that carries its own ``frontend`` (nano's) decides; otherwise it is AudioLDM 2's log-mel.
    """
    vocoder = base.vocoder
    if isinstance(getattr(vocoder, "frontend", None), nn.Module):
        return vocoder.frontend
    return LogMel(sampling_rate=vocoder.config.sampling_rate, bins=vocoder.config.model_in_dim)
