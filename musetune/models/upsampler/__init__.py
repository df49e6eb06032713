"""From 16 kHz mono to 48 kHz stereo."""

from musetune.models.upsampler.network import StereoUpsampler
from musetune.models.upsampler.space import BANDS

__all__ = ["BANDS", "StereoUpsampler"]
