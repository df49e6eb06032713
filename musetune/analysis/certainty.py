"""How sure the analyser is of a meter: a probability that was measured, and from which one on a meter is stated."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_name("certainty.json")
NEAREST = 1e-4  # to 0 and 1 that a share may come


@dataclass(frozen=True)
class MeterCertainty:
    """What recipes/analyzer/calibrate_meter.py measured on songs outside training and benchmarks.

    Attributes:
        slope: Factor of the log-odds of the network's own share.
        intercept: Added to that.
        stated_from: Confidence from which on a meter is stated; below, the record says that it is not known.
    """

    slope: float
    intercept: float
    stated_from: float

    def probability(self, share: float) -> float:
        """Probability, 0…1, that the meter is right (Platt 1999).

        Args:
            share: What the network gives the meter among all meters, 0…1.
        """
        share = float(np.clip(share, NEAREST, 1 - NEAREST))
        return float(1 / (1 + np.exp(-self.slope * np.log(share / (1 - share)) - self.intercept)))


@lru_cache(maxsize=1)
def meter_certainty() -> MeterCertainty:
    """The numbers of `FILE`."""
    return MeterCertainty(**json.loads(FILE.read_text(encoding="utf-8"))["meter"])
