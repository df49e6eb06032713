"""What all tests share: no deadlines on a busy machine, a small base with random weights, the folder of songs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("musetune", deadline=None)
settings.load_profile("musetune")


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nano's layout at toy widths, random weights."""
    import torch

    from musetune.models.nano import build_nano

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("tiny")
    build_nano("tiny").save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of songs beside the repository, or $MUSETUNE_SHARED; without it the test is skipped."""
    folder = Path(os.environ.get("MUSETUNE_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no folder of songs at {folder.name}; set MUSETUNE_SHARED to it")
    return folder
