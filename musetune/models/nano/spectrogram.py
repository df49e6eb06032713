"""nano's own "mel": a log-frequency spectrogram, 16 bins an octave over eight octaves, one analysis window a register.

AudioLDM 2's 64 mel bins are 100 Hz wide at the bottom, where a semitone is 8 Hz: chords drown. Here a semitone is 1⅓
bins everywhere, an octave is 16 bins (two columns of 8×8 patches), and long windows serve low notes while short ones
keep drums sharp.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

FLOOR = 1e-4  # log floor: −80 dB below a full-scale sine


class ExactBuffers:
    """Base to go before nn.Module: the module's own buffers move between devices but are never rounded.

    Windows, filters and frequencies stay exact when the weights around them go to half precision.
    """

    _buffers: dict[str, torch.Tensor | None]

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> ExactBuffers:
        exact = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[misc]
        for name, buffer in exact.items():
            moved = self._buffers[name]
            if buffer is not None and moved is not None and moved.dtype != buffer.dtype:
                self._buffers[name] = buffer.to(moved.device)
        return self


class LogSpectrogram(ExactBuffers, nn.Module):
    """Waveform (batch, samples) in −1…1 → natural-log magnitudes (batch, 1, frames, bins); frames = samples // hop.

    A full-scale sine on a bin's centre reads about log(1). ``windows`` are (n_fft, highest frequency in Hz) pairs in
    rising frequency.
    """

    def __init__(
        self,
        *,
        sampling_rate: int = 16000,
        hop: int = 256,
        bins: int = 128,
        bins_per_octave: int = 16,
        fmin: float = 30.87,
        windows: tuple[tuple[int, float], ...] = ((4096, 500.0), (2048, 1500.0), (1024, 8000.0)),
    ) -> None:
        super().__init__()
        top = fmin * 2 ** ((bins - 1) / bins_per_octave)
        if top >= sampling_rate / 2:
            raise ValueError(
                f"fmin={fmin} and bins={bins} reach {top:.0f} Hz; the Nyquist limit is {sampling_rate // 2} Hz: lower "
                f"either"
            )
        self.sampling_rate, self.hop, self.bins = sampling_rate, hop, bins
        self.frequencies = fmin * 2 ** (np.arange(bins) / bins_per_octave)
        self.n_ffts = [n for n, _ in windows]
        edges = [0.0, *(f for _, f in windows)]
        for i, n_fft in enumerate(self.n_ffts):
            mask = (self.frequencies >= edges[i]) & (self.frequencies < edges[i + 1])
            self.register_buffer(f"window_{i}", torch.hann_window(n_fft, dtype=torch.float32), persistent=False)
            self.register_buffer(
                f"filters_{i}",
                _filters(self.frequencies, mask, n_fft, sampling_rate, bins_per_octave),
                persistent=False,
            )

    def forward(self, wave: torch.Tensor) -> torch.Tensor:
        """Log spectrogram (B, frames, bins) of waves (B, samples)."""
        wave, frames = wave.float(), wave.shape[-1] // self.hop
        total: torch.Tensor | None = None
        for i, n_fft in enumerate(self.n_ffts):
            window = getattr(self, f"window_{i}")
            spectrum = torch.stft(
                wave, n_fft, self.hop, window=window, center=True, pad_mode="constant", return_complex=True
            )
            magnitude = spectrum.abs()[..., :frames] * (2 / window.sum())
            part = getattr(self, f"filters_{i}") @ magnitude
            total = part if total is None else total + part
        assert total is not None
        return total.clamp_min(FLOOR).log().transpose(1, 2).unsqueeze(1)


def _filters(frequencies: np.ndarray, mask: np.ndarray, n_fft: int, rate: int, per_octave: int) -> torch.Tensor:
    """Triangles (bins, n_fft // 2 + 1) around the masked centres, one bin spacing or one FFT bin wide to each side,
    peak 1.
    """
    grid = np.arange(n_fft // 2 + 1) * rate / n_fft
    half = np.maximum(frequencies * (2 ** (1 / per_octave) - 1), rate / n_fft)
    triangles = np.clip(1 - np.abs(grid[None] - frequencies[:, None]) / half[:, None], 0, None)
    triangles /= np.sqrt(
        np.maximum((triangles**2).sum(axis=1, keepdims=True), 1e-9)
    )  # noise of equal density reads equal
    return torch.from_numpy((triangles * mask[:, None]).astype(np.float32))
