"""The crossover at 8 kHz: below it the input itself, above it what the network adds, neither in the other's band."""

from __future__ import annotations

import math

import torch

REACH = 2048  # samples of the input to either side of one, that its low-pass hears: 128 ms
BETA = 9.0  # of Kaiser's window: 90 dB down; pass band to stop band 23 Hz
ABOVE_HZ = 12.0  # how far above half the input's rate the filter's middle lies: all of the input passes


def low_pass(factor: int, rate: int) -> torch.Tensor:
    """A linear-phase low-pass that lets pass what a rate can hold, at `factor` times that rate.

    A sinc under Kaiser's window (Oppenheim and Schafer, Discrete-Time Signal Processing, 7.6).

    Args:
        factor: Samples for each sample of the input.
        rate: Hz, of the input.

    Returns:
        float32 (2 · factor · REACH + 1,); its sum is 1.

    Example:
        >>> low_pass(3, 16000).shape
        torch.Size([12289])
    """
    count = 2 * factor * REACH + 1
    place = torch.arange(count, dtype=torch.float64, device="cpu") - factor * REACH
    share = (1 + 2 * ABOVE_HZ / rate) / factor  # of half the output's rate
    window = torch.kaiser_window(count, periodic=False, beta=BETA, dtype=torch.float64, device="cpu")
    kernel = share * torch.sinc(share * place) * window
    return (kernel / kernel.sum()).float()


def join_bands(low: torch.Tensor, high: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """The input brought to the output's rate, and above the crossover what another wave has there.

    Args:
        low: Float (batch, samples), at the input's rate.
        high: Float (batch, factor · samples), at the output's.
        kernel: Of `low_pass`.

    Returns:
        (batch, factor · samples). Brought back to the input's rate it is `low`.
    """
    factor = high.shape[-1] // low.shape[-1]
    stuffed = torch.zeros_like(high)
    stuffed[:, ::factor] = factor * low
    return high + _filter(stuffed - high, kernel)


def _filter(wave: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """(batch, samples) filtered without delay, silence around it."""
    samples, reach = wave.shape[-1], len(kernel) // 2
    size = _fast_length(samples + 2 * reach)
    spectrum = torch.fft.rfft(wave, n=size) * torch.fft.rfft(kernel, n=size)
    return torch.fft.irfft(spectrum, n=size)[:, reach : reach + samples]


def _fast_length(samples: int) -> int:
    """The smallest number of the form 2^a · 3^b · 5^c from `samples` on, which Fourier transforms are fast for."""
    best = 2 ** math.ceil(math.log2(samples))
    for three in (1, 3, 9, 27):
        for five in (1, 5, 25):
            odd = three * five
            best = min(best, odd * 2 ** max(0, math.ceil(math.log2(samples / odd))))
    return best
