"""What one call plays: the music, how much of it is asked for, how hard it is pushed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from musetune.pipeline.guidance import Guidance
    from musetune.pipeline.partial import ConditionMask
    from musetune.symbols import LeadSheet
    from musetune.symbols.arrangement import Arrangement


@dataclass(frozen=True)
class Piece:
    """A sheet, its players' notes where there are some, what of both is asked for; seconds of audio, and of a window (None: the base's)."""

    sheet: LeadSheet
    arrangement: Arrangement | None
    asked: ConditionMask
    guidance: Guidance
    seconds: float
    window_seconds: float | None = None
