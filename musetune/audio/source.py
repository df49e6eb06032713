"""The door: a file or an array becomes mono blocks at RATE, or a ValueError that says what is wrong with it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from musetune.audio.decode import CHUNK_VALUES, MAX_CHANNELS, SAMPLE_RATES, open_decoder

SYMBOLS = (".mid", ".midi", ".musicxml", ".mxl", ".xml", ".json", ".jams")  # suffixes of what is read and not heard
RATE = 22050  # Hz; everything in this room runs at this rate
SILENCE_DBFS = -70.0  # below this, after the constant offset is taken away, there is nothing to hear
FOLD_S = 5.0  # channels are folded anew in each stretch of so many seconds
CROSSFADE_S = 0.05  # from one way of folding to another
OFFSET_HZ = 2.0  # what moves slower than this is offset, not sound
LOUDEST = 1e6  # a sample beyond is no sound: floats in files of 16-bit numbers reach 32768
CANCELLED = 0.02  # the mean of the channels has less than this share of their power: they cancel each other


@dataclass(frozen=True)
class MusicSource:
    """Where the music came from; the `source` object of the analysis record. Symbols have no rate and no channels."""

    file: str | None
    duration_s: float
    sample_rate: int | None
    channels: int | None
    sha256: str | None


@dataclass(frozen=True)
class LoadedSound:
    """`wave` (samples,) float32 at RATE, without constant offset and with root mean square 0.1; `level_dbfs` before
    that.
    """

    wave: np.ndarray
    source: MusicSource
    level_dbfs: float

    @property
    def duration_s(self) -> float:
        """Seconds of the whole source."""
        return self.source.duration_s

    @property
    def silent(self) -> bool:
        """Whether the level lies under SILENCE_DBFS."""
        return self.level_dbfs < SILENCE_DBFS


class SoundStream:
    """A sound that is read piece by piece: any length in bounded memory. `file` is the name, None for an array;
    `sample_rate` in Hz and `channels` are the source's own; `sha256` of the file's bytes, None for an array."""

    def __init__(
        self, file: str | None, sample_rate: int, channels: int, sha256: str | None, open_: Callable[[], Iterator]
    ) -> None:
        self.file, self.sample_rate, self.channels, self.sha256 = file, sample_rate, channels, sha256
        self._open = open_
        self._totals: tuple[MusicSource, float] | None = None

    def blocks(self, seconds: float = 30.0) -> Iterator[np.ndarray]:
        """Consecutive mono float32 blocks at RATE, each of `seconds`, the last one shorter; at the source's own level.

        Each call starts from the beginning. Raises ValueError where there are no samples, or some are not finite.
        """
        size, power, count, waiting = max(1, round(seconds * RATE)), 0.0, 0, np.zeros(0, np.float32)
        frames = 0
        mono = _MonoFolder(self.sample_rate, self.channels)
        for last, wave in _and_last(_stretches(self._open(), self.sample_rate)):
            frames += len(wave)
            self._check(wave)
            piece = mono(wave, last)
            power += float(piece @ piece)
            count += len(piece)
            waiting = np.concatenate([waiting, piece])
            while len(waiting) >= size:
                yield waiting[:size]
                waiting = waiting[size:]
        if frames == 0:
            raise ValueError(f"{self.file or 'the array'} holds no samples")
        level = 10 * np.log10(power / count) if power > 0 else -np.inf
        source = MusicSource(self.file, frames / self.sample_rate, self.sample_rate, self.channels, self.sha256)
        self._totals = source, float(level)
        if len(waiting):
            yield waiting

    def _check(self, wave: np.ndarray) -> None:
        low, high = float(wave.min(initial=0.0)), float(wave.max(initial=0.0))
        if not -LOUDEST <= low <= high <= LOUDEST:  # NaN too
            claim = f"samples as large as {high - low:.1g}" if np.isfinite(high - low) else "NaN or infinite samples"
            raise ValueError(f"{self.file or 'the array'} holds {claim}: that is no sound")

    @property
    def source(self) -> MusicSource:
        """What was read, its duration counted in decoded samples. Raises RuntimeError before all blocks were taken."""
        return self._after()[0]

    @property
    def level_dbfs(self) -> float:
        """Root mean square of the whole, dB re full scale, −inf for nothing. Raises RuntimeError like `source`."""
        return self._after()[1]

    def _after(self) -> tuple[MusicSource, float]:
        if self._totals is None:
            raise RuntimeError("the duration and the level are known after the last of blocks()")
        return self._totals


def text_name(path: str | PathLike) -> str:
    r"""Name of a file as text that every encoding of Unicode takes.

    Bytes of a name that are no UTF-8 stand as ``\xe9``.

    Example:
        >>> text_name(b"songs/caf\xe9.mp3".decode(errors="surrogateescape"))
        'caf\\xe9.mp3'
    """
    return os.fsencode(Path(path).name).decode("utf-8", "backslashreplace")


def open_sound(audio: str | PathLike | np.ndarray, sr: int | None = None) -> SoundStream:
    """Open a sound to be read in mono blocks of bounded size.

    Args:
        audio: A path, or floats (samples,) or (channels, samples) in −1…1.
        sr: Sampling rate of an array in Hz, 4000–384000; None beside a path.

    Returns:
        A stream whose `blocks()` are mono at 22050 Hz.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be heard as audio; the message says why.

    Example:
        >>> import numpy as np
        >>> stream = open_sound(np.zeros((2, 44100)), 44100)
        >>> sum(len(block) for block in stream.blocks()), stream.source.channels
        (22050, 2)
    """
    if isinstance(audio, (str, PathLike)):
        if sr is not None:
            raise ValueError(f"sr={sr} beside a path: a file knows its own rate; leave sr out")
        path = Path(audio)
        head = open_decoder(path)
        head.close()
        return SoundStream(
            text_name(path), head.rate, head.channels, sha256_of(path), lambda: open_decoder(path).chunks()
        )
    if sr is None:
        raise ValueError("an array needs its sample rate: analyze(wave, sr=44100)")
    wave = _by_channel(np.asarray(audio), sr)
    step = max(1, CHUNK_VALUES // len(wave))
    starts = range(0, wave.shape[1], step)
    return SoundStream(None, int(sr), len(wave), None, lambda: (_float(wave[:, i : i + step].T) for i in starts))


def listen(audio: str | PathLike | np.ndarray, sr: int | None = None) -> LoadedSound:
    """The whole of a sound at once, for what fits into memory; arguments and errors as for `open_sound`."""
    stream = open_sound(audio, sr)
    wave = np.concatenate([*stream.blocks(), np.zeros(0, np.float32)])
    level = stream.level_dbfs
    if level < SILENCE_DBFS or not len(wave):
        return LoadedSound(np.zeros(max(1, len(wave)), np.float32), stream.source, level)
    return LoadedSound(wave * np.float32(0.1 / 10 ** (level / 20)), stream.source, level)


def sha256_of(path: str | PathLike) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _MonoFolder:
    """Samples (frames, channels) in → (samples,) at RATE out, one stretch after another as if they were one."""

    def __init__(self, rate: int, channels: int) -> None:
        import soxr

        self.rate, self.offset = rate, np.zeros(channels, np.float32)
        self.weights: np.ndarray | None = None
        self.resampler = None if rate == RATE else soxr.ResampleStream(rate, RATE, 1, dtype="float32", quality="HQ")
        self.state = np.zeros(1)

    def __call__(self, wave: np.ndarray, last: bool) -> np.ndarray:
        if (
            self.weights is None
        ):  # the first: its offset is taken away at once, else the resampler would ring at the start
            self.offset = wave.mean(axis=0, dtype=np.float64).astype(np.float32)
        mono = self._fold(wave - self.offset)
        if self.resampler is not None:
            mono = self.resampler.resample_chunk(np.ascontiguousarray(mono), last=last)
        return self._level(mono)

    def _fold(self, wave: np.ndarray) -> np.ndarray:
        """The channels weighed and summed; new weights are faded in."""
        before, after = self.weights, fold_weights(wave)
        self.weights = after
        if before is None or (before == after).all():
            return wave @ after
        fade = np.minimum(np.arange(len(wave), dtype=np.float32) / (CROSSFADE_S * self.rate), 1)
        return (wave @ before) * (1 - fade) + (wave @ after) * fade

    def _level(self, mono: np.ndarray) -> np.ndarray:
        """Without what is left of the offset or wanders, by the leaky differentiator y[n] = x[n] − x[n−1] + R y[n−1]
        (J. O. Smith, Introduction to Digital Filters, "DC blocker")."""
        from scipy.signal import lfilter

        leak = np.exp(-2 * np.pi * OFFSET_HZ / RATE)
        level, self.state = lfilter([1, -1], [1, -leak], mono.astype(np.float64), zi=self.state)
        return level.astype(np.float32)


def fold_weights(wave: np.ndarray) -> np.ndarray:
    """The weight (channels,) of each channel of `wave` (frames, channels): all alike, or, where they cancel each other
    (offsets left aside), 1 for the loudest and 0 for the others."""
    channels = wave.shape[1]
    alike = np.full(channels, 1 / channels, np.float32)
    if channels == 1 or not len(wave):
        return alike
    power, mono = np.einsum("fc,fc->c", wave, wave) / len(wave), wave @ alike
    power -= (np.ones(len(wave), np.float32) @ wave / len(wave)) ** 2
    if mono @ mono / len(wave) - float(mono.mean()) ** 2 >= CANCELLED * power.mean():
        return alike
    return np.eye(channels, dtype=np.float32)[power.argmax()]


def _stretches(chunks: Iterator[np.ndarray], rate: int) -> Iterator[np.ndarray]:
    """Yield the samples in stretches of FOLD_S seconds, fewer where channels and rate would fill the memory.

    What is decided per stretch then does not depend on the decoder's chunks.
    """
    size, waiting = round(FOLD_S * rate), None
    for chunk in chunks:
        size = min(size, 4 * CHUNK_VALUES // chunk.shape[1])
        waiting = chunk if waiting is None else np.concatenate([waiting, chunk])
        while len(waiting) >= size:
            yield waiting[:size]
            waiting = waiting[size:]
    if waiting is not None and len(waiting):
        yield waiting


def _and_last(items: Iterator[np.ndarray]) -> Iterator[tuple[bool, np.ndarray]]:
    """Each item with whether it is the last."""
    before = None
    for item in items:
        if before is not None:
            yield False, before
        before = item
    if before is not None:
        yield True, before


def _by_channel(wave: np.ndarray, sr: int) -> np.ndarray:
    """`wave` as (channels, samples), or a ValueError."""
    if isinstance(sr, bool) or sr != int(sr) or not SAMPLE_RATES[0] <= sr <= SAMPLE_RATES[1]:
        raise ValueError(f"sr={sr!r} is outside {SAMPLE_RATES[0]}–{SAMPLE_RATES[1]} Hz (whole numbers)")
    if not np.issubdtype(wave.dtype, np.floating):
        raise ValueError(f"the array holds {wave.dtype}; give floats in -1..1 (int16 samples divided by 32768)")
    if wave.ndim not in (1, 2):
        raise ValueError(f"the array has shape {wave.shape}; give (samples,) or (channels, samples)")
    wave = np.atleast_2d(wave)
    if wave.shape[1] == 0 or wave.shape[0] == 0:
        raise ValueError("the array holds no samples")
    if wave.shape[0] > MAX_CHANNELS:
        raise ValueError(
            f"the array has shape {wave.shape}: {wave.shape[0]} channels; is it (samples, channels)? transpose it"
        )
    if not np.isfinite(wave).all():
        raise ValueError("the array holds NaN or infinite samples")
    return wave


def _float(wave: np.ndarray) -> np.ndarray:
    return np.asarray(wave, np.float32)
