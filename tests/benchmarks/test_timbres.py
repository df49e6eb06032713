"""benchmarks/timbres.py: distances whose value is known, and a short run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import timbres

from musetune.audio import save_audio
from musetune.symbols import LeadSheet

RATE = 16000


class Stranger:
    """In YAMNet's place: three numbers every half second."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def logits(self, wave: np.ndarray, rate: int) -> np.ndarray:
        blocks = wave[: len(wave) // 8000 * 8000].reshape(-1, 8000)
        return 100 * np.stack([blocks.std(axis=1), np.abs(np.diff(blocks)).mean(axis=1), blocks.max(axis=1)], axis=1)


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).normal(size=round(seconds * RATE)).clip(-4, 4)).astype(np.float32)


def test_distance_in_decibels() -> None:
    wave = noise(2)
    assert timbres.spectral_distance(wave, wave) == 0
    assert timbres.spectral_distance(wave, 0.5 * wave) == pytest.approx(6.02, abs=0.05)
    silence = np.zeros_like(wave)
    assert timbres.spectral_distance(silence, silence + np.float32(1e-7)) == 0  # below what is told apart


def test_wrong_names_are_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(timbres, "YamNet", Stranger)
    monkeypatch.setattr(sys, "argv", ["timbres.py", "--set", "nothing", "--judges", "."])
    with pytest.raises(SystemExit):
        timbres.main()
    assert "'nothing' is not NAME=FOLDER" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_prints_a_row_for_each_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = LeadSheet.parse("| C |", bpm=120, duration_seconds=2).to_json()
    listing = []
    for index in range(2):
        save_audio(tmp_path / f"{index}.flac", noise(2.048, index), RATE)
        listing.append(json.dumps({"file_name": f"{index}.flac", "lead_sheet": sheet}))
    (tmp_path / "metadata.jsonl").write_text("\n".join(listing))
    monkeypatch.setattr(timbres, "YamNet", Stranger)
    words = ["--set", f"hiss={tmp_path}", "--judges", str(tmp_path), "--no-chords", "--out", str(tmp_path / "out.json")]
    monkeypatch.setattr(sys, "argv", ["timbres.py", *words, "--vocoder", "a=nano", "--vocoder", "b=nano"])
    timbres.main()
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    table = {line[1]: dict(zip(timbres.HEADS, line, strict=True)) for line in lines[2:]}
    assert table["the clip"]["LSD"].startswith("0.00 ")
    assert 1 < float(table["a"]["LSD"].split()[0]) < 20
    assert table["a"]["LSD"] == table["b"]["LSD"]
    assert table["b"]["better"] == "0.00 (0.00 to 0.00)"
    assert table["a"]["majmin"] == "—"
    assert float(table["a"]["YAMNet"]) > float(table["the clip"]["YAMNet"])
    kept = json.loads((tmp_path / "out.json").read_text())["hiss"]
    assert len(kept["records"]["a"]) == 2
