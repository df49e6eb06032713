"""MuseTune: make AudioLDM 2 play the chords, the key and the beat that you ask for."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from musetune.adapter import MusicAdapter
    from musetune.analysis import Analysis, analyze  # type: ignore[no-redef]
    from musetune.analysis.service.service import AnalysisService
    from musetune.conditioning import MusicTokens
    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.symbols import BeatGrid, Chord, Key, LeadSheet, Meter

__version__ = "0.1.0"

# Threads of OpenMP spin while they wait for one another. Where another program has their core, that takes ten times as
# long as the work; after 5,000 turns they sleep, which costs nothing on free cores. Said before torch is imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")

# Where torchao is installed, diffusers imports it, and five lines tell of parts for GPUs that nobody asked for.
for _chatty in ("torchao", "torch.utils._pytree", "diffusers.quantizers.torchao.torchao_quantizer"):
    logging.getLogger(_chatty).setLevel(logging.ERROR)

# Loaded when first asked for: `import musetune` must not wait for torch.
_HOMES = {
    "Analysis": "musetune.analysis",
    "AnalysisService": "musetune.analysis.service.service",
    "BeatGrid": "musetune.symbols",
    "Chord": "musetune.symbols",
    "Key": "musetune.symbols",
    "LeadSheet": "musetune.symbols",
    "Meter": "musetune.symbols",
    "MuseTunePipeline": "musetune.pipeline",
    "MusicAdapter": "musetune.adapter",
    "MusicTokens": "musetune.conditioning",
    "analyze": "musetune.analysis",
}

__all__ = [
    "Analysis",
    "AnalysisService",
    "BeatGrid",
    "Chord",
    "Key",
    "LeadSheet",
    "Meter",
    "MuseTunePipeline",
    "MusicAdapter",
    "MusicTokens",
    "__version__",
    "analyze",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
