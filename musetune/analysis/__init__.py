"""Sound → lead sheet → record. `analyze(path)` or `analyze(wave, sr)`; `hear(wave, sr)` for reports."""

from __future__ import annotations

from .analyze import Heard, analyze, hear
from .record import Analysis

__all__ = ["Analysis", "Heard", "analyze", "hear"]
