"""A chromagram to look at: what sounds in each pitch class, for the pictures. The analysis itself listens otherwise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from os import PathLike

import numpy as np

from musetune.audio.source import RATE, open_sound
from musetune.symbols import LeadSheet

FFT, HOP = 8192, 2048
LOWEST_HZ, HIGHEST_HZ = 55.0, 2200.0


def chromagram(sound: str | PathLike, column_s: float) -> np.ndarray:
    """(12, columns) 0…1, a column every `column_s` seconds: magnitudes of 55–2200 Hz by pitch class, each column over
    its highest. Read in blocks, so that any length fits.
    """
    columns: list[np.ndarray] = []
    bank = _bank()
    for spectrum in _spectra(sound):
        columns.append(bank @ np.log1p(spectrum))
    frames = np.concatenate(columns, axis=1) if columns else np.zeros((12, 1))
    frames = np.maximum(frames - np.quantile(frames, 0.2, axis=0), 0)
    count = max(1, round(frames.shape[1] * HOP / RATE / column_s))
    nearest = np.minimum((np.arange(count) + 0.5) * column_s * RATE / HOP, frames.shape[1] - 1).astype(int)
    frames = frames[:, nearest]
    loud = frames.max(axis=0)
    return frames / np.maximum(loud, 0.1 * max(float(loud.max()), 1e-9))


def _spectra(sound: str | PathLike) -> Iterator[np.ndarray]:
    """Magnitudes (bins, frames), centred: frame i lies at i · HOP / RATE seconds."""
    window = np.hanning(FFT).astype(np.float32)
    waiting = np.zeros(FFT // 2, np.float32)
    for block in itertools.chain(open_sound(sound).blocks(), [np.zeros(FFT // 2, np.float32)]):
        waiting = np.concatenate([waiting, block])
        count = (len(waiting) - FFT) // HOP + 1
        if count > 0:
            frames = np.lib.stride_tricks.sliding_window_view(waiting, FFT)[::HOP][:count]
            yield np.abs(np.fft.rfft(frames * window, axis=1)).T.astype(np.float32)
            waiting = waiting[count * HOP :]


def _bank() -> np.ndarray:
    """(12, bins): to which pitch class a bin belongs, a bell of a third of a semitone around each."""
    hz = np.fft.rfftfreq(FFT, 1 / RATE)
    pitch = 69 + 12 * np.log2(np.maximum(hz, 1) / 440)
    away = (pitch[None] - np.arange(12)[:, None] + 6) % 12 - 6
    return np.exp(-0.5 * (away / 0.35) ** 2) * ((hz >= LOWEST_HZ) & (hz <= HIGHEST_HZ))


def chord_tones(sheet: LeadSheet, end_s: float, column_s: float) -> np.ndarray:
    """(12, columns): 1 for the bass of the chord, 0.7 for its other tones, 0 elsewhere."""
    chroma = np.zeros((12, max(1, math.ceil(end_s / column_s))))
    for span, (start, end) in zip(sheet.chords, sheet.chord_intervals_s, strict=True):
        low, high = round(start / column_s), round(end / column_s)
        for tone in span.chord.pitch_classes:
            chroma[tone, low:high] = 1.0 if tone == span.chord.bass_pc else 0.7
    return chroma
