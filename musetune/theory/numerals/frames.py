"""A score as evidence: how long each note name sounds in each small stretch of time, what is lowest there, and how
strong its start is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from musetune.symbols.score import Score
from musetune.symbols.timeline import quarters_of

BINS, CENTRE = 41, 20  # places on the line of fifths, C in the middle
THICK = 0.5  # a stretch with n notes counts as much as n ** THICK of one
DEPTH = 5.0  # semitones above the lowest note at which a low note counts 1/e as bass
SHORT = 0.5  # a note counts at least for this part of the stretch that it begins in


@dataclass(frozen=True)
class ScoreFrames:
    """Evidence in a score, in n short stretches of time.

    Args:
        places: (n + 1,) quarters at which stretches begin and end.
        notes: (n, BINS) quarters of each note name by its place in fifths; (n, 12) by pitch class where not spelled.
        classes: (n, 12) quarters of each pitch class.
        bass: (n, 12) weight of what is lowest.
        starts: (n,) may a chord begin here.
        level: (n,) 0 bar line, 1 strong beat, 2 beat, 3 half beat, 4 finer.
        spelled: Whether note names are known.
    """

    places: np.ndarray
    notes: np.ndarray
    classes: np.ndarray
    bass: np.ndarray
    starts: np.ndarray
    level: np.ndarray
    spelled: bool


def frames_of(score: Score) -> ScoreFrames:
    """Collect a score's evidence in stretches of an eighth note, shorter where the meter counts eighths or less."""
    quarters = quarters_of(score.meters)
    unit = min(Fraction(1, 2) if m.meter.beat_quarters >= 1 else m.meter.beat_quarters / 2 for m in score.meters)
    step, end = float(unit), float(quarters(score.length))
    count = max(1, int(np.ceil(end / step - 1e-9)))
    spelled = bool(score.fifths)
    notes = np.zeros((count, BINS if spelled else 12))
    classes, onset = np.zeros((count, 12)), np.zeros(count, bool)
    lowest, bass = np.full(count, 999), np.zeros((count, 12))
    for number, voice in enumerate(score.voices):
        for index, note in enumerate(voice):
            a, b = float(quarters(note.start)) / step, float(quarters(note.start + note.beats)) / step
            first, last = int(a + 1e-6), min(count, max(int(np.ceil(b - 1e-6)), int(a + 1e-6) + 1))
            if first >= count:
                continue
            edges = np.arange(first, last)
            overlap = np.minimum(edges + 1, b) - np.maximum(edges, a)
            overlap[0] = max(overlap[0], SHORT)
            row = score.fifths[number][index] + CENTRE if spelled else note.pitch % 12
            if 0 <= row < notes.shape[1]:
                notes[first:last, row] += overlap
            classes[first:last, note.pitch % 12] += overlap
            onset[first] = True
            lowest[first:last] = np.minimum(lowest[first:last], note.pitch)
    sounding = lowest < 999
    bass[np.flatnonzero(sounding), lowest[sounding] % 12] = np.exp(-lowest[sounding] / DEPTH)
    scale = step * np.maximum(classes.sum(1), 1.0)[:, None] ** (THICK - 1)
    level = _levels(score, quarters, step, count)
    onset[0] = True
    return ScoreFrames(np.arange(count + 1) * step, notes * scale, classes * scale, bass, onset, level, spelled)


def _levels(score: Score, quarters: Callable[[Fraction], Fraction], step: float, count: int) -> np.ndarray:
    """(count,) metrical level of each stretch's start."""
    level = np.full(count, 4)
    lines = score.downbeats()
    bars = [*lines, score.length]
    if lines and lines[0] > 0:
        bars = [lines[0] - score.meters[0].meter.beats_per_bar, *bars]
    marks: list[tuple[Fraction, int]] = []
    for a, b in pairwise(bars):
        meter = next((s.meter for s in reversed(score.meters) if s.start <= max(a, Fraction(0))), score.meters[0].meter)
        for beat in range(math.ceil(b - a)):
            strong = meter.beats_per_bar % 2 == 0 and meter.beats_per_bar > 2 and beat == meter.beats_per_bar // 2
            marks.append((a + beat, 0 if beat == 0 else 1 if strong else 2))
            parts = 3 if meter.compound else 2
            marks += [(a + beat + Fraction(n, parts), 3) for n in range(1, parts)]
    for start, value in marks:
        index = float(quarters(start)) / step if start >= 0 else -1.0
        if 0 <= index < count and abs(index - round(index)) < 1e-6:
            level[round(index)] = min(level[round(index)], value)
    return level
