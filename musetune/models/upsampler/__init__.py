"""From 16 kHz mono to 48 kHz stereo: the network, and its shipped weights in `weights/`."""

from pathlib import Path

from musetune.models.upsampler.network import StereoUpsampler
from musetune.models.upsampler.space import BANDS

WEIGHTS = Path(__file__).parent / "weights"


def load_upsampler() -> StereoUpsampler:
    """Load the network with the weights that MuseTune ships, in float32.

    Example:
        >>> import torch
        >>> load_upsampler().upsample(torch.zeros(160)).shape
        torch.Size([2, 480])
    """
    network: StereoUpsampler = StereoUpsampler.from_pretrained(WEIGHTS)
    return network.float().eval()


__all__ = ["BANDS", "WEIGHTS", "StereoUpsampler", "load_upsampler"]
