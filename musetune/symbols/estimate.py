"""What a listener makes of a sound, and what every analysis gives.

Plain values that judges, reports and pictures share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from musetune.symbols.lead_sheet import LeadSheet


@dataclass(frozen=True)
class Estimate:
    """What a listener reports of a clip. `intervals_s` (n, 2) covering it, `labels` Harte, `confidence` (n,) 0…1;
    `beats_s`, `downbeats_s`; `key` and `bpm` are None where nothing tells."""

    intervals_s: np.ndarray
    labels: list[str]
    confidence: np.ndarray
    beats_s: np.ndarray
    downbeats_s: np.ndarray
    key: str | None
    bpm: float | None


class AnalysisResult(Protocol):
    """What an analysis gives, freshly made or from the cache."""

    @property
    def lead_sheet(self) -> LeadSheet:
        """What was recognised, as a lead sheet."""

    def to_json(self) -> dict[str, Any]:
        """The record as plain values."""

    def dumps(self, indent: int | None = 2) -> str:
        """The record as text."""
