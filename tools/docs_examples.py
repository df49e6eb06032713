"""griffe's extension: docstrings say `Example:`, plain Markdown to griffe; under `Examples:` a doctest becomes a code block."""

from __future__ import annotations

import re
from typing import Any

import griffe

HEADING = re.compile(r"^(\s*)Example:$", re.MULTILINE)


class Examples(griffe.Extension):
    """Renames the section of every docstring that is read."""

    def on_instance(self, *, obj: griffe.Object, **options: Any) -> None:
        """Called for every object that has been read from the source."""
        if obj.docstring:
            obj.docstring.value = HEADING.sub(r"\1Examples:", obj.docstring.value)
