"""How far two waveforms are apart, heard through several short-time spectra: the loss of vocoders."""

from __future__ import annotations

from collections.abc import Sequence

import torch

N_FFTS = (512, 1024, 2048, 4096)


def spectral_loss(output: torch.Tensor, real: torch.Tensor, n_ffts: Sequence[int] = N_FFTS) -> torch.Tensor:
    """Return the multi-resolution STFT loss: L1 of log magnitudes plus L1 of square roots, relative (arXiv 1910.11480).

    Args:
        output: Waves (batch, samples) that are judged.
        real: Waves as they should be, like `output`.
        n_ffts: Lengths of the spectra, each at most the number of samples.

    Returns:
        A number, at least 0.

    Example:
        >>> import torch
        >>> wave = torch.sin(torch.arange(4096.0))[None]
        >>> spectral_loss(wave, wave).item()
        0.0
    """
    total = output.new_zeros(())
    for n_fft in n_ffts:
        window = torch.hann_window(n_fft, device=output.device)
        a, b = (
            torch.stft(x, n_fft, n_fft // 4, window=window, return_complex=True).abs() * (2 / window.sum())
            for x in (output, real)
        )
        total = total + ((a + 3e-4).log() - (b + 3e-4).log()).abs().mean()
        root_a, root_b = (a + 1e-7).sqrt(), (b + 1e-7).sqrt()
        total = total + 2 * (root_a - root_b).abs().sum() / root_b.sum()
    return total / len(n_ffts)
