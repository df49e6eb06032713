"""calibrate_meter.py: probabilities from what was right, the threshold that keeps its promise, one short run."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from musetune.analysis.certainty import MeterCertainty
from musetune.audio import find_soundfont
from musetune.datasets.materials import MATERIALS

recipe = importlib.import_module("recipes.analyzer.calibrate_meter")


def test_fit_finds_the_probabilities_and_a_threshold_that_holds() -> None:
    rng = np.random.default_rng(0)
    share = 1 / (1 + np.exp(-rng.normal(1, 2, 4000)))
    truth = MeterCertainty(1.2, -0.6, 0.0)
    sure = np.array([truth.probability(value) for value in share])
    right = rng.random(4000) < sure
    found = recipe.fit(share, right, 0.9)
    assert found.slope == pytest.approx(1.2, abs=0.15)
    assert found.intercept == pytest.approx(-0.6, abs=0.15)
    stated = np.array([found.probability(value) for value in share]) >= found.stated_from
    assert right[stated].mean() >= 0.9
    assert 0.2 < stated.mean() < 0.9


def test_report_counts_what_is_stated() -> None:
    rows = [
        {"heard": "4/4", "truth": "4/4", "share": 0.9},
        {"heard": "3/4", "truth": "4/4", "share": 0.8},
        {"heard": None, "truth": "6/8", "share": 0.0},
    ]
    text = recipe.report(rows, MeterCertainty(1.0, 0.0, 0.5))
    assert text.startswith(
        "3 clips, 33% right; stated from 0.50: 67%, 50% of these right; expected calibration error 0.3"
    )


def write_song(folder: Path) -> None:
    """32 bars of C, F, G, C at 120 bpm as POP909 has them."""
    folder.mkdir(parents=True)
    chords, beats = ("C:maj", "F:maj", "G:maj", "C:maj"), range(257)
    (folder / "chords.txt").write_text("".join(f"{2 * i} {2 * i + 2} {chords[i % 4]}\n" for i in range(64)))
    for name in ("beats.txt", "beat_midi.txt"):
        (folder / name).write_text("".join(f"{beat / 2} 1.0 {float(beat % 4 == 0)}\n" for beat in beats))
    (folder / "key.txt").write_text("0.0 128.0 C:maj\n")
    midi = pretty_midi.PrettyMIDI()
    for name in ("MELODY", "PIANO", "BRIDGE"):
        part = pretty_midi.Instrument(0, name=name)
        part.notes = [pretty_midi.Note(80, 60 + 2 * (beat % 5), beat / 2, beat / 2 + 0.5) for beat in beats]
        midi.instruments.append(part)
    midi.write(str(folder / "arrangement.mid"))
    midi.write(str(folder / f"{folder.name}.mid"))


@pytest.mark.slow
def test_a_run_writes_the_numbers_and_hears_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_song(tmp_path / "songs" / "015")
    cache = tmp_path / "materials"
    font = next(m for m in MATERIALS if m.name == "FluidR3Mono_GM").locate(cache)
    font.parent.mkdir(parents=True)
    font.symlink_to(find_soundfont())
    cfg = recipe.Config(str(tmp_path / "songs"), str(tmp_path / "work"), str(cache), count=1, seconds=12.0)
    cfg.out = str(tmp_path / "certainty.json")
    recipe.run(cfg)
    assert "2 clips" in capsys.readouterr().out
    numbers = json.loads((tmp_path / "certainty.json").read_text())["meter"]
    assert 0 < MeterCertainty(**numbers).probability(0.5) < 1
    (stored,) = (tmp_path / "work").glob("calibration-*.jsonl")
    before = stored.read_bytes()
    recipe.run(cfg)
    assert stored.read_bytes() == before


def test_a_wrong_part_and_missing_sounds_are_named(tmp_path: Path) -> None:
    cfg = recipe.Config(str(tmp_path), str(tmp_path / "work"), str(tmp_path), part="tests")
    with pytest.raises(ValueError, match="part='tests' is not one of calibration, test"):
        recipe.run(cfg)
    with pytest.raises(ValueError, match="no soundfont for test"):
        recipe.run(recipe.Config(str(tmp_path), str(tmp_path / "work"), str(tmp_path), part="test"))
