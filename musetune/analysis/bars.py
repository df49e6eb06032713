"""Where the bars begin: the metre and the phase at which harmony changes and the bass strikes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .chords import pool
from .spectrum import Salience

# how common a metre is (nats); a three has to show itself
METRE_PRIOR = {4: 0.0, 3: -1.0}


@dataclass(frozen=True)
class Bars:
    """`beats_per_bar` 3 or 4; `first` index of the first beat that opens a bar; `confidence` 0…1."""

    beats_per_bar: int
    first: int
    confidence: float

    def downbeats(self, n_beats: int) -> np.ndarray:
        """Indices of the beats that open a bar."""
        return np.arange(self.first, n_beats, self.beats_per_bar)


def find_bars(heard: Salience, beats_s: np.ndarray, strength_at_beats: np.ndarray, sharpness: float = 4.0) -> Bars:
    """Metre and phase with the largest mean accent on bar lines over the accent elsewhere."""
    accent = beat_accents(heard, beats_s, strength_at_beats)
    options = []
    for beats_per_bar, prior in METRE_PRIOR.items():
        for first in range(min(beats_per_bar, len(accent))):
            on = np.zeros(len(accent), bool)
            on[first::beats_per_bar] = True
            inside = accent[on].mean() - accent[~on].mean() if (~on).any() else 0.0
            options.append((sharpness * inside * np.sqrt(on.sum()) / 2 + prior, beats_per_bar, first))
    scores = np.array([option[0] for option in options])
    share = np.exp(scores - scores.max())
    best = int(scores.argmax())
    return Bars(options[best][1], options[best][2], float(share[best] / share.sum()))


def beat_accents(heard: Salience, beats_s: np.ndarray, strength_at_beats: np.ndarray) -> np.ndarray:
    """(beats,) standardised: how much the harmony of the beat differs from the beat before (cosine distance, mostly of the bass),
    with a little of the onset strength."""
    last = beats_s[-1] + (beats_s[-1] - beats_s[-2])
    chroma = pool(heard.chroma(), heard.times_s, np.append(beats_s, last))
    change = 0.6 * _distance(chroma[:, :12]) + 0.4 * _distance(chroma[:, 12:])
    onset = strength_at_beats / (strength_at_beats.mean() + 1e-9)
    accent = change / (change.std() + 1e-9) + 0.2 * onset / (onset.std() + 1e-9)
    return (accent - accent.mean()) / (accent.std() + 1e-9)


def _distance(chroma: np.ndarray) -> np.ndarray:
    """(beats,) cosine distance to the beat before; the first takes the mean of the others."""
    unit = chroma / (np.linalg.norm(chroma, axis=1, keepdims=True) + 1e-6)
    step = 1 - (unit[1:] * unit[:-1]).sum(axis=1)
    return np.concatenate([[step.mean() if len(step) else 0.0], step])
