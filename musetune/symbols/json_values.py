"""The type of a JSON object, as records, settings and reports are written and read."""

from __future__ import annotations

from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
"""Names to values that JSON has: None, bool, numbers, strings, lists and objects."""
