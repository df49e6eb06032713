"""Waveforms joined so that nothing outside a stretch and its short crossfades changes."""

from __future__ import annotations

import numpy as np

FADE_S = 0.02  # seconds of a crossfade
REACH_S = 0.05  # a crossfade lies in the last so many seconds before a cut: stretches begin and end on beats, whose
# attacks are to be whole
STEP_S = 0.005  # places of a crossfade that are compared
N_FFT_S = 0.032  # of the spectra that are compared


def splice(old: np.ndarray, new: np.ndarray, start: int, end: int, rate: int) -> np.ndarray:
    """Put samples ``start`` up to ``end`` of ``new`` into ``old``, by crossfades of 20 ms before either cut.

    Where in the 50 ms before a cut the crossfade lies is decided by the spectral flux of the joint: it is where least
    begins anew.

    Args:
        old: floats (…, samples).
        new: floats of the same shape; what is heard of it is the stretch and what the first crossfade takes.
        start: first sample of the stretch; 0 is no cut.
        end: the sample after its last; the waveform's end is no cut.
        rate: Hz.

    Returns:
        A copy of ``old``; outside the stretch and the 50 ms before it it is ``old``, bit for bit.

    Example:
        >>> joined = splice(np.zeros(4000), np.ones(4000), 1000, 3000, 16000)
        >>> joined[[199, 999, 2199, 2999, 3000]].tolist()
        [0.0, 1.0, 1.0, 0.0, 0.0]
    """
    fade, total = round(FADE_S * rate), old.shape[-1]
    first = least_flux(old, new, start, rate) if start > 0 else 0
    last = least_flux(new, old, end, rate) if end < total else total
    out = old.copy()
    out[..., first:last] = new[..., first:last]
    for at, leaving, entering in ((first, old, new), (last, new, old)):
        if 0 < at < total:
            here = slice(at, min(at + fade, total))
            out[..., here] = crossfade(leaving[..., here], entering[..., here])
    return out


def least_flux(leaving: np.ndarray, entering: np.ndarray, cut: int, rate: int) -> int:
    """Return the first sample of a crossfade before ``cut`` at which least begins anew.

    Args:
        leaving: floats (…, samples), heard until the crossfade.
        entering: floats of the same shape, heard from it on.
        cut: the sample before which the crossfade ends.
        rate: Hz.
    """
    fade, reach = round(FADE_S * rate), round(REACH_S * rate)
    earliest = max(0, cut - reach + 1)  # not a sample before the 50 ms, however the cut was rounded
    places = range(earliest, max(earliest + 1, cut - fade + 1), max(1, round(STEP_S * rate)))
    found = []
    for at in places:
        first, last = max(0, at - reach), min(leaving.shape[-1], at + fade + reach)
        joint = leaving[..., first:last].copy()
        joint[..., at + fade - first :] = entering[..., at + fade : last]
        here = slice(at, min(at + fade, last))
        joint[..., at - first : at - first + fade] = crossfade(leaving[..., here], entering[..., here])
        found.append(_rise(joint.reshape(-1, joint.shape[-1]).mean(axis=0), rate, at - first, at - first + fade))
    return places[int(np.argmin(found))]


def _rise(wave: np.ndarray, rate: int, first: int, last: int) -> float:
    """Return the highest rise of the log spectrum between ``first`` and ``last``, from frame to frame of 5 ms."""
    size, hop = round(N_FFT_S * rate), max(1, round(STEP_S * rate))
    padded = np.pad(wave.astype(np.float32), size // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * np.hanning(size).astype(np.float32)
    level = np.log(np.abs(np.fft.rfft(frames)) + 1e-3)
    rise = np.maximum(np.diff(level, axis=0), 0).mean(axis=1)
    return float(rise[max(0, first // hop - 1) : last // hop + 1].max(initial=0.0))


def crossfade(leaving: np.ndarray, entering: np.ndarray) -> np.ndarray:
    """Cross from one waveform into another at equal loudness, however alike they are.

    The gains are divided by the loudness that two signals of this correlation would have (Fink, Holters & Zölzer,
    "Signal-matched power-complementary cross-fading", DAFx 2016): equal gain for the same signal, equal power for
    unrelated ones.

    Args:
        leaving: floats (…, samples).
        entering: floats of the same shape.

    Returns:
        Floats of the same shape.

    Example:
        >>> wave = np.sin(np.arange(64) / 3)
        >>> bool(np.allclose(crossfade(wave, wave), wave))
        True
    """
    rise = np.sin(np.pi / 2 * (np.arange(leaving.shape[-1]) + 0.5) / leaving.shape[-1]) ** 2
    power = float(np.sqrt(np.square(leaving, dtype=float).sum() * np.square(entering, dtype=float).sum()))
    alike = float(np.clip((leaving * entering).sum(dtype=float) / power, -0.5, 1.0)) if power > 0 else 1.0
    loudness = np.sqrt(rise**2 + (1 - rise) ** 2 + 2 * alike * rise * (1 - rise))
    return np.asarray(((1 - rise) * leaving + rise * entering) / loudness, dtype=leaving.dtype)
