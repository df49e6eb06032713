"""Settings of an evaluation that is over soon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from musetune.suites.settings import EvaluationSettings


def quick_settings(suite: str, base: Path, adapter: Path, out: Path, **more: Any) -> EvaluationSettings:
    """Two denoising steps on the CPU, in this process."""
    options: dict[str, Any] = {
        "genres": (),
        "arranger": "rule",
        "sheets": None,
        "limit": None,
        "steps": 2,
        "guidance": 3.0,
        "music_guidance": 3.0,
        "played_guidance": 3.0,
        "soundfont": None,
        "device": "cpu",
        "workers": 0,
    }
    return EvaluationSettings(suite=suite, base=str(base), adapter=str(adapter), out=out, **(options | more))
