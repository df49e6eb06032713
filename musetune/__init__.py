"""MuseTune: make AudioLDM 2 play the chords, the key and the beat that you ask for."""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
_LAZY = {
    "MuseTunePipeline": "musetune.pipeline",
    "MusicAdapter": "musetune.adapter",
    "LeadSheet": "musetune.theory",
    "Chord": "musetune.theory",
    "Key": "musetune.theory",
    "analyze": "musetune.analysis",
}
__all__ = ["Chord", "Key", "LeadSheet", "MuseTunePipeline", "MusicAdapter", "analyze"]


def __getattr__(name: str) -> Any:
    """Heavy packages load when they are first used: importing musetune alone loads no torch."""
    import importlib

    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'musetune' has no attribute {name!r}")
