"""The former name of ``musetune.models.nano``.

Bases that 0.1.0 saved name ``musetune.nano.autoencoder`` in model_index.json.
"""

import sys

from musetune.models.nano import (
    LogSpectrogram,
    NanoVocoder,
    PatchAutoencoder,
    autoencoder,
    build_nano,
    spectrogram,
    vocoder,
)

for _module in (autoencoder, spectrogram, vocoder):  # classes must be the same whichever name loads them
    sys.modules[_module.__name__.replace("musetune.models.nano", __name__)] = _module

__all__ = ["LogSpectrogram", "NanoVocoder", "PatchAutoencoder", "build_nano"]
