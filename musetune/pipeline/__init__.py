"""MuseTunePipeline: AudioLDM 2 that follows lead sheets.

Loaded when first asked for, so that its light neighbours need no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from musetune.pipeline.output import MuseTuneOutput
    from musetune.pipeline.pipeline import MuseTunePipeline

__all__ = ["MuseTuneOutput", "MuseTunePipeline"]


def __getattr__(name: str) -> Any:
    if name == "MuseTunePipeline":
        from musetune.pipeline.pipeline import MuseTunePipeline

        return MuseTunePipeline
    if name == "MuseTuneOutput":
        from musetune.pipeline.output import MuseTuneOutput

        return MuseTuneOutput
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
