"""Half precision: loaded so and made so, with words and with music, also from a folder that names GPT2Model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from musetune import MuseTunePipeline, MusicAdapter


@pytest.fixture(scope="module")
def folder(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base with an adapter and a LoRA that do something."""
    pipe = MuseTunePipeline.from_pretrained(tiny_base)
    adapter = MusicAdapter.for_unet(pipe.unet, dim=32, hidden=16, map_channels=8)
    pipe.load_adapter(adapter)
    adapter.add_lora(2)
    torch.manual_seed(3)
    with torch.no_grad():
        for p in adapter.trainable_parameters():
            p.normal_(std=0.1)
    out = tmp_path_factory.mktemp("whole")
    pipe.save_pretrained(out)
    return out


def words_and_music(pipe: MuseTunePipeline) -> list[np.ndarray]:
    pipe.set_progress_bar_config(disable=True)
    call = {"num_inference_steps": 2, "duration_seconds": 1.28}
    return [
        pipe("pop", generator=torch.Generator().manual_seed(1), **call, **music).audios
        for music in ({}, {"harmonic_progression": "I V"})
    ]


def dtypes(pipe: MuseTunePipeline) -> set[torch.dtype]:
    return {part.dtype for part in pipe.components.values() if isinstance(part, torch.nn.Module)}


@pytest.fixture(scope="module")
def wanted(folder: Path) -> list[np.ndarray]:
    return words_and_music(MuseTunePipeline.from_pretrained(folder))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["loaded", "moved"])
def test_bfloat16_sounds_like_float32(folder: Path, wanted: list[np.ndarray], how: str) -> None:
    if how == "loaded":
        pipe = MuseTunePipeline.from_pretrained(folder, dtype=torch.bfloat16)
    else:
        pipe = MuseTunePipeline.from_pretrained(folder).to(torch.bfloat16)
    assert torch.get_default_dtype() == torch.float32
    assert dtypes(pipe) == {torch.bfloat16}
    for half, full in zip(words_and_music(pipe), wanted, strict=True):
        assert np.abs(half - full).max() < 0.1 * np.abs(full).max()


@pytest.mark.slow
def test_float16_loads_and_leaves_the_default_alone(folder: Path) -> None:
    assert dtypes(MuseTunePipeline.from_pretrained(folder, dtype=torch.float16)) == {torch.float16}
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize(
    ("dtype", "of_language_model"),
    [
        (torch.bfloat16, torch.bfloat16),
        ({"default": torch.bfloat16, "language_model": torch.float16}, torch.float16),
        ({"default": torch.bfloat16}, torch.bfloat16),
    ],
)
def test_a_folder_that_names_gpt2model(tiny_base: Path, tmp_path: Path, dtype, of_language_model) -> None:  # type: ignore[no-untyped-def]
    shutil.copytree(tiny_base, tmp_path / "hub")
    path = tmp_path / "hub" / "model_index.json"
    index = json.loads(path.read_text()) | {"language_model": ["transformers", "GPT2Model"]}
    path.write_text(json.dumps(index))
    pipe = MuseTunePipeline.from_pretrained(tmp_path / "hub", dtype=dtype)
    assert pipe.language_model.dtype == of_language_model
    assert pipe.unet.dtype == torch.bfloat16
    if dtype is torch.bfloat16:
        pipe.set_progress_bar_config(disable=True)
        assert np.isfinite(pipe("pop", num_inference_steps=1, duration_seconds=1.28).audios).all()
