"""A base with an adapter of its own, as `musetune ui --base` takes it."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def full_base(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the tiny base with a theory adapter that reads notes and does nothing yet."""
    from musetune import MuseTunePipeline, MusicAdapter

    folder = tmp_path_factory.mktemp("full")
    pipe = MuseTunePipeline.from_pretrained(tiny_base)
    pipe.load_adapter(MusicAdapter.for_unet(pipe.unet, dim=32, hidden=16, map_channels=8, stem_hidden=8))
    pipe.save_pretrained(folder)
    return folder
