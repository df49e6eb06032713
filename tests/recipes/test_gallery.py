"""gallery.py on a small base: sounds, charts, scores; and the genre suite on the same adapters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from musetune.adapter import MusicAdapter, lora
from musetune.audio import load_audio
from musetune.evaluation import missing_judges
from musetune.models.nano import build_nano
from musetune.suites import run_suite
from musetune.training.run_info import save_lora
from recipes.evaluation import gallery

judged = pytest.mark.skipif(bool(missing_judges()), reason=f"not installed: {', '.join(missing_judges())}")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """base, theory, and two genre adapters that change the sound."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    base = build_nano("tiny")
    base.save_pretrained(folder / "base")
    adapter = MusicAdapter.for_unet(base.unet)
    adapter.save_pretrained(folder / "theory")
    adapter.attach(base.unet)
    for genre in ("jazz", "rock"):
        lora.stack(base.unet, genre, rank=2)
        for parameter in lora.parameters(base.unet, genre):
            torch.nn.init.normal_(parameter, std=0.05)
        save_lora(base.unet, genre, folder / genre, {"genre": genre})
    return folder


def common(models: Path) -> list[str]:
    return [
        "--base",
        str(models / "base"),
        "--adapter",
        str(models / "theory"),
        "--steps",
        "1",
        "--genres",
        str(models / "jazz"),
        str(models / "rock"),
    ]


def test_gallery(models: Path, tmp_path: Path) -> None:
    gallery.main([*common(models), "--seconds", "2.56", "--out", str(tmp_path)])
    (jazz, rate), (rock, _) = (load_audio(tmp_path / f"{genre}.ogg", mono=False) for genre in ("jazz", "rock"))
    assert rate == 48000
    assert jazz.shape[0] == rock.shape[0] == 2
    assert abs(jazz.shape[1] / 48000 - 2.56) < 0.05
    assert abs(jazz - rock).max() > 0.01
    assert all((tmp_path / f"{genre}-channels.png").stat().st_size > 10_000 for genre in ("jazz", "rock"))
    assert all((tmp_path / f"{genre}.png").stat().st_size > 10_000 for genre in ("jazz", "rock"))
    record = json.loads((tmp_path / "gallery.json").read_text())
    assert (record["chords"], record["bpm"], record["seed"]) == ("I V vi IV", 110, 7)
    assert set(record["clips"]) == {"jazz", "rock"}
    assert all(0 <= score <= 1 for scores in record["clips"].values() for score in scores.values())


@pytest.mark.judge
@judged
def test_genre_suite(models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two sheets, two genres: every condition has its figure, the table its rows; a second run reads instead of
    playing.
    """
    adapters = {"adapter": str(models / "theory"), "genres": [str(models / "jazz"), str(models / "rock")]}
    options = {"base": str(models / "base"), "limit": 2, "workers": 0, "out": tmp_path, "steps": 1}
    run_suite("genres", **adapters, **options)
    table = capsys.readouterr().out
    assert table.count("| jazz | ") == table.count("| rock | ") == 1
    for genre in ("jazz", "rock"):
        made = json.loads((tmp_path / genre / "results.json").read_text())
        assert set(made["table"]) == {"theory alone", "adapter", "floor B", "ceiling A", "ceiling B"}
        assert made["table"]["ceiling A"]["majmin"]["mean"] > made["table"]["floor B"]["majmin"]["mean"]
        assert made["frechet"] == {"theory alone": None, "adapter": None}  # of 20 seconds nothing can be said
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav")}
    assert len(list((tmp_path / "audio" / "theory-alone").glob("*.wav"))) == 2
    run_suite("genres", **adapters, **options)
    assert capsys.readouterr().out == table
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.wav")} == before
