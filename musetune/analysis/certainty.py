"""How sure the analyser is: from the share that it gives what it hears to the probability that this is right.

Chords, tempo, meter and key each have two numbers (Platt 1999), which `benchmarks/certainty.py --fit` measured on songs
and sounds outside training and benchmarks, and wrote to certainty.json; and there is the probability from which on a
meter is stated.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("certainty.json")
NEAREST = 1e-4  # to 0 and 1 that a share may come


@dataclass(frozen=True)
class Calibration:
    """A straight line through log-odds.

    Attributes:
        slope: Factor of the log-odds of the share, above 0.
        intercept: Added to that.

    Example:
        >>> round(float(Calibration(1.0, 0.0).probability(0.8)), 6)
        0.8
        >>> doubtful = Calibration(slope=0.5, intercept=-0.2)
        >>> bool(0.5 < doubtful.probability(0.8) < 0.8)
        True
        >>> round(float(doubtful.share(doubtful.probability(0.8))), 6)
        0.8
    """

    slope: float
    intercept: float

    def probability(self, share: Any) -> Any:
        """Probability, 0…1, that what has a share (float or array, 0…1) is right; 0 and 1 are certain already."""
        value = np.asarray(share, float)
        return np.where(np.isin(value, (0.0, 1.0)), value, _logistic(self.slope * log_odds(value) + self.intercept))

    def share(self, probability: Any) -> Any:
        """The share (float or array, 0…1) that has this probability: the way back."""
        value = np.asarray(probability, float)
        return np.where(np.isin(value, (0.0, 1.0)), value, _logistic((log_odds(value) - self.intercept) / self.slope))


@dataclass(frozen=True)
class Certainty:
    """What was measured.

    Attributes:
        chord: Of a chord's mean probability by the network, right as sevenths are counted.
        tempo: Of `BeatTrack.confidence`, right within 4 %.
        meter: Of `BeatTrack.meter_confidence`.
        key: Of `KeyTrack.confidence`.
        meter_stated_from: Probability from which on a meter is stated; below, the record says that it is not known.
    """

    chord: Calibration
    tempo: Calibration
    meter: Calibration
    key: Calibration
    meter_stated_from: float


NOTHING = Calibration(1.0, 0.0)  # leaves shares as they are
_RAW: ContextVar[bool] = ContextVar("raw", default=False)


def certainty() -> Certainty:
    """The numbers of `FILE`; within `uncalibrated` those that change nothing."""
    measured = _measured()
    return Certainty(NOTHING, NOTHING, NOTHING, NOTHING, measured.meter_stated_from) if _RAW.get() else measured


@contextmanager
def uncalibrated() -> Iterator[None]:
    """Let analyses give shares instead of probabilities, to measure what the probabilities are."""
    token = _RAW.set(True)
    try:
        yield
    finally:
        _RAW.reset(token)


def log_odds(share: np.ndarray) -> np.ndarray:
    """log(p / (1 − p)) of shares, which come no nearer to 0 and 1 than `NEAREST`."""
    value = np.clip(share, NEAREST, 1 - NEAREST)
    return np.asarray(np.log(value / (1 - value)))


def _logistic(odds: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-odds)))


@lru_cache(maxsize=1)
def _measured() -> Certainty:
    numbers = json.loads(FILE.read_text(encoding="utf-8"))
    parts = {name: Calibration(**numbers[name]) for name in ("chord", "tempo", "meter", "key")}
    return Certainty(**parts, meter_stated_from=numbers["meter_stated_from"])
