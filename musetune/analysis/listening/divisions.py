"""How onsets divide beats and bars: what tells 6/8 from 3/4 and 4/4 where the same eighths sound in all of them."""

from __future__ import annotations

import numpy as np

from musetune.analysis.listening.vocabulary import BEATS

TRIPLE_BIAS = 1.8  # log ratio of onsets on thirds to those on halves, negated, from which thirds speak for 6/8
FAINT_ONSET = 0.03  # standard deviations of onset strength, added so that silence between beats speaks for nothing
FAINT_ACCENT = 0.1  # the same, of the accents in a bar


def triple_ratio(strength: np.ndarray, beats: np.ndarray) -> float:
    """How much stronger onsets are on the thirds of the beats than on their halves.

    Of the thirds the weakest counts, of the first and the second of every odd and of every even beat: swing has the
    second alone, and a bar of 3/4 taken for two beats has one third in each of them.

    Args:
        strength: (frames,) onset strength in standard deviations.
        beats: (n,) frames at which beats begin.

    Returns:
        A natural logarithm, about −3…3; −TRIPLE_BIAS, which speaks for nothing, for fewer than four beats and where
        nothing sounds between them.

    Example:
        >>> strength = np.zeros(400)
        >>> strength[::20] = 3.0
        >>> triple_ratio(strength, np.arange(0, 400, 60)) > 2 > -2 > triple_ratio(strength, np.arange(0, 400, 40))
        True
    """
    if len(beats) < 4:
        return -TRIPLE_BIAS
    near = _near(strength)
    first, second, half = (_strengths_at(near, beats, np.arange(len(beats) - 1) + part) for part in (1 / 3, 2 / 3, 0.5))
    thirds = min(float(some[parity::2].mean()) for some in (first, second) for parity in (0, 1))
    return float(np.log((thirds + FAINT_ONSET) / (float(half.mean()) + FAINT_ONSET * np.exp(TRIPLE_BIAS))))


def accent_ratio(bands: np.ndarray, beats: np.ndarray, first: int) -> float:
    """How much stronger the middle of a bar of 6/8 is struck than the eighths on either side of it.

    In 6/8 the second beat stands there; in 3/4 the second and third beat stand beside it. Drums and basses show it: the
    low and the middle register count.

    Args:
        bands: (frames, 3) onset strength of the low, middle and high register in standard deviations.
        beats: (n,) frames at which dotted quarters begin.
        first: Index of the first of them that opens a bar.

    Returns:
        A natural logarithm, about −3…3: above 0 for 6/8, below 0 for 3/4; 0, which speaks for neither, where there is
        no whole bar.

    Example:
        >>> bands = np.zeros((480, 3))
        >>> bands[::60, 0] = 3.0  # a bass drum on every dotted quarter
        >>> accent_ratio(bands, np.arange(0, 480, 60), 0) > 1
        True
        >>> waltz = np.zeros((480, 3))
        >>> waltz[::40, 0] = 3.0  # on every quarter
        >>> accent_ratio(waltz, np.arange(0, 480, 60), 0) < -1
        True
    """
    lines = np.arange(first, len(beats) - BEATS["6/8"], BEATS["6/8"])
    if not len(lines):
        return 0.0
    near = _near(bands[:, :2].mean(axis=1))
    before, middle, after = (float(_strengths_at(near, beats, lines + eighth / 3).mean()) for eighth in (2, 3, 4))
    return float(np.log((middle + FAINT_ACCENT) / ((before + after) / 2 + FAINT_ACCENT)))


def _near(strength: np.ndarray) -> np.ndarray:
    """(frames,) the strongest within 30 ms."""
    window: np.ndarray = np.lib.stride_tricks.sliding_window_view(np.pad(strength, 3), 7).max(axis=1)
    return window


def _strengths_at(near: np.ndarray, beats: np.ndarray, places: np.ndarray) -> np.ndarray:
    """`near` at places counted in beats, fractions between them."""
    frames = np.interp(places, np.arange(len(beats)), beats).round().astype(int)
    strengths: np.ndarray = near[np.minimum(frames, len(near) - 1)]
    return strengths
