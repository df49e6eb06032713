"""What a run leaves behind says what it is, and loads: a theory adapter, and a genre's LoRA on it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from small_pipe import make_pipe

from musetune import MuseTunePipeline, MusicAdapter
from musetune.adapter import lora
from musetune.adapter.metadata import read_adapter_metadata
from musetune.training.run_info import save_adapter, save_lora


def story(base: Path, **config: str | None) -> dict:
    return {"config": {"pretrained_model_name_or_path": str(base), "output_dir": "/somewhere/runs/mine"} | config}


@pytest.mark.slow
@pytest.mark.parametrize(("genre", "name"), [("jazz", "jazz"), (None, "mine")])
def test_a_genre_is_left_with_its_card_and_loads(tiny_base: Path, tmp_path: Path, genre: str | None, name: str) -> None:
    pipe = make_pipe(tiny_base)
    theory = save_adapter(pipe.adapter, tmp_path / "chords", story(tiny_base, output_dir="runs/chords"))
    lora.stack(pipe.unet, "genre", rank=2)
    with torch.no_grad():
        for parameter in lora.parameters(pipe.unet, "genre"):
            parameter.normal_(std=0.1)
    told = story(tiny_base, theory_adapter=str(theory), genre=genre) | {"step": 3}
    folder = save_lora(pipe.unet, "genre", tmp_path / "out", told)
    card = read_adapter_metadata(folder)
    assert (card.kind, card.name, card.genre, card.theory, card.base) == ("lora", name, genre, "chords", tiny_base.name)
    assert str(tmp_path) not in "".join(p.read_text() for p in folder.glob("*.json"))
    assert json.loads((folder / "training.json").read_text())["step"] == 3
    fresh = MuseTunePipeline.from_pretrained(tiny_base, adapter=theory)
    fresh.load_adapter(folder)
    assert list(fresh.adapters) == ["chords", name]


def test_a_theory_adapter_is_left_with_its_card(tiny_base: Path, tmp_path: Path) -> None:
    pipe = make_pipe(tiny_base)
    card = read_adapter_metadata(save_adapter(pipe.adapter, tmp_path, story(tiny_base)))
    assert (card.kind, card.name, card.genre, card.theory, card.base) == ("theory", "mine", None, None, tiny_base.name)
    assert MusicAdapter.from_pretrained(tmp_path).metadata == card
