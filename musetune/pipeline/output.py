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
    """Audio and what it was to follow.

    Attributes:
        audios: array (n, samples) float32 at ``sampling_rate``, with ``stereo=True`` (n, 2, samples) (a tensor with
            ``output_type="pt"``); of each prompt the most obedient first. With ``output_type="latent"`` the latents.
        sampling_rate: samples a second.
        lead_sheet: the sheet that was asked for or written; of a batch the first.
        reports: one a waveform, with ``return_report=True``.
        arrangement: the players' notes, where there are some; of a batch the first.
        stems: with ``stems=True`` audio of each player, (samples,) or, at its place, (2, samples) float32; their sum is
            the one waveform of ``audios``.
        lead_sheets: one a prompt.
        latents: of each waveform, (n, channels, rows, cols), which ``repaint`` and its like go on from; None of stems.

    Example:
        >>> import numpy as np
        >>> from musetune import LeadSheet
        >>> sheet = LeadSheet.parse("| C | F |", bpm=120)
        >>> output = MuseTuneOutput(np.zeros((1, 64000), np.float32), 16000, sheet)
        >>> output.audios.shape[-1] / output.sampling_rate == output.plan.duration_s
        True
    """

    audios: Any
    sampling_rate: int
    lead_sheet: LeadSheet
    reports: list[Any] | None = None
    arrangement: Arrangement | None = None
    stems: dict[str, np.ndarray] | None = None
    lead_sheets: tuple[LeadSheet, ...] = ()
    latents: Any = None

    @property
    def plan(self) -> LeadSheet:
        """The song's plan: the sheet that was asked for or written."""
        return self.lead_sheet

    def _repr_html_(self) -> str:
        """What a notebook shows: players, the chart with what was recognised, a piano roll."""
        from musetune.display.output_html import output_html

        return output_html(self.audios, self.sampling_rate, self.lead_sheet, self.reports)
