"""Symbols as files and text: JSON, MIDI, MusicXML, JAMS, charts, engraved parts.

What users import stands here and is loaded when it is first used, so that ``import musetune.formats`` stays light.

Example:
    >>> from musetune.formats import parse_chart
    >>> parse_chart("| C | G |").chord_labels
    ['C:maj', 'G:maj']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from musetune.formats.chart_text import from_progression, parse_chart, pop_name
    from musetune.formats.scores import read_score
    from musetune.formats.songs import load_arrangement, save_parts, save_song

__all__ = [
    "save_song",
    "save_parts",
    "load_arrangement",
    "read_score",
    "parse_chart",
    "from_progression",
    "pop_name",
]
_HOMES = {"save_song": "songs", "save_parts": "songs", "load_arrangement": "songs", "read_score": "scores"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'chart_text')}"), name)
