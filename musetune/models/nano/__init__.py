"""nano: a base small enough for two CPU cores, with AudioLDM 2's architecture and folder layout."""

from musetune.models.nano.autoencoder import PatchAutoencoder
from musetune.models.nano.build import build_nano
from musetune.models.nano.spectrogram import LogSpectrogram
from musetune.models.nano.vocoder import NanoVocoder

__all__ = ["LogSpectrogram", "NanoVocoder", "PatchAutoencoder", "build_nano"]
