"""Plain values that judges, reports and pictures share: what a listener reports, what every analysis gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from musetune.symbols.json_values import JsonObject
from musetune.symbols.lead_sheet import LeadSheet


@dataclass(frozen=True)
class Estimate:
    """Report of a listener on a clip: chords, beats, key and tempo that it hears.

    Args:
        intervals_s: (n, 2) seconds of the chords, which cover the clip.
        labels: Harte label of each chord.
        confidence: (n,) how sure each chord is, 0–1.
        beats_s: Seconds of the beats.
        downbeats_s: Seconds of the bar lines.
        key: Key such as "C major"; None where nothing tells.
        bpm: Beats a minute; None where nothing tells.
    """

    intervals_s: np.ndarray
    labels: list[str]
    confidence: np.ndarray
    beats_s: np.ndarray
    downbeats_s: np.ndarray
    key: str | None
    bpm: float | None


class AnalysisResult(Protocol):
    """Result of an analysis, freshly made or from the cache."""

    @property
    def lead_sheet(self) -> LeadSheet:
        """Chords, keys, meters, beats and sections."""
        ...

    def to_json(self) -> JsonObject:
        """Write the whole record as plain values."""
        ...

    def dumps(self, indent: int | None = 2) -> str:
        """Write the whole record as JSON text."""
        ...
