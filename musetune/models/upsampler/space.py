"""Stereo as numbers: the side signal of a mid signal, by band a share of the mid itself and of its decorrelated twin.

With M the mid, D its twin (as loud, unlike in phase) and S = tilt · M + width · D, the channels are L = M + S and
R = M − S: the tilt moves a band to one side, the width makes the channels unlike. (L + R)/2 is M whatever both are.
"""

from __future__ import annotations

import torch

BANDS = 24  # from 0 to 24 kHz, equally far apart on the ear's scale
SIGN_SEED = 11
GROUP = 4  # bins, 125 Hz: a twin's echoes stay within 8 ms


def band_filters(frequencies: int, rate: int, bands: int = BANDS) -> torch.Tensor:
    """Overlapping triangles (bands, frequencies) on the ear's scale (ERB) whose sum is one at every frequency.

    Args:
        frequencies: Bins from 0 to half the rate.
        rate: Hz.
        bands: Triangles, at least 2.

    Returns:
        Weights 0 to 1.

    Example:
        >>> bool(band_filters(769, 48000).sum(0).allclose(torch.ones(769)))
        True
    """
    hertz = torch.linspace(0, rate / 2, frequencies, dtype=torch.float64)
    scale = torch.log1p(hertz * 0.00437)
    place = scale / scale[-1] * (bands - 1)
    centres = torch.arange(bands, dtype=torch.float64)[:, None]
    return (1 - (place - centres).abs()).clamp_min(0).float()


def level_difference(tilt: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    """How much louder left is than right, in dB, for a tilt and a width (any equal shapes)."""
    left, right = (1 + tilt) ** 2 + width**2, (1 - tilt) ** 2 + width**2
    return 10 * torch.log10((left + 1e-6) / (right + 1e-6))


def coherence(tilt: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    """Correlation of left and right, −1 to 1, for a tilt and a width (any equal shapes)."""
    left, right = (1 + tilt) ** 2 + width**2, (1 - tilt) ** 2 + width**2
    return (1 - tilt**2 - width**2) / (left * right + 1e-9).sqrt()


def twin_signs(frequencies: int) -> torch.Tensor:
    """The decorrelator: for every bin 1 or −1, the same for GROUP neighbours, drawn once and for all."""
    # on the CPU wherever tensors go by default: the meta device, on which configs are checked, draws no numbers
    generator = torch.Generator("cpu").manual_seed(SIGN_SEED)
    signs = torch.randint(0, 2, (frequencies // GROUP + 1,), generator=generator, device="cpu") * 2 - 1
    return signs.repeat_interleave(GROUP)[:frequencies].float()


def decorrelate(spectrum: torch.Tensor, signs: torch.Tensor) -> torch.Tensor:
    """The twin of a spectrum (batch, frequencies, frames): each bin a quarter turn on, or back, as its sign says.

    At a right angle to its bin a twin makes left and right unlike but nowhere louder than each other: |M + i·w·M| is
    |M − i·w·M|. One of any other phase would draw partials to either side at random.
    """
    return torch.complex(-spectrum.imag * signs[:, None], spectrum.real * signs[:, None])
