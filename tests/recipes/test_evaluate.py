"""evaluate.py on a small base: the whole protocol, its resume, its refusals; and the making of test sheets."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from small import REPOSITORY

from musetune.adapter import MusicAdapter
from musetune.evaluation import MEASURES, load_test_sheets, missing_judges
from musetune.nano import build_nano

sys.path.insert(0, str(REPOSITORY / "recipes"))
import evaluate
import make_sheets

pytestmark = pytest.mark.judge
judged = pytest.mark.skipif(bool(missing_judges()), reason=f"not installed: {', '.join(missing_judges())}")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    base = build_nano("tiny")
    base.save_pretrained(folder / "base")
    MusicAdapter.for_unet(base.unet).save_pretrained(folder / "adapter")
    return folder


def options(models: Path, out: Path, *more: str) -> list[str]:
    return [
        "--base",
        str(models / "base"),
        "--adapter",
        str(models / "adapter"),
        "--out",
        str(out),
        "--steps",
        "2",
        *more,
    ]


@judged
@pytest.mark.slow
def test_protocol_runs_resumes_and_refuses_other_settings(models: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    evaluate.main(options(models, out, "--limit", "2"))
    table = capsys.readouterr().out
    assert "ceiling B" in table
    assert all(f"| {name} |" in table for name in MEASURES)
    results = json.loads((out / "results.json").read_text())
    rendered = results["table"]["ceiling A"]
    assert rendered["majmin"]["mean"] > 0.4  # Chordino understands the rendering
    assert (
        results["table"]["adapter"]["majmin"]["mean"] < rendered["majmin"]["mean"]
    )  # and not what an untrained model makes
    assert {path.name for path in out.iterdir()} >= {"results.md", "results.png", "audio", "reports", "charts"}

    audio = sorted((out / "audio").rglob("*.wav"))
    assert len(audio) == 8
    stamps = {path: path.stat().st_mtime_ns for path in audio}
    audio[0].unlink()
    evaluate.main(options(models, out, "--limit", "2"))
    assert capsys.readouterr().out == table  # the same seeds, the same audio, the same table
    assert [path for path in audio if path.stat().st_mtime_ns != stamps[path]] == [audio[0]]

    with pytest.raises(ValueError, match="made with another guidance"):
        evaluate.main(options(models, out, "--limit", "2", "--guidance", "4"))


@judged
def test_one_sheet_is_too_few(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        evaluate.main(options(models, tmp_path, "--limit", "1"))


def test_the_test_set_is_what_it_must_be() -> None:
    tests = load_test_sheets()
    assert len(tests) >= 24
    sheets = [test.sheet for test in tests]
    assert {(sheet.key.tonic_pc, sheet.key.mode) for sheet in sheets} == {
        (pc, m) for pc in range(12) for m in ("major", "minor")
    }
    assert min(sheet.bpm for sheet in sheets) == pytest.approx(60)
    assert max(sheet.bpm for sheet in sheets) == pytest.approx(160)
    assert {str(sheet.meter) for sheet in sheets} == {"3/4", "4/4"}
    assert all(sheet.duration_s == pytest.approx(10.24, abs=0.01) for sheet in sheets)
    chords = [span for sheet in sheets for span in sheet.chords]
    assert sum(span.chord.inversion > 0 for span in chords) >= 20
    assert sum(span.chord.quality in make_sheets.SEVENTHS for span in chords) >= 30
    assert any(span.start.denominator == 2 for span in chords)
    assert all(test.source.endswith("5") for test in tests), "cut from songs that no training reads"
    assert len({test.id for test in tests}) == len({test.seed for test in tests}) == len(tests)


def test_make_sheets_is_reproducible(tmp_path: Path) -> None:
    songs = REPOSITORY / "../shared/data/pop909"
    if not songs.is_dir():
        pytest.skip("the folder of songs is not beside the repository")
    names = sorted({test.source.split()[-1] for test in load_test_sheets()})  # among them some that make waltzes
    few = [song for name in names if (song := make_sheets.read_song(songs / name)) is not None]
    cfg = make_sheets.Config(count=3, waltzes=1)
    first, second = make_sheets.make(cfg, few), make_sheets.make(cfg, few)
    assert first == second
    assert [record["lead_sheet"]["meters"][0][1] for record in first].count("3/4") == 1
    assert make_sheets.make(make_sheets.Config(count=3, waltzes=1, seed=1), few) != first
