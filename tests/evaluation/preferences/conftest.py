"""Small sounds to compare."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from musetune.audio import save_audio
from musetune.evaluation.preferences import Side


@pytest.fixture
def sound(tmp_path: Path) -> Callable[[str], Path]:
    """A function that writes a sound of its own for each name."""

    def write(name: str) -> Path:
        noise = np.random.default_rng(list(name.encode())).normal(0, 0.1, 800)
        return save_audio(tmp_path / f"{name}.wav", noise, 16000)

    return write


@pytest.fixture
def side(sound: Callable[[str], Path]) -> Callable[[str, str], Side]:
    """A function that gives a side by the name of its sound and of its origin."""
    return lambda name, origin: Side(sound(name), {"name": origin})
