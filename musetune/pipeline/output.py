"""What a call with music gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from musetune.symbols import LeadSheet
    from musetune.symbols.arrangement import Arrangement


@dataclass
class MuseTuneOutput:
    """audios (n, samples) float32 at ``sampling_rate``, the most obedient first; the sheet that was asked for; a report for each.

    arrangement: the players' notes, where there are some. stems: with ``stems=True``, audio of each player (samples,) float32, whose sum
    is the one waveform of ``audios``.
    """

    audios: np.ndarray
    sampling_rate: int
    lead_sheet: LeadSheet
    reports: list[Any] | None = None
    arrangement: Arrangement | None = None
    stems: dict[str, np.ndarray] | None = None

    @property
    def plan(self) -> LeadSheet:
        """The song's plan: the sheet that was asked for or written."""
        return self.lead_sheet

    def _repr_html_(self) -> str:
        """What a notebook shows: players, the chart with what was recognised, a piano roll."""
        from musetune.display.output_html import output_html

        return output_html(self.audios, self.sampling_rate, self.lead_sheet, self.reports)
