"""Folders of what ships with the package."""

from __future__ import annotations

from pathlib import Path

BASES = Path(__file__).parents[1] / "models" / "bases"
BUNDLED_ADAPTERS = (  # in a wheel, in a checkout
    Path(__file__).parents[1] / "_adapters",
    Path(__file__).parents[2] / "adapters",
)
