"""What is edited: a result or any recording, and new sound brought to its rate and channels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from musetune.audio import load_audio, resample
from musetune.models.upsampler.network import FACTOR, RATE
from musetune.pipeline.checks import check_positive, reject_arguments
from musetune.pipeline.output import MuseTuneOutput
from musetune.symbols import Arrangement, LeadSheet

StyleAudio = MuseTuneOutput | str | Path | tuple[np.ndarray, int]  # an array comes with its sampling rate


@dataclass(frozen=True)
class AudioInput:
    """What is edited.

    Attributes:
        wave: floats (samples,) or (channels, samples).
        rate: samples a second.
        latents: (1, channels, rows, cols) where the piece is a result of the pipeline.
        lead_sheet: where the piece is a result.
        arrangement: where the piece is a result that has one.
    """

    wave: np.ndarray
    rate: int
    latents: Tensor | None = None
    lead_sheet: LeadSheet | None = None
    arrangement: Arrangement | None = None

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return float(self.wave.shape[-1] / self.rate)

    def mono(self, rate: int) -> np.ndarray:
        """Return one channel (samples,) at ``rate`` Hz."""
        wave = self.wave if self.wave.ndim == 1 else self.wave.mean(axis=0)
        return np.asarray(wave if rate == self.rate else resample(wave, self.rate, rate), np.float32)


def open_piece(audio: Any, sampling_rate: int | None) -> AudioInput:
    """Read what a user gives to be edited.

    Raises:
        ValueError: for an array without sampling rate or of another shape, and for a result that has no audio.
    """
    if isinstance(audio, MuseTuneOutput):
        wave = audio.audios.cpu().numpy() if isinstance(audio.audios, Tensor) else np.asarray(audio.audios)
        if wave.ndim > 3 or (wave.ndim == 3 and wave.shape[1] > 2):
            raise ValueError('the result holds latents: decode it, or call without output_type="latent"')
        latents = None if audio.latents is None else audio.latents[:1]
        return AudioInput(wave[0], audio.sampling_rate, latents, audio.lead_sheet, audio.arrangement)
    if isinstance(audio, str | Path):
        reject_arguments({"sampling_rate": sampling_rate}, f"is the file's own: leave it out beside {audio}")
        wave, rate = load_audio(audio, mono=False)
        return AudioInput(wave[0] if len(wave) == 1 else wave, rate)
    wave = np.asarray(audio)
    if wave.ndim not in (1, 2) or wave.dtype.kind != "f" or not np.isfinite(wave).all() or wave.shape[-1] == 0:
        raise ValueError(
            f"audio of shape {wave.shape} and {wave.dtype} is not finite floats (samples,) or (channels, n)"
        )
    if sampling_rate is None:
        raise ValueError("audio as an array needs sampling_rate=…, in Hz")
    check_positive("sampling_rate", sampling_rate)
    return AudioInput(wave, int(sampling_rate))


def fit_sound(pipe: Any, wave: np.ndarray, rate: int, channels: int | None) -> np.ndarray:
    """Bring new sound to a piece's rate and channels.

    Where the pipeline has an upsampler, stereo is stereo and what is above the base's own band is made too; without
    one all channels are alike and the band stays the base's.

    Args:
        wave: Mono (samples,) at the pipeline's own rate.
        rate: Hz of the piece.
        channels: of the piece; None: (samples,), without an axis of channels.

    Returns:
        Floats (n,) or (channels, n); they may pass ±1 a little.
    """
    own = int(pipe.vocoder.config.sampling_rate)
    if pipe.upsampler is not None and own == RATE and (channels == 2 or rate > own):
        wide = pipe.to_stereo(wave)
        wide = wide if rate == FACTOR * RATE else resample(wide, FACTOR * RATE, rate)
        if channels == 2:
            return np.asarray(wide)
        sound = wide.mean(axis=0)
    else:
        sound = wave if rate == own else resample(wave, own, rate)
    return sound if channels is None else np.repeat(sound[None], channels, axis=0)
