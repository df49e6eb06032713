"""The colour of a sound in numbers: what mel levels say of instruments, drums and dynamics. Numpy only, in blocks."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np

from musetune.analysis.listening.features import FPS, N_MELS
from musetune.analysis.listening.network_inputs import rises

BLOCK = 10 * FPS  # frames looked at together: memory does not grow with the length of the music
N_CEPSTRA = 13
REGISTERS = {
    "bass": (0, 10),
    "low": (10, 26),
    "middle": (26, 46),
    "high": (46, 64),
}  # mel bands; to 0.4, 1.2, 3.6, 8 kHz
MODULATIONS_HZ = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # edges of the bands of the levels' own spectrum
BROAD = 0.5  # an attack is broad where at least this share of the upper bands rises at once
RISE = 0.15  # log10 units within 20 ms
QUIET = 0.02  # mean level in log10 units under which a frame is a rest: about 40 dB below the loud parts

TIMBRE_NAMES: tuple[str, ...] = (
    *(f"cepstrum {k}" for k in range(N_CEPSTRA)),
    *(f"cepstrum {k} deviation" for k in range(N_CEPSTRA)),
    *(f"cepstrum {k} change" for k in range(N_CEPSTRA)),
    *(f"{name} modulation {low:g}–{high:g} Hz" for name in REGISTERS
      for low, high in pairwise(MODULATIONS_HZ)),
    *(f"{name} rise" for name in REGISTERS),
    *(f"{name} roughness" for name in REGISTERS),
    *(f"{name} level" for name in REGISTERS),
    "broad attacks", "percussiveness", "rests", "dynamics", "brightness", "brightness deviation",
)  # fmt: skip


def timbre_features(levels: np.ndarray) -> np.ndarray:
    """(len(TIMBRE_NAMES),) float32 of `levels` (frames at FPS, N_MELS) from `mel_levels`; zeros where all is rest.

    - cepstrum k: coefficient k of the orthonormal DCT-II over mel bands (as in MFCC, Davis and Mermelstein 1980):
      mean, standard deviation, and mean size of the change from frame to frame;
    - modulation: share of a register's level changes at these rates (modulation spectrum, Tzanetakis and Cook 2002);
    - rise: mean growth of level beyond its neighbours' (SuperFlux); roughness: mean size of the difference between
      neighbouring bands; level: mean over the register less the mean over all bands;
    - broad attacks: moments a second at which half of the bands above 1.2 kHz rise at once, as a drum makes them;
      percussiveness: share of all rise that falls on such moments, 0…1; rests: share of quiet frames, 0…1;
      dynamics: standard deviation of the level of one second, log10 units; brightness: centroid over bands, 0…1.

    Each block of ten seconds is measured alone and counts by its frames, so three hours need no more memory than ten
    seconds. Raises ValueError for another shape or for values that are not finite.
    """
    levels = np.asarray(levels)
    if levels.ndim != 2 or levels.shape[1] != N_MELS:
        raise ValueError(f"levels have shape {levels.shape}; give (frames, {N_MELS}) from features.mel_levels")
    total, weight = np.zeros(len(TIMBRE_NAMES)), 0
    seconds: list[np.ndarray] = []
    for start in range(0, len(levels), BLOCK):
        block = levels[start : start + BLOCK].astype(np.float32)
        if not np.isfinite(block).all():
            raise ValueError("levels hold NaN or infinite values; give them from features.mel_levels")
        if len(block) < FPS:  # the crumb at the end
            continue
        loud = block.mean(axis=1) > QUIET
        if loud.any():
            total += len(block) * _block(block, loud)
            weight += len(block)
        seconds.append(block[: len(block) // FPS * FPS].mean(axis=1).reshape(-1, FPS).mean(axis=1))
    if not weight:
        return np.zeros(len(TIMBRE_NAMES), np.float32)
    mean = total / weight
    mean[TIMBRE_NAMES.index("dynamics")] = np.concatenate(seconds).std()
    return mean.astype(np.float32)


@lru_cache(maxsize=1)
def _dct() -> np.ndarray:
    """(N_MELS, N_CEPSTRA), orthonormal DCT-II."""
    band, order = np.arange(N_MELS)[:, None], np.arange(N_CEPSTRA)[None]
    basis = np.sqrt(2 / N_MELS) * np.cos(np.pi * (band + 0.5) * order / N_MELS)
    basis[:, 0] /= np.sqrt(2)
    return basis.astype(np.float32)


def _block(block: np.ndarray, loud: np.ndarray) -> np.ndarray:
    """All features but dynamics (left 0) of one block (frames, N_MELS); rests are left out of means."""
    cepstra = block @ _dct()
    audible, rise = block[loud], rises(block)
    level = audible.mean(axis=1, keepdims=True)
    rough = np.abs(np.diff(audible, axis=1))
    share = audible / (audible.sum(axis=1, keepdims=True) + 1e-6)
    bright = share @ np.linspace(0, 1, N_MELS, dtype=np.float32)
    parts = [
        cepstra[loud].mean(axis=0),
        cepstra[loud].std(axis=0),
        np.abs(np.diff(cepstra, axis=0)).mean(axis=0),
        np.concatenate([_modulation(block[:, low:high].mean(axis=1)) for low, high in REGISTERS.values()]),
        np.array([rise[:, low:high].mean() for low, high in REGISTERS.values()]),
        np.array([rough[:, low : high - 1].mean() for low, high in REGISTERS.values()]),
        np.array([(audible[:, low:high] - level).mean() for low, high in REGISTERS.values()]),
        np.array([*_attacks(rise), 1 - loud.mean(), 0.0, bright.mean(), bright.std()]),
    ]
    return np.concatenate(parts)


def _modulation(level: np.ndarray) -> np.ndarray:
    """(len(MODULATIONS_HZ) − 1,) shares, summing to 1, of the power spectrum of a register's level (frames,)."""
    power = np.abs(np.fft.rfft((level - level.mean()) * np.hanning(len(level)))) ** 2
    rate = np.fft.rfftfreq(len(level), 1 / FPS)
    bands = np.array([power[(rate >= a) & (rate < b)].sum() for a, b in pairwise(MODULATIONS_HZ)])
    return bands / (bands.sum() + 1e-9)


def _attacks(rise: np.ndarray) -> tuple[float, float]:
    """Broad attacks a second, and the share of all rise within 30 ms of one, from `rise` (frames, N_MELS)."""
    upper = slice(REGISTERS["middle"][0], N_MELS)
    broad = (rise[:, upper] > RISE).mean(axis=1) >= BROAD
    starts = np.flatnonzero(broad & ~np.append(False, broad[:-1]))
    near = np.zeros(len(rise), bool)
    for shift in range(-1, 3):
        near[np.clip(starts + shift, 0, len(rise) - 1)] = True
    return len(starts) / (len(rise) / FPS), float(rise[near].sum() / (rise.sum() + 1e-9))
