"""The demo as `make demo` runs it, on a song of our own making and a small base, so that it needs no network."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from small import REPOSITORY

from musetune.adapter import MusicAdapter
from musetune.audio import load_audio, save_audio, synthesize
from musetune.models.nano import build_nano
from musetune.planning.rules.orchestrate import orchestrate
from musetune.symbols import LeadSheet


@pytest.mark.slow
def test_demo_leaves_what_it_promises(tmp_path: Path) -> None:
    torch.manual_seed(0)
    base = build_nano("tiny")
    base.save_pretrained(tmp_path / "base")
    MusicAdapter.for_unet(base.unet).save_pretrained(tmp_path / "adapter")
    sheet = LeadSheet.from_progression(["I", "V", "vi", "IV"], key="D major", bpm=110, duration_seconds=24, genre="pop")
    wave = synthesize(orchestrate(sheet, seed=1).arrangement.to_pretty_midi(), 44100, duration_s=24)
    song = save_audio(tmp_path / "song.mp3", np.asarray(wave), 44100)
    out = tmp_path / "out"
    command = [sys.executable, str(REPOSITORY / "recipes" / "demo.py"), "--song", str(song), "--out", str(out)]
    command += [
        "--base",
        str(tmp_path / "base"),
        "--adapter",
        str(tmp_path / "adapter"),
        "--train-steps",
        "2",
        "--steps",
        "2",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert {"demo.wav", "demo.png", "demo.json", "song.json", "finetuned.wav"} <= {path.name for path in out.iterdir()}
    report = json.loads((out / "demo.json").read_text())
    assert [row["asked"] for row in report["chords"]][:4] == ["C:maj", "G:maj", "A:min", "F:maj"]
    assert report["settings"]["seed"] == 7
    assert json.loads((out / "song.json").read_text())["bpm"] == pytest.approx(110, rel=0.05)


def test_without_debian_the_songs_are_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "recipes"))
    from recipes import demo as recipe

    binaries = tmp_path / "bin"  # a system with sh and nothing of Debian's
    binaries.mkdir()
    (binaries / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(binaries))
    monkeypatch.setattr(recipe, "CACHE", tmp_path / "asc-music")
    monkeypatch.setattr(recipe, "RENDERED_SECONDS", 8.0)
    songs = recipe.fetch_songs()
    assert [song.name for song in songs] == ["rendered-pop.mp3", "rendered-jazz.mp3", "rendered-rock.mp3"]
    assert "RENDERED" in capsys.readouterr().out
    for song in songs:
        wave, rate = load_audio(song)
        assert len(wave) / rate == pytest.approx(8, abs=0.2)
        assert np.sqrt(np.mean(wave**2)) > 0.01
