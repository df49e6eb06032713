"""The door: a file or an array becomes one mono waveform at RATE, or a ValueError that says what is wrong with it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

RATE = 22050  # Hz; everything in this room runs at this rate
SAMPLE_RATES = (4000, 384000)
MAX_CHANNELS = 64
SILENCE_DBFS = -70.0  # below this, after the constant offset is taken away, there is nothing to hear


@dataclass(frozen=True)
class Source:
    """Where the sound came from; the `source` object of the analysis record."""

    file: str | None
    duration_s: float
    sample_rate: int
    channels: int
    sha256: str | None


@dataclass(frozen=True)
class Sound:
    """`wave` (samples,) float32 at RATE, without constant offset and with root mean square 0.1; `level_dbfs` before that."""

    wave: np.ndarray
    source: Source
    level_dbfs: float

    @property
    def duration_s(self) -> float:
        """Seconds of the whole source."""
        return self.source.duration_s

    @property
    def silent(self) -> bool:
        """Whether the level lies under SILENCE_DBFS."""
        return self.level_dbfs < SILENCE_DBFS


def listen(audio: str | PathLike | np.ndarray, sr: int | None = None) -> Sound:
    """Read `audio`: a path, or an array (samples,) or (channels, samples) of floats with its rate `sr` in Hz.

    Raises ValueError (FileNotFoundError where no file is) with the reason for whatever cannot be heard as audio.
    """
    if isinstance(audio, (str, PathLike)):
        if sr is not None:
            raise ValueError(f"sr={sr} beside a path: a file knows its own rate; leave sr out")
        return _from_file(Path(audio))
    wave = np.asarray(audio)
    if sr is None:
        raise ValueError("an array needs its sample rate: analyze(wave, sr=44100)")
    return _sound(wave, sr, file=None, sha256=None)


def _from_file(path: Path) -> Sound:
    from musetune.audio import load_audio

    if path.is_dir():
        raise ValueError(f"{path} is a folder; give one audio file")
    wave, sr = load_audio(path, mono=False)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return _sound(wave, sr, file=path.name, sha256=digest)


def _sound(wave: np.ndarray, sr: int, file: str | None, sha256: str | None) -> Sound:
    from musetune.audio import resample

    name = file or "the array"
    wave = _checked(wave, sr, name)
    source = Source(file, wave.shape[1] / sr, int(sr), wave.shape[0], sha256)
    mono = resample(_fold(wave - wave.mean(axis=1, keepdims=True)), sr, RATE)
    level = float(np.sqrt(np.mean(np.square(mono, dtype=np.float64)))) if len(mono) else 0.0
    level_dbfs = 20 * np.log10(level) if level > 0 else -np.inf
    if level_dbfs < SILENCE_DBFS:
        return Sound(np.zeros(max(1, len(mono)), np.float32), source, float(level_dbfs))
    return Sound((mono * (0.1 / level)).astype(np.float32), source, float(level_dbfs))


def _checked(wave: np.ndarray, sr: int, name: str) -> np.ndarray:
    """`wave` as float (channels, samples), or a ValueError."""
    if isinstance(sr, bool) or sr != int(sr) or not SAMPLE_RATES[0] <= sr <= SAMPLE_RATES[1]:
        raise ValueError(f"sr={sr!r} is outside {SAMPLE_RATES[0]}–{SAMPLE_RATES[1]} Hz (whole numbers)")
    if not np.issubdtype(wave.dtype, np.floating):
        raise ValueError(f"{name} holds {wave.dtype}; give floats in -1..1 (int16 samples divided by 32768)")
    if wave.ndim not in (1, 2):
        raise ValueError(f"{name} has shape {wave.shape}; give (samples,) or (channels, samples)")
    wave = np.atleast_2d(wave)
    if wave.shape[1] == 0 or wave.shape[0] == 0:
        raise ValueError(f"{name} holds no samples")
    if wave.shape[0] > MAX_CHANNELS:
        raise ValueError(
            f"{name} has shape {wave.shape}: {wave.shape[0]} channels; is it (samples, channels)? transpose it"
        )
    if not np.isfinite(wave).all():
        raise ValueError(f"{name} holds NaN or infinite samples")
    return wave.astype(np.float32, copy=False)


def _fold(wave: np.ndarray) -> np.ndarray:
    """(channels, samples) → (samples,): the mean, or, where channels cancel each other, the loudest one."""
    mean = wave.mean(axis=0)
    power = np.square(wave, dtype=np.float64).mean(axis=1)
    if np.square(mean, dtype=np.float64).mean() < 0.02 * power.mean():
        return wave[int(power.argmax())]
    return mean
