"""The command line: audio, report and chart out; errors in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from musetune import MuseTunePipeline, MusicAdapter


def musetune(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "musetune.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def adapter(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    unet = MuseTunePipeline.from_pretrained(tiny_base).unet
    MusicAdapter.for_unet(unet, dim=32, hidden=16, map_channels=8).save_pretrained(folder)
    return folder


def test_generate_then_analyze(tiny_base: Path, adapter: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.wav"
    options = [
        "--base",
        tiny_base,
        "--adapter",
        adapter,
        "--steps",
        "2",
        "--seconds",
        "4",
        "--report",
        "--plot",
        "-o",
        out,
    ]
    done = musetune(
        "generate", "warm jazz trio", "--chords", "ii7 V7 Imaj7 Imaj7", "--key", "Bb major", "--bpm", "132", *options
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(out.with_suffix(".json").read_text())
    assert [row["asked"] for row in report["chords"]][:3] == ["C:min7", "F:7", "Bb:maj7"]
    assert out.with_suffix(".png").stat().st_size > 10_000
    heard = musetune("analyze", out, "--json")
    assert heard.returncode in (0, 2)
    if heard.returncode == 0:
        assert json.loads(heard.stdout)["schema"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--chords", "H7"], "'H7'"),
        (["--chords", "I V", "--bpm", "900"], "bpm=900 is outside 30–300"),
        (["--chords", "I V", "--key", "H major"], "did you mean"),
        (["--format", "aac"], "format='aac' is not one of wav, flac, mp3"),
        (["--base", "nanoo"], "no base 'nanoo'"),
    ],
)
def test_mistakes_are_one_line(options: list[str], message: str, tmp_path: Path) -> None:
    done = musetune("generate", "x", *options, "-o", tmp_path / "x.wav")
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_help_teaches() -> None:
    done = musetune("generate", "--help")
    assert done.returncode == 0
    assert "I V vi IV" in done.stdout
