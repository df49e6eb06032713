"""What an evaluation is run with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class EvaluationSettings:
    """The options of one evaluation; `run_suite` says what they mean."""

    suite: str
    base: str
    adapter: str
    genres: tuple[str, ...]
    arranger: str
    sheets: str | None
    out: Path
    limit: int | None
    steps: int
    guidance: float
    music_guidance: float
    played_guidance: float
    soundfont: str | None
    device: str
    workers: int
