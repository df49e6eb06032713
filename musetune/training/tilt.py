"""How far the upsampler's level differences are to be believed: measured on recordings that it did not learn from.

On which side a player stands cannot be heard in mono; a network that guesses is often wrong, and then further from the
truth than one that leaves everybody in the middle. So each band's tilt is scaled by the factor, 0 to 1, at which the
mean error of the level difference (dB) is smallest.
"""

from __future__ import annotations

import torch

from musetune.models.upsampler import BANDS, StereoUpsampler
from musetune.models.upsampler.space import level_difference
from musetune.training.upsampling import measured_space

STEPS = 21  # factors that are tried


@torch.no_grad()
def fit_tilt(network: StereoUpsampler, mono: torch.Tensor, stereo: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The factor of each band, and the mean error of its level difference for every factor.

    Args:
        network: Predicts tilts.
        mono: (batch, samples) at 16 kHz, of recordings that were not learned from.
        stereo: The truth (batch, 2, 3 · samples).

    Returns:
        (bands,) from 0 to 1, and (STEPS, bands) in dB, for factors from 0 to 1.
    """
    errors, weights = torch.zeros(STEPS, BANDS), torch.zeros(BANDS)
    for one, truth in zip(mono, stereo, strict=True):
        found = network.predict(one[None])
        measured = measured_space(network, found, truth[None])
        weights += measured.heard.sum((0, 2)).cpu()
        for row in range(STEPS):
            levels = level_difference(measured.tilt * (row / (STEPS - 1)), measured.width)
            errors[row] += ((levels - measured.levels_db).abs() * measured.heard).sum((0, 2)).cpu()
    errors = errors / weights.clamp_min(1)
    return errors.argmin(0) / (STEPS - 1), errors


@torch.no_grad()
def scale_tilt(network: StereoUpsampler, factors: torch.Tensor) -> None:
    """Multiply each band's tilt by a factor, 0 to 1: in the weights, so that what is saved needs no other code.

    The tilt is 0.95 · tanh(z): what is multiplied is z, which for the tilts that occur is the same within 2 %.
    """
    network.space.weight[:BANDS] *= factors[:, None].to(network.space.weight)
    network.space.bias[:BANDS] *= factors.to(network.space.bias)
