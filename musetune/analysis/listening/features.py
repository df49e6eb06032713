"""What is kept of a sound: a log-frequency spectrum for harmony and mel levels for rhythm, taken in blocks.

Three hours fit into 0.3 GB: both are half precision, and nothing else of the waveform stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from musetune.analysis.listening.spectrum import HOP, N_BINS, N_FFT, log_frequency_matrix
from musetune.audio.source import RATE

FPS = 100  # frames a second of the mel levels
MEL_N_FFT = 1024
N_MELS = 64
RMS = 0.1  # what every sound is brought to
FLOOR = 1e-8  # of mel power
CHUNK = 512  # frames transformed at once


@dataclass(frozen=True)
class SpectralFeatures:
    """`spectrum` (frames, N_BINS) magnitudes, frame k centred on k · HOP / RATE seconds; `loudness` (frames,) rms;
    `mel` (frames at FPS, N_MELS) log10 of mel power, frame k centred on k / FPS; both float16, as they came. `gain`
    brings the whole to RMS."""

    spectrum: np.ndarray
    loudness: np.ndarray
    mel: np.ndarray
    gain: float
    duration_s: float

    def levels(self) -> np.ndarray:
        """(frames at FPS, N_MELS) float16: log10(1 + 100 · mel power) of the sound at RMS."""
        scale = np.float32(1e2 * self.gain**2)
        levels = np.empty_like(self.mel)
        for out, part in zip(parts(levels, 8192), parts(self.mel, 8192), strict=True):
            out[:] = np.log10(1 + scale * 10 ** part.astype(np.float32))
        return levels


def mel_levels(wave: np.ndarray) -> np.ndarray:
    """`levels` of `wave` (samples,) at RATE."""
    return extract([wave]).levels()


def extract(blocks: Iterable[np.ndarray]) -> SpectralFeatures:
    """Features of the sound whose consecutive blocks (samples,) at RATE are given; at least one sample."""
    slow = _Framer(N_FFT, lambda k: k * HOP)
    fast = _Framer(MEL_N_FFT, lambda k: k * RATE // FPS)
    stored = bytearray(), bytearray(), bytearray()  # grow in place; lists of small arrays would scatter over the heap
    energy, count = 0.0, 0

    def keep(harmony: Iterator[np.ndarray], rhythm: Iterator[np.ndarray]) -> None:
        for frames in harmony:
            spectrum, loudness = _harmony(frames)
            stored[0].extend(spectrum.tobytes())
            stored[1].extend(loudness.tobytes())
        for frames in rhythm:
            stored[2].extend(_rhythm(frames).tobytes())

    for block in _pieces(blocks):
        energy, count = energy + float(np.square(block, dtype=np.float64).sum()), count + len(block)
        keep(slow.take(block), fast.take(block))
    keep(slow.rest(count), fast.rest(count))
    spectrum = np.frombuffer(stored[0], np.float16).reshape(-1, N_BINS)
    mel = np.frombuffer(stored[2], np.float16).reshape(-1, N_MELS)
    gain = RMS / np.sqrt(energy / count) if energy > 0 else 1.0
    return SpectralFeatures(spectrum, np.frombuffer(stored[1], np.float32), mel, float(gain), count / RATE)


def parts(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Consecutive stretches of at most `size` rows."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _pieces(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    for block in blocks:
        yield from parts(block, 10 * RATE)


class _Framer:
    """Cuts a stream into frames of `size` samples, frame k centred on sample `centre(k)`; zeros before and after."""

    def __init__(self, size: int, centre: Callable[[int], int]) -> None:
        self.size, self.centre = size, centre
        self.buffer, self.origin = np.zeros(size // 2, np.float32), -(size // 2)  # sample number of buffer[0]
        self.next = 0

    def take(self, block: np.ndarray) -> Iterator[np.ndarray]:
        """(≤ CHUNK, size) frames that `block` completes."""
        self.buffer = np.concatenate([self.buffer, block])
        end = self.origin + len(self.buffer)
        starts = []
        while (start := self.centre(self.next) - self.size // 2) + self.size <= end:
            starts.append(start - self.origin)
            self.next += 1
        windows = np.lib.stride_tricks.sliding_window_view(self.buffer, self.size) if starts else self.buffer
        for some in parts(np.array(starts, int), CHUNK):
            yield windows[some]
        keep = self.centre(self.next) - self.size // 2 - self.origin
        self.buffer, self.origin = self.buffer[keep:], self.origin + keep

    def rest(self, count: int) -> Iterator[np.ndarray]:
        """The frames whose centres lie within the `count` samples but whose ends lie beyond."""
        last = self.next
        while self.centre(last) <= count:
            last += 1
        missing = self.centre(last - 1) + self.size // 2 - (self.origin + len(self.buffer))
        yield from self.take(np.zeros(max(missing, 0), np.float32))


def _harmony(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    magnitude = np.abs(np.fft.rfft(frames * _window(N_FFT))).astype(np.float32)
    loudness = np.sqrt(np.square(magnitude).mean(axis=1))
    return np.minimum(magnitude @ log_frequency_matrix(), 6e4).astype(np.float16), loudness


def _rhythm(frames: np.ndarray) -> np.ndarray:
    power = np.abs(np.fft.rfft(frames * _window(MEL_N_FFT))) ** 2
    return np.log10(power @ _mel_filters() + FLOOR).astype(np.float16)


@lru_cache(maxsize=2)
def _window(size: int) -> np.ndarray:
    return np.hanning(size).astype(np.float32)


@lru_cache(maxsize=1)
def _mel_filters() -> np.ndarray:
    import librosa

    return librosa.filters.mel(sr=RATE, n_fft=MEL_N_FFT, n_mels=N_MELS, fmin=30, fmax=8000).T
