"""Chords from notes by half bars, each with a certainty: truth for music that came without labels.

A rule of its own, simpler than the analyser's and sharing nothing with it: templates on what sounds in each half bar.
What is unsure is "X" in Harte's syntax, which neither training nor mir_eval counts.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

PITCHES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
TEMPLATES = {
    "maj": (0, 4, 7), "min": (0, 3, 7), "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "min7": (0, 3, 7, 10),
    "dim": (0, 3, 6), "hdim7": (0, 3, 6, 10), "sus4": (0, 5, 7), "sus2": (0, 2, 7), "aug": (0, 4, 8),
    "maj6": (0, 4, 7, 9), "min6": (0, 3, 7, 9), "5": (0, 7),
}  # fmt: skip
DEGREES = ("1", "b2", "2", "b3", "3", "4", "b5", "5", "b6", "6", "b7", "7")
FAINT = 0.05  # of the half bar's sound: a chord note below this is missing
SIXTHS = {"maj6": 0.08, "min6": 0.08}  # score against them: as often they are a seventh over its third
MISSING, SIZE, ROOT_IN_BASS = 0.25, 0.04, 0.12  # score: for a missing note, for each note of the template, for its bass
CLEAR_MARGIN = 0.2  # score over the best chord of another root or third that makes it certain


@dataclass(frozen=True)
class HalfBarChord:
    """`label` in Harte's syntax from `start_s` to `end_s`; `certainty` 0…1 by how far it leads, 1 where it is "N"."""

    start_s: float
    end_s: float
    label: str
    certainty: float


def label_half_bars(notes: np.ndarray, edges_s: np.ndarray) -> list[HalfBarChord]:
    """One chord for each stretch between neighbouring edges.

    Args:
        notes: (n, 4): start and end in seconds, MIDI pitch, velocity; no drums.
        edges_s: (m,) seconds, rising: bar lines and middles of bars.

    Returns:
        m − 1 chords; neighbours with one label are not joined.

    Example:
        >>> triad = np.array([[0.0, 1.0, pitch, 90] for pitch in (48, 60, 64, 67)])
        >>> [chord] = label_half_bars(triad, np.array([0.0, 1.0]))
        >>> chord.label, chord.certainty > 0.9
        ('C:maj', True)
    """
    notes = np.asarray(notes, float).reshape(-1, 4)
    return [_label(notes, float(a), float(b)) for a, b in itertools.pairwise(edges_s)]


def _label(notes: np.ndarray, start_s: float, end_s: float) -> HalfBarChord:
    sounding = np.minimum(notes[:, 1], end_s) - np.maximum(notes[:, 0], start_s)
    inside = sounding > 0.02
    if not inside.any():
        return HalfBarChord(start_s, end_s, "N", 1.0)
    length, pitches, velocity = sounding[inside], notes[inside, 2].astype(int), notes[inside, 3]
    # the beginning of a note is heard more than its end
    weight = np.sqrt(np.minimum(length, end_s - start_s)) * velocity
    chroma = np.bincount(pitches % 12, weight, 12) / weight.sum()
    low = np.bincount(pitches, length, 128)
    lowest = np.flatnonzero(low > 0.3 * low[pitches.min() : pitches.min() + 13].max())
    bass = int(lowest[lowest >= pitches.min()][0]) % 12
    scores = {}
    for root in range(12):
        for quality, tones in TEMPLATES.items():
            part = chroma[[(root + tone) % 12 for tone in tones]]
            score = part.sum() - MISSING * (part < FAINT).sum() - SIZE * len(tones)
            score -= SIXTHS.get(quality, 0.0)
            scores[root, quality] = score + ROOT_IN_BASS * (root == bass)
    root, quality = max(scores, key=lambda name: scores[name])
    best = scores[root, quality]
    rival = max(score for (r, q), score in scores.items() if r != root or TEMPLATES[q][1] != TEMPLATES[quality][1])
    step = (bass - root) % 12
    label = f"{PITCHES[root]}:{quality}" + (f"/{DEGREES[step]}" if step in TEMPLATES[quality][1:] else "")
    lead = min(max((best - rival) / CLEAR_MARGIN, 0.0), 1.0)
    full = min(max((best + SIZE * len(TEMPLATES[quality]) - 0.4) / 0.4, 0.0), 1.0)  # what it leaves unexplained
    return HalfBarChord(start_s, end_s, label, lead * full)
