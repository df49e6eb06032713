"""pretrain_style.py end to end on a small base: it learns of the clips, and a killed run repeats itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small_pipe import make_pipe

from musetune import LeadSheet
from musetune.audio import save_audio
from musetune.datasets.prepare import prepare
from musetune.models.style_projection import StyleProjection
from recipes.base import pretrain_style


@pytest.fixture(scope="module")
def folders(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Music, its latents, and a music adapter."""
    music, data, adapter = (tmp_path_factory.mktemp(name) for name in ("music", "data", "adapter"))
    t = np.arange(3 * 16000) / 16000
    for i, hz in enumerate((220.0, 440.0)):
        save_audio(music / f"{i}.wav", (0.3 * np.sin(2 * np.pi * hz * t)).astype(np.float32), 16000)
    sheet = LeadSheet.parse("| C | F |", bpm=160, duration_seconds=3).to_json()
    rows = [{"file_name": f"{i}.wav", "text": "tone", "lead_sheet": sheet} for i in range(2)]
    (music / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    prepare(music, data, base=str(tiny_base), clip_seconds=1.28, transpose=())
    make_pipe(tiny_base).save_adapter(adapter)
    return music, data, adapter


def run(tiny_base: Path, folders: tuple[Path, Path, Path], out: Path, *overrides: str) -> StyleProjection:
    music, data, adapter = folders
    options = [f"adapter={adapter}", "batch=2", "rows=8", "tokens=2", "hidden=8", "bf16=false", "save_every=2"]
    before, sys.argv = sys.argv, ["pretrain_style", *map(str, (tiny_base, music, data, out)), *options, *overrides]
    try:
        pretrain_style.main()
    finally:
        sys.argv = before
    network: StyleProjection = StyleProjection.from_pretrained(out / "style_projection")
    return network


def test_it_learns_and_goes_on_where_it_was_killed(
    tiny_base: Path, folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    whole = run(tiny_base, folders, tmp_path / "a", "steps=4")
    (tmp_path / "b").mkdir()
    for path in (tmp_path / "a").glob("clap-*"):
        (tmp_path / "b" / path.name).symlink_to(path)
    with pytest.MonkeyPatch.context() as patch:  # killed after two of four steps
        learn = pretrain_style.OneCycle.learn

        def until_two(self: pretrain_style.OneCycle, loss: torch.Tensor) -> None:
            learn(self, loss)
            if self.done == 2:
                raise KeyboardInterrupt

        patch.setattr(pretrain_style.OneCycle, "learn", until_two)
        with pytest.raises(KeyboardInterrupt):
            run(tiny_base, folders, tmp_path / "b", "steps=4")
    resumed = run(tiny_base, folders, tmp_path / "b", "steps=4")
    for name, weight in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], weight)
    assert any(float(weight.std()) > 0 for name, weight in whole.state_dict().items() if name.endswith("4.bias"))
