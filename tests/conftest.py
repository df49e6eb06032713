"""What all tests share: no deadlines on a busy machine, memory that is given back, a small base, the folder of
songs.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from memory import give_back

settings.register_profile("musetune", deadline=None)
settings.load_profile("musetune")
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in tests/recipes: each of these tests runs a recipe."""
    for item in items:
        if (HERE / "recipes") in item.path.parents:
            item.add_marker(pytest.mark.recipe)


def pytest_collection_finish() -> None:
    """Leave what the imports made to no later look for cycles: it would take two seconds each time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def memory_given_back() -> Iterator[None]:
    """After each module, so that a process of 2,000 tests stays small; a pipeline of the real size is 2 GB."""
    yield
    give_back()


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
