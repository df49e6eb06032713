"""Sizes in a config.json that ask for terabytes, or for loops without end, are refused before anything is allocated."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from musetune import MusicAdapter
from musetune.hub.locate import find_adapter
from musetune.models.nano import NanoVocoder, PatchAutoencoder

HUGE = (10**12, 10**6, -1, 0, "96", 2.5, True, float("nan"))


@pytest.mark.parametrize("size", HUGE)
@pytest.mark.parametrize(
    ("network", "name"),
    [
        *((MusicAdapter, name) for name in ("dim", "hidden", "map_channels", "cols", "levels", "frames_per_row")),
        *((NanoVocoder, name) for name in ("dim", "hidden", "layers", "n_fft", "model_in_dim", "highest_pitch")),
        *((PatchAutoencoder, name) for name in ("bins", "latent_channels")),
    ],
)
def test_one_size(network: type, name: str, size: object) -> None:
    start = time.perf_counter()
    with pytest.raises(ValueError, match=rf"{name}=.* is not a whole number from 1 to \d+"):
        network(**{name: size})
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("channels", [(10**12,) * 7, (96,) * 1000, ("96",) * 7])
def test_channels_of_the_sites(channels: tuple) -> None:
    with pytest.raises(ValueError, match=r"(channels|sites)=.* is not a whole number from 1"):
        MusicAdapter(channels=channels)


@pytest.mark.parametrize("levels", [(10**9,) * 7, (0,), (-1,) * 7, ("0",) * 7])
def test_levels_of_the_sites(levels: tuple) -> None:
    with pytest.raises(ValueError, match="are not 7 levels from 0 to 2"):
        MusicAdapter(site_levels=levels, map_modulation=True)


def test_an_adapters_folder(tmp_path: Path) -> None:
    folder = tmp_path / "theory"
    shutil.copytree(find_adapter("theory"), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden": 10**12}))
    with pytest.raises(ValueError, match="MusicAdapter: hidden=1000000000000 is not a whole number from 1 to 4096"):
        MusicAdapter.from_pretrained(folder)
