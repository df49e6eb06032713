"""One take as rewards see it: its sound, what it answers, and what our analyser hears in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from musetune.evaluation.reports import Report, report

if TYPE_CHECKING:
    from musetune.symbols import LeadSheet
    from musetune.symbols.arrangement import Arrangement


@dataclass(frozen=True)
class RequestedTake:
    """A take and its request.

    Attributes:
        wave: Mono audio (samples,) in −1…1.
        rate: Sampling rate in Hz.
        sheet: What was asked for.
        prompt: The words that were asked for.
        arrangement: The players' notes that were asked for; None: there were none.
        text_similarity: Cosine of prompt and audio by the base's CLAP, −1…1; None: nobody measured it.

    Example:
        >>> from musetune import LeadSheet
        >>> RequestedTake(np.zeros(32000), 16000, LeadSheet.parse("| C |", bpm=120)).report.score
        0.0
    """

    wave: np.ndarray
    rate: int
    sheet: LeadSheet
    prompt: str = ""
    arrangement: Arrangement | None = None
    text_similarity: float | None = None

    @cached_property
    def report(self) -> Report:
        """What our analyser hears, against the sheet; computed once for all rewards."""
        return report(self.wave, self.rate, self.sheet)


Reward: TypeAlias = Callable[[RequestedTake], float | None]  # 0…1, the higher the better; None where nothing was asked
