"""Waveforms: files, resampling, spectrograms, MIDI to audio. No decisions about music."""

from musetune.audio.io import bit_depth, load_audio, resample, save_audio
from musetune.audio.synth import find_soundfont, synthesize

__all__ = ["bit_depth", "find_soundfont", "load_audio", "resample", "save_audio", "synthesize"]


def __getattr__(name: str):  # type: ignore[no-untyped-def]
    if name in ("LogMel", "mel_frontend"):  # torch only where it is used
        from musetune.audio import mel

        return getattr(mel, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
