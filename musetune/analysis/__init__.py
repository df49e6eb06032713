"""Sound → lead sheet → record. `analyze(path)` or `analyze(wave, sr)`; `hear(wave, sr)` for reports."""

from __future__ import annotations

from musetune.analysis.analyze import analyze, hear
from musetune.analysis.record import Analysis
from musetune.symbols.estimate import Estimate

__all__ = ["Analysis", "Estimate", "analyze", "hear"]
