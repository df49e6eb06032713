"""Analysis of many files: worker processes, cache, batches, an asynchronous service."""

from musetune.analysis.service.service import AnalysisService

__all__ = ["AnalysisService"]
