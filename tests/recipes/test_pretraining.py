"""The recipes that make nano, one after the other on a few short clips: rendering, vocoder, CLAP, base; each resumed."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small import REPOSITORY

from musetune.adapter import MusicAdapter
from musetune.audio import load_audio
from musetune.pipeline import MuseTunePipeline
from musetune.theory import LeadSheet

SONGS = {
    "major": ("| C | G/B | Am7 | F | Dm7 | G7 | Cmaj7 | C |", "C major"),
    "minor": ("| Am | Dm | E7 | Am | F | C/E | Bdim | E7 |", "A minor"),
}


def run(recipe: str, *arguments: object) -> None:
    """A recipe's main() in this process, as its command line would have it."""
    folder = str(REPOSITORY / "recipes")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    before, sys.argv = sys.argv, [recipe, *map(str, arguments)]
    try:
        importlib.import_module(recipe).main()
    finally:
        sys.argv = before


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    songs, out = tmp_path_factory.mktemp("songs"), tmp_path_factory.mktemp("rendered")
    for name, (chords, key) in SONGS.items():
        sheet = LeadSheet.parse(chords, key=key, bpm=100, duration_seconds=60)
        (songs / f"{name}.json").write_text(json.dumps(sheet.to_json()))
    run("render_songs", songs, out, "clips=6", "seconds=6", "workers=1")
    return out


def test_rendering_is_what_its_sheet_says(rendered: Path) -> None:
    rows = [json.loads(line) for line in (rendered / "metadata.jsonl").read_text().splitlines()]
    assert len(rows) == 6
    for row in rows:
        wave, rate = load_audio(rendered / row["file_name"])
        assert (rate, len(wave)) == (16000, 96000)
        assert np.sqrt(np.mean(wave**2)) > 0.01
        sheet = LeadSheet.from_json(row["lead_sheet"])
        assert sheet.duration_s == pytest.approx(6.0)
        assert sheet.chords
        assert row["genre"] in row["text"]
        assert row["source"] in {"major.json", "minor.json"}
    assert len({row["text"] for row in rows}) > 1


def test_rendering_is_a_function_of_the_seed(rendered: Path, tmp_path: Path) -> None:
    songs = tmp_path / "songs"
    songs.mkdir()
    for name, (chords, key) in SONGS.items():
        sheet = LeadSheet.parse(chords, key=key, bpm=100, duration_seconds=60)
        (songs / f"{name}.json").write_text(json.dumps(sheet.to_json()))
    run("render_songs", songs, tmp_path / "again", "clips=2", "seconds=6", "workers=1")
    first, again = ((p / "metadata.jsonl").read_text().splitlines() for p in (rendered, tmp_path / "again"))
    assert again == first[:2]
    name = json.loads(again[0])["file_name"]
    assert np.array_equal(load_audio(rendered / name)[0], load_audio(tmp_path / "again" / name)[0])


@pytest.mark.slow
def test_vocoder_clap_and_base_train_and_resume(rendered: Path, tmp_path: Path) -> None:
    run("pretrain_vocoder", rendered, tmp_path / "vocoder", "steps=1", "batch=2", "frames=64")
    clap = ("pretrain_clap", rendered, tmp_path / "clap", "batch=4", "held_out=2", "save_every=1", "workers=1")
    run(*clap, "steps=1")
    run(*clap, "steps=2")
    heard = json.loads((tmp_path / "clap" / "heard.json").read_text())
    assert heard["steps"] == 2
    assert 0 <= heard["clip_by_words"] <= 1

    base = ("pretrain_base", rendered, tmp_path / "vocoder", tmp_path / "base", "batch=2", "rows=40", "music_share=0.7")
    base += (f"clap={tmp_path / 'clap'}",)
    run(*base, "steps=2")
    before = torch.load(tmp_path / "base" / "state.pt", weights_only=True)
    run(*base, "steps=4")
    after = torch.load(tmp_path / "base" / "state.pt", weights_only=True)
    assert (before["step"], after["step"]) == (2, 4)
    moved = {k.split(".")[0] for k, v in after["model"].items() if not torch.equal(v, before["model"][k])}
    assert moved == {"unet", "t5", "gpt2", "projection", "adapter"}
    adapter = MusicAdapter.from_pretrained(tmp_path / "base" / "adapter")
    pipe = MuseTunePipeline.from_pretrained(tmp_path / "base" / "base", adapter=tmp_path / "base" / "adapter")
    assert all(torch.equal(a, b) for a, b in zip(adapter.parameters(), pipe.adapter.parameters(), strict=True))
    made = pipe("pop song", harmonic_progression=["I", "V"], key="C major", bpm=120, duration_seconds=2.56,
                num_inference_steps=2)  # fmt: skip
    assert np.isfinite(made.audios[0]).all()
