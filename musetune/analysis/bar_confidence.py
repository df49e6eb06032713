"""How far each bar of an analysis can be trusted: that its chords and its beats are right.

The confidence of a bar is a calibrated probability: of the bars with confidence c a share c is right, which
`benchmarks/bar_confidence.py` measures on songs that no training heard. A bar is right where

- its chords have the right root and third for at least three quarters of its time, and
- its beats are the true ones within 70 ms, each of them and no others: a pulse heard twice as fast is wrong.

It is the product of two logistic functions: of the log-odds of the chords' confidence (the mean over the bar's time,
and the least of its chords'), and of the log-odds of the tempo's confidence. Where the bar lines stand is not part of
it: POP909's own jump by half a bar inside a quarter of its songs. The weights lie in bar_confidence.json, where that
benchmark writes them. They weigh the shares that confidences had before their own calibration (certainty.py), so that
one calibration can be learned without the other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import numpy as np

from musetune.analysis.certainty import certainty
from musetune.symbols.lead_sheet import LeadSheet

CALIBRATION = Path(__file__).with_name("bar_confidence.json")
CLOSEST = 1e-3  # to 0 and 1 of a confidence whose log-odds are taken
CHORDS, BEATS = "chords", "beats"  # what has weights of its own
SLIGHT_S = 0.05  # a chord that sounds for less in a bar does not speak for it


@dataclass(frozen=True)
class BarConfidence:
    """How surely one bar is analysed.

    Attributes:
        start_s: Where it begins, seconds.
        end_s: Where it ends, seconds.
        chords: 0…1, how likely its chords are right; 1 for those that were read or given.
        beats: 0…1, how likely its beats are right; 1 for those that were read or given.

    Example:
        >>> BarConfidence(0.0, 2.0, chords=0.5, beats=0.8).confidence
        0.4
    """

    start_s: float
    end_s: float
    chords: float
    beats: float

    @property
    def confidence(self) -> float:
        """How likely all of it is right, 0…1."""
        return self.chords * self.beats


def bar_confidence(
    sheet: LeadSheet, chord_confidence: Sequence[float] | None, tempo_confidence: float | None
) -> tuple[BarConfidence, ...]:
    """How surely each bar of a lead sheet is right.

    Args:
        sheet: What was heard.
        chord_confidence: 0…1 of each of its chords, as an analysis gives it; 1 for one that is known, None where all
            are.
        tempo_confidence: 0…1, as an analysis gives it; None where the beats are known.

    Returns:
        One a bar; what comes before the first bar line is one too.

    Example:
        >>> from musetune import LeadSheet
        >>> sheet = LeadSheet.parse("| C | F |", bpm=120)
        >>> [bar.confidence for bar in bar_confidence(sheet, None, None)]
        [1.0, 1.0]
        >>> sure, unsure = bar_confidence(sheet, (0.95, 0.3), None)
        >>> sure.confidence > 0.8 > 0.5 > unsure.confidence
        True
    """
    starts, ends = bar_edges(sheet)
    chords = np.ones(len(starts))
    if chord_confidence is not None:
        chords = probability(CHORDS, *chord_evidence(sheet, chord_confidence))
    beats = (
        1.0 if tempo_confidence is None else float(probability(BEATS, certainty().tempo.share([tempo_confidence]))[0])
    )
    return tuple(
        BarConfidence(float(start), float(end), float(sure), beats)
        for start, end, sure in zip(starts, ends, chords, strict=True)
    )


def bar_edges(sheet: LeadSheet) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends (bars,) in seconds of a sheet's bars; what comes before the first bar line is one too."""
    lines = sorted({Fraction(0), *sheet.downbeats(), sheet.length})
    times = np.array([float(sheet.grid.time_at(line)) for line in lines])
    return times[:-1], times[1:]


def chord_evidence(sheet: LeadSheet, chord_confidence: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """(bars,) the mean over each bar's time of its chords' shares, and the least; 0 where it has no chord."""
    intervals = np.asarray(sheet.chord_intervals_s, float).reshape(-1, 2)
    sure = certainty().chord.share(np.asarray(chord_confidence, float))
    means, least = [], []
    for start, end in zip(*bar_edges(sheet), strict=True):
        seconds = np.maximum(np.minimum(intervals[:, 1], end) - np.maximum(intervals[:, 0], start), 0.0)
        within = seconds > min(SLIGHT_S, (end - start) / 2)
        means.append(float(seconds @ sure / seconds.sum()) if within.any() else 0.0)
        least.append(float(sure[within].min()) if within.any() else 0.0)
    return np.array(means), np.array(least)


def probability(part: str, *evidence: np.ndarray) -> np.ndarray:
    """(n,) how likely `part` is right by `evidence`, each (n,) in 0…1; 1 where all evidence is 1."""
    bias, *weights = _calibration()[part]
    total = bias + sum(weight * log_odds(values) for weight, values in zip(weights, evidence, strict=True))
    known = np.all([values >= 1.0 for values in evidence], axis=0)
    return np.where(known, 1.0, 1 / (1 + np.exp(-total)))


def log_odds(confidence: np.ndarray) -> np.ndarray:
    """log(p / (1 − p)), of what lies within `CLOSEST` of 0 or 1 that of `CLOSEST`."""
    clipped = np.clip(confidence, CLOSEST, 1 - CLOSEST)
    odds: np.ndarray = np.log(clipped / (1 - clipped))
    return odds


@lru_cache(maxsize=1)
def _calibration() -> dict[str, list[float]]:
    """`CHORDS`: bias, weight of the mean, weight of the least; `BEATS`: bias, weight of the tempo."""
    weights: dict[str, list[float]] = json.loads(CALIBRATION.read_text(encoding="utf-8"))["weights"]
    return weights
