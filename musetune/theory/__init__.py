"""Music theory over symbols: harmony, Roman numerals, rhythm. Needs numpy, and music21 for rare numerals; no torch."""

from __future__ import annotations

from typing import Any

# The public names of 0.1.0 that moved a floor down; they are loaded when asked for.
_MOVED = (
    "BPM_RANGE",
    "GENRES",
    "NO_CHORD",
    "QUALITIES",
    "BeatGrid",
    "Chord",
    "ChordSpan",
    "Key",
    "KeySpan",
    "LeadSheet",
    "Meter",
    "MeterSpan",
    "Note",
    "Section",
)


def __getattr__(name: str) -> Any:
    if name in _MOVED:
        from musetune import symbols

        return getattr(symbols, name)
    if name in ("resolve_roman", "roman_of", "scale_degree"):
        from musetune.theory import numerals

        return getattr(numerals, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
