"""nano: a base small enough for two CPU cores, with AudioLDM 2's architecture and folder layout."""

from musetune.nano.autoencoder import PatchAutoencoder
from musetune.nano.build import build_nano
from musetune.nano.spectrogram import LogSpectrogram
from musetune.nano.vocoder import NanoVocoder

__all__ = ["LogSpectrogram", "NanoVocoder", "PatchAutoencoder", "build_nano"]
