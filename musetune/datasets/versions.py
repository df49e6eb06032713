"""Versions of the software that a data set or a training depends on."""

from __future__ import annotations

import platform
from importlib.metadata import version

from musetune import __version__

LIBRARIES = ("torch", "diffusers", "transformers", "accelerate", "peft")


def library_versions() -> dict[str, str]:
    """Versions by name: of MuseTune, Python and the libraries that compute."""
    return {"musetune": __version__, "python": platform.python_version()} | {name: version(name) for name in LIBRARIES}
