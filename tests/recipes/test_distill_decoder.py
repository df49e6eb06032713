"""distill_decoder.py end to end: it comes nearer to the base's sound, and a killed run repeats itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from musetune.datasets import Clip, DatasetInfo, DatasetWriter, TextEmbedding
from musetune.models.tiny_decoder import TinyDecoder
from recipes.base import distill_decoder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    generator = torch.Generator().manual_seed(0)
    sheet = '{"chords": []}'
    with DatasetWriter(tmp_path / "data", DatasetInfo("tiny", "0", 4, 40, 16, 0.128), shard_size=8) as writer:
        for i in range(4):
            clip = Clip(id=str(i), file=f"{i}.wav", sha256="", offset_s=0.0, duration_s=5.12, text="", lead_sheet=sheet)
            text = TextEmbedding(torch.randn(1, 16), torch.ones(1, dtype=torch.long), torch.randn(8, 16))
            writer.add([clip], torch.randn(1, 4, 40, 16, generator=generator), {"": text})
    return tmp_path / "data"


def test_it_learns_and_goes_on_where_it_was_killed(tiny_base: Path, data: Path, tmp_path: Path) -> None:
    options = {"batch": 2, "rows": 40, "dim": 32, "layers": 1, "warmup": 1, "learning_rate": 3e-3}
    made = distill_decoder.train(
        str(tiny_base), data, tmp_path / "a", distill_decoder.Config(steps=12, save_every=6, **options)
    )
    losses = [json.loads(line)["loss"] for line in (tmp_path / "a" / "loss.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.95 * losses[0]
    assert TinyDecoder.from_pretrained(made).config.hop == 256
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "checkpoint-6").rename(tmp_path / "b" / "checkpoint-6")
    (tmp_path / "b" / "loss.jsonl").write_text((tmp_path / "a" / "loss.jsonl").read_text())
    distill_decoder.train(
        str(tiny_base), data, tmp_path / "b", distill_decoder.Config(steps=12, save_every=6, **options)
    )
    assert (tmp_path / "b" / "loss.jsonl").read_text() == (tmp_path / "a" / "loss.jsonl").read_text()
