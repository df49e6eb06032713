"""Which notes sound when: a tuned log-frequency spectrum, explained as a non-negative mixture of harmonic notes.

The method is NNLS chroma (Mauch and Dixon, ISMIR 2010): three bins a semitone, tuning from the phase of the mean
spectrum, local whitening, then non-negative least squares against notes whose partials fall off geometrically.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from musetune.audio.source import RATE

N_FFT = 8192  # 372 ms: resolves semitones down to about 90 Hz
HOP = 1024  # 46 ms
LOWEST_NOTE, HIGHEST_NOTE = 24, 103  # MIDI numbers, inclusive
N_NOTES = HIGHEST_NOTE - LOWEST_NOTE + 1
BINS_PER_SEMITONE = 3
N_BINS = N_NOTES * BINS_PER_SEMITONE
ROLLOFF = 0.7  # amplitude ratio of neighbouring partials
N_PARTIALS = 16


@dataclass(frozen=True)
class NoteSalience:
    """`notes` (frames, N_NOTES) ≥ 0, how strongly each note sounds; `white` (frames, N_BINS) ≥ 0, the tuned, whitened
    spectrum; `times_s` (frames,) centres; `loudness` (frames,) rms; `tuning` in semitones from A4 = 440 Hz,
    −0.5…0.5."""

    notes: np.ndarray
    white: np.ndarray
    times_s: np.ndarray
    loudness: np.ndarray
    tuning: float

    def chroma(self) -> np.ndarray:
        """(frames, 24): bass chroma (C…B) beside treble chroma; the registers overlap around middle C."""
        low, middle, high = np.split(self.registers(), 3, axis=1)
        return np.concatenate([low, middle + high], axis=1)

    def registers(self) -> np.ndarray:
        """(frames, 36): chroma (C…B) of the low, middle and high register, which cross-fade into each other."""
        pitch = np.arange(LOWEST_NOTE, HIGHEST_NOTE + 1)
        edge = np.clip((pitch - 24) / 6, 0.3, 1) * np.clip((HIGHEST_NOTE + 1 - pitch) / 18, 0, 1)
        above_low, above_middle = np.clip((pitch - 48) / 10, 0, 1), np.clip((pitch - 66) / 10, 0, 1)
        fold = np.zeros((N_NOTES, 36), np.float32)
        for register, weight in enumerate((1 - above_low, above_low * (1 - above_middle), above_middle)):
            fold[np.arange(N_NOTES), 12 * register + pitch % 12] = weight * edge
        return self.notes @ fold


def salience(spectrum: np.ndarray, loudness: np.ndarray) -> NoteSalience:
    """Note salience of a log-frequency `spectrum` (frames, N_BINS), frame k centred on k · HOP / RATE seconds."""
    tuning = _tuning(spectrum)
    white = np.empty(spectrum.shape, np.float16)
    notes = np.empty((len(spectrum), N_NOTES), np.float16)
    for start in range(0, len(spectrum), 2048):  # in blocks, to keep memory small
        here = slice(start, start + 2048)
        tuned = _whiten(_retune(spectrum[here].astype(np.float32), tuning))
        white[here], notes[here] = tuned, _nnls(tuned, _note_dictionary())
    return NoteSalience(notes, white, np.arange(len(spectrum)) * HOP / RATE, loudness, tuning)


@lru_cache(maxsize=1)
def log_frequency_matrix() -> np.ndarray:
    """(N_FFT // 2 + 1, N_BINS): raised cosines two thirds of a semitone wide, over the linearly interpolated
    spectrum.
    """
    fine = 40  # interpolation points per FFT bin
    grid = np.arange(1, (N_FFT // 2) * fine) / fine
    semitone = 69 + 12 * np.log2(grid * RATE / N_FFT / 440)
    centres = LOWEST_NOTE + (np.arange(N_BINS) - 1) / BINS_PER_SEMITONE
    matrix = np.zeros((N_BINS, N_FFT // 2 + 1), np.float32)
    for row, centre in zip(matrix, centres, strict=True):
        near = np.flatnonzero(np.abs(semitone - centre) < 1 / BINS_PER_SEMITONE)
        weight = 0.5 + 0.5 * np.cos(np.pi * BINS_PER_SEMITONE * (semitone[near] - centre))
        weight /= weight.sum()
        low, part = grid[near].astype(int), grid[near] % 1
        np.add.at(row, low, weight * (1 - part))
        np.add.at(row, low + 1, weight * part)
    return np.ascontiguousarray(matrix.T)


def _tuning(spectrum: np.ndarray) -> float:
    """Semitones by which the whole is off A4 = 440 Hz, from the phase at one cycle a semitone (Mauch and Dixon,
    2010).
    """
    phase = np.exp(2j * np.pi * (np.arange(N_BINS) - 1) / BINS_PER_SEMITONE)
    return float(np.angle(spectrum.sum(axis=0, dtype=np.float64) @ phase) / (2 * np.pi))


def _retune(spectrum: np.ndarray, tuning: float) -> np.ndarray:
    """Shift along frequency by `tuning` semitones, so that note centres fall on every third bin."""
    shift = tuning * BINS_PER_SEMITONE
    whole, part = int(np.floor(shift)), shift - np.floor(shift)
    at = np.arange(N_BINS) + whole
    low, high = np.clip(at, 0, N_BINS - 1), np.clip(at + 1, 0, N_BINS - 1)
    return spectrum[:, low] * (1 - part) + spectrum[:, high] * part


def _whiten(spectrum: np.ndarray, half_width: int = 18) -> np.ndarray:
    """What stands out of the surrounding octave, in local standard deviations."""
    total = _running_mean(spectrum, half_width)
    deviation = np.sqrt(np.maximum(_running_mean(np.square(spectrum), half_width) - np.square(total), 0))
    floor = 1e-3 * deviation.max(axis=1, initial=0, keepdims=True) + 1e-9
    return np.maximum(spectrum - total, 0) / (deviation + floor)


def _running_mean(spectrum: np.ndarray, half_width: int) -> np.ndarray:
    padded = np.pad(spectrum.astype(np.float64), ((0, 0), (half_width + 1, half_width)))
    total = padded.cumsum(axis=1)
    width = 2 * half_width + 1
    count = np.convolve(np.ones(spectrum.shape[1]), np.ones(width), "same")
    return ((total[:, width:] - total[:, :-width]) / count).astype(np.float32)


@lru_cache(maxsize=1)
def _note_dictionary() -> np.ndarray:
    """(N_NOTES, N_BINS): each note's partials, amplitude ROLLOFF^k."""
    bins = np.arange(N_BINS)
    notes = np.zeros((N_NOTES, N_BINS), np.float32)
    for note in range(N_NOTES):
        for partial in range(1, N_PARTIALS + 1):
            centre = 1 + BINS_PER_SEMITONE * (note + 12 * np.log2(partial))
            near = np.abs(bins - centre) < 2
            notes[note, near] += ROLLOFF ** (partial - 1) * (0.5 + 0.5 * np.cos(np.pi * (bins[near] - centre) / 2))
    return notes / np.linalg.norm(notes, axis=1, keepdims=True)


def _nnls(spectrum: np.ndarray, dictionary: np.ndarray, iterations: int = 40) -> np.ndarray:
    """Non-negative `x` (frames, notes) with x @ dictionary ≈ spectrum, by multiplicative updates (Lee and Seung,
    2001).
    """
    target = spectrum @ dictionary.T
    gram = dictionary @ dictionary.T
    x = target.copy()
    for _ in range(iterations):
        x *= target / (x @ gram + 1e-6)
    return x
