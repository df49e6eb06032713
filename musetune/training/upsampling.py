"""What the upsampler is trained to: the truth's magnitudes above 8 kHz, and its level difference and coherence."""

from __future__ import annotations

from typing import NamedTuple

import torch

from musetune.models.upsampler.network import FACTOR, Prediction, StereoUpsampler
from musetune.models.upsampler.space import coherence, level_difference

FLOOR = 1e-5  # magnitude, −100 dB below a full-scale sine
EDGE = 8  # frames at each end that are not judged: they know only one side of their context
N_FFTS = (512, 2048)
SMOOTH = 7  # frames over which level difference and coherence are taken: 56 ms


def band_loss(network: StereoUpsampler, found: Prediction, stereo: torch.Tensor) -> torch.Tensor:
    """Log-spectral distance of the mid signal above 8 kHz, at two resolutions.

    Args:
        network: Says how a spectrum becomes a wave.
        found: What it predicted.
        stereo: The truth (batch, 2, samples) at 48 kHz.
    """
    middle = stereo.mean(1)
    samples = middle.shape[-1] // FACTOR
    wave = network.to_wave(torch.cat([torch.zeros_like(found.low), found.high], dim=1), samples)
    total = wave.new_zeros(())
    for n_fft in N_FFTS:
        window = torch.hann_window(n_fft, device=wave.device)
        size = [
            (
                torch.stft(x, n_fft, n_fft // 2, window=window, return_complex=True).abs() * (2 / window.sum()) + FLOOR
            ).log10()
            for x in (wave, middle)
        ]
        first = -(-n_fft * 8000 // 48000) + 2
        skip = EDGE * 384 * 2 // n_fft
        difference = 2 * (size[0] - size[1])[:, first:, skip : -skip or None]
        total = total + (difference.square().mean(1) + 1e-6).sqrt().mean()
    return total / len(N_FFTS)


class MeasuredSpace(NamedTuple):
    """Level differences and coherence by band, each (batch, bands, frames), the frames at both ends left out.

    Attributes:
        levels_db: How much louder left is in the recording, dB, at most 24.
        coherence: Of the recording's channels.
        heard: 1 where the recording sounds, else 0.
        tilt: What was predicted, over the same frames.
        width: The same.
    """

    levels_db: torch.Tensor
    coherence: torch.Tensor
    heard: torch.Tensor
    tilt: torch.Tensor
    width: torch.Tensor


def measured_space(network: StereoUpsampler, found: Prediction, stereo: torch.Tensor) -> MeasuredSpace:
    """Level difference and coherence of a recording, beside what was predicted; arguments as of `band_loss`."""
    n_fft, hop = FACTOR * network.config.n_fft, FACTOR * network.config.hop
    left, right = (
        torch.stft(stereo[:, i], n_fft, hop, window=network.wide_window, return_complex=True, pad_mode="constant")
        for i in (0, 1)
    )
    powers = [left.abs() ** 2, right.abs() ** 2, (left * right.conj()).real]
    powers = [_smooth(network.bands @ power) for power in powers]
    frames = min(powers[0].shape[-1], found.tilt.shape[-1])
    left_power, right_power, product = (power[..., EDGE : frames - EDGE] for power in powers)
    scale = network.wide_window.sum() / 2
    heard = (left_power + right_power > (FLOOR * scale) ** 2 * 10).float()
    tilt, width = (_smooth(x)[..., EDGE : frames - EDGE] for x in (found.tilt, found.width))
    levels = 10 * ((left_power + 1e-12) / (right_power + 1e-12)).log10().clamp(-2.4, 2.4)
    likeness = product / (left_power * right_power + 1e-20).sqrt()
    return MeasuredSpace(levels, likeness, heard, tilt, width)


def space_loss(network: StereoUpsampler, found: Prediction, stereo: torch.Tensor) -> torch.Tensor:
    """Distance of level difference (6 dB count as 1) and coherence by band, where the truth is no silence.

    Arguments as of `band_loss`.
    """
    truth = measured_space(network, found, stereo)
    levels = (level_difference(truth.tilt, truth.width) - truth.levels_db).abs() / 6
    likeness = (coherence(truth.tilt, truth.width) - truth.coherence).abs()
    distance: torch.Tensor = ((levels + 2 * likeness) * truth.heard).sum() / truth.heard.sum().clamp_min(1)
    return distance


def _smooth(x: torch.Tensor) -> torch.Tensor:
    """The mean over SMOOTH frames."""
    return torch.nn.functional.avg_pool1d(x, SMOOTH, stride=1, padding=SMOOTH // 2, count_include_pad=False)
