"""Waveforms joined so that nothing outside a stretch and its short crossfades changes."""

from __future__ import annotations

import numpy as np

FADE_S = 0.03  # seconds of a crossfade; it lies outside the new stretch


def splice(old: np.ndarray, new: np.ndarray, start: int, end: int, fade: int) -> np.ndarray:
    """Put samples ``start`` up to ``end`` of ``new`` into ``old``.

    Args:
        old: floats (…, samples).
        new: floats of the same shape; what is heard of it is the stretch and a crossfade on either side.
        start: first sample of the stretch.
        end: the sample after its last.
        fade: samples of a crossfade; shorter where the waveform begins or ends.

    Returns:
        A copy of ``old``; outside ``start − fade`` up to ``end + fade`` it is ``old``, bit for bit.

    Example:
        >>> joined = splice(np.zeros(8), np.ones(8), 3, 5, fade=1)
        >>> joined[[0, 1, 3, 4, 6, 7]].tolist()
        [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    """
    out = old.copy()
    out[..., start:end] = new[..., start:end]
    if (before := slice(max(0, start - fade), start)).stop > before.start:
        out[..., before] = crossfade(old[..., before], new[..., before])
    if (after := slice(end, min(old.shape[-1], end + fade))).stop > after.start:
        out[..., after] = crossfade(new[..., after], old[..., after])
    return out


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
