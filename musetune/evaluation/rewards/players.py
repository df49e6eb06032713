"""What our own ears tell of players' notes: is a snare a snare, a kick a kick, and does the bass play its notes?

No transcriber is used: those judge. A drum is told where it was asked for, by whether its band rises there more than at
the other strokes, which a hat at the same place cannot feign everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from musetune.analysis.listening.features import FPS, N_MELS, extract
from musetune.analysis.listening.network_inputs import rises
from musetune.analysis.listening.spectrum import salience
from musetune.audio import resample
from musetune.audio.source import RATE

# Mel bands: below 150 Hz, and a snare's body at 150 to 400 Hz. Of the bands that were tried on six rendered grooves
# these tell best: snares 0.74 where they are played, 0.16 where they and the kicks change places; kicks 0.70 and 0.13.
DRUM_BANDS = {"kick": slice(0, 2), "snare": slice(3, 8)}
NEAR = 3  # frames of 10 ms to each side in which a stroke's rise is looked for
LOW = 12  # chroma of the low register comes first


def drum_contrasts(strokes_s: Mapping[str, np.ndarray], wave: np.ndarray, rate: int) -> dict[str, float]:
    """How surely each drum is told from the other strokes, 0…1.

    The area under the ROC curve of the rise of its band, its strokes against those of the others, from 0.5 (by chance,
    or worse) to 1 (always more) stretched to 0…1.

    Args:
        strokes_s: Seconds (n,) of the strokes that were asked for: of `DRUM_BANDS`' names, and under `all` of any.
        wave: Mono (samples,).
        rate: In Hz.

    Returns:
        By name; a drum without strokes, or without others to be told from, is left out.
    """
    levels = extract([np.asarray(wave if rate == RATE else resample(wave, rate, RATE), np.float32)]).levels()
    rise = rises(levels)
    assert rise.shape[1] == N_MELS
    found = {}
    for name, band in DRUM_BANDS.items():
        own, every = strokes_s[name], strokes_s["all"]
        others = every[[not np.any(np.abs(own - one) <= NEAR / FPS) for one in every]] if len(own) else every
        if len(own) and len(others):
            strength = rise[:, band].mean(axis=1)
            a, b = (np.array([peak_near(strength, one) for one in times]) for times in (own, others))
            area = float(np.mean((a[:, None] > b) + 0.5 * (a[:, None] == b)))
            found[name] = max(0.0, 2 * area - 1)
    return found


def peak_near(strength: np.ndarray, second: float) -> float:
    """The highest of (frames at FPS,) within `NEAR` frames of a time; 0 beyond the end.

    Example:
        >>> peak_near(np.array([0.0, 0.0, 0.5, 0.0]), 0.01)
        0.5
    """
    at = round(second * FPS)
    return float(strength[max(0, at - NEAR) : at + NEAR + 1].max(initial=0.0))


def bass_share(notes: np.ndarray, wave: np.ndarray, rate: int) -> float | None:
    """Share of the bass's time in which its pitch class is the strongest of the low register, 0…1; None without notes.

    Args:
        notes: (n, 3): onset and end in seconds, MIDI pitch.
        wave: Mono (samples,).
        rate: In Hz.
    """
    features = extract([np.asarray(wave if rate == RATE else resample(wave, rate, RATE), np.float32)])
    heard = salience(features.spectrum, features.loudness)
    low = heard.registers()[:, :LOW]
    asked = np.full(len(low), -1)
    for onset, end, pitch in notes:
        asked[(heard.times_s >= onset) & (heard.times_s < end)] = int(pitch) % 12
    sounding = asked >= 0
    if not sounding.any():
        return None
    return float(np.mean((low[sounding].argmax(axis=1) == asked[sounding]) & (low[sounding].max(axis=1) > 0)))
