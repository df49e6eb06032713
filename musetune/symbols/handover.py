"""What symbols hand over to rooms above them: reading numerals, files and charts, and drawing.

``Chord.parse``, ``LeadSheet.load``, ``save``, ``parse``, … are thin methods for users' sake; what they do is done
upstairs. This is the one place where a lower room reaches up, by name and only when asked, so that ``symbols`` imports
nothing above itself. ``tests/test_layers.py`` checks that every name here exists and that no other file does the like.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

UPSTAIRS = {
    "resolve_roman": "musetune.theory.numerals.roman",
    "name_notes": "musetune.theory.harmony.chord_naming",
    "from_progression": "musetune.formats.chart_text",
    "parse_chart": "musetune.formats.chart_text",
    "to_json": "musetune.formats.sheet_json",
    "from_json": "musetune.formats.sheet_json",
    "load": "musetune.formats.files",
    "save": "musetune.formats.files",
    "sheet_html": "musetune.display.charts",
    "analysis_html": "musetune.display.analysis_html",
}


@cache
def upstairs(name: str) -> Callable[..., Any]:
    """Import the function ``name`` of the module that UPSTAIRS says, at the first call.

    Raises:
        KeyError: For a name that is not in UPSTAIRS.
    """
    function: Callable[..., Any] = getattr(import_module(UPSTAIRS[name]), name)
    return function
