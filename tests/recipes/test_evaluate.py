"""evaluate.py on a small base: the whole protocol, its resume, its refusals; and the making of test sheets."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_evaluation import quick_settings

from musetune.adapter import MusicAdapter
from musetune.evaluation import MEASURES, Report, load_test_sheets, missing_judges
from musetune.models.nano import build_nano
from musetune.suites import obedience as evaluate
from musetune.suites import run_suite
from musetune.symbols import LeadSheet
from musetune.symbols.lead_sheet import GENRES
from recipes.evaluation import make_sheets

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


def play(models: Path, out: Path, **options: Any) -> None:
    run_suite(base=str(models / "base"), adapter=str(models / "adapter"), out=out, steps=2, **options)


@judged
@pytest.mark.slow
def test_protocol_runs_resumes_and_refuses_other_settings(models: Path, tmp_path: Path, capsys) -> None:
    out = tmp_path / "out"
    play(models, out, limit=2, workers=2)
    table = capsys.readouterr().out
    assert all(f" {condition} |" in table for condition in evaluate.CONDITIONS)
    assert all(f"| {name} |" in table for name in (*MEASURES, "genre", "clap"))
    results = json.loads((out / "results.json").read_text())
    rendered = results["table"]["ceiling A"]
    assert rendered["majmin"]["mean"] > 0.4  # Chordino understands the rendering
    assert (
        results["table"]["adapter"]["majmin"]["mean"] < rendered["majmin"]["mean"]
    )  # and not what an untrained model makes
    assert (
        results["agreement"]["discrimination: adapter and floor B"]["chord by chord"]["same"] is None
    )  # of 2 clips, not 4
    assert results["run"]["workers"] == 2
    assert results["aims"]["majmin"]["ceiling B − adapter"]["n"] == 2
    names = {path.name for path in out.iterdir()}
    assert names >= {"results.md", "results.png", "agreement.png", "audio", "reports", "charts"}

    audio = sorted((out / "audio").rglob("*.wav"))
    played = [path for path in audio if not path.parent.name.startswith("candidate")]
    assert len(played) == 2 * (len(evaluate.CONDITIONS) - 1) - 1  # no genre: every other sheet
    assert not [path for path in (out / "audio").rglob("*") if path.is_file() and path not in audio]
    stamps = {path: path.stat().st_mtime_ns for path in audio}
    audio[0].unlink()
    play(models, out, limit=2, workers=0)
    assert capsys.readouterr().out == table  # the same seeds, the same audio, the same table
    assert [path for path in audio if path.stat().st_mtime_ns != stamps[path]] == [audio[0]]

    with pytest.raises(ValueError, match="made with another guidance"):
        play(models, out, limit=2, guidance=4.0)


@pytest.mark.parametrize(("scores", "chosen"), [((0.3, 0.5, 0.9, 0.1), 2), ((0.7, 0.5, 0.6, 0.1), 0)])
def test_best_of_4_is_what_the_own_report_ranks_first(
    models: Path, tmp_path: Path, monkeypatch, scores: tuple[float, ...], chosen: int
) -> None:
    test = replace(load_test_sheets()[0], seed=999)  # of every third seed the candidates are kept
    base, adapter = str(models / "base"), str(models / "adapter")
    settings = quick_settings("obedience", models / "base", models / "adapter", tmp_path)
    pipe = evaluate.load(base, adapter, "cpu")
    seeds = (test.seed, *(test.seed + step for step in evaluate.MORE_SEEDS))
    alone = [evaluate.obedient(pipe, test, settings, seed).audios[0] for seed in seeds]

    def known(wave: np.ndarray, sr: int, sheet: LeadSheet, **_: object) -> Report:
        score = scores[nearest(wave, alone)]
        return Report(sheet, None, "known", dict.fromkeys(MEASURES, score))

    monkeypatch.setattr("musetune.evaluation.report", known)
    monkeypatch.setattr(evaluate, "report", known)
    monkeypatch.setitem(evaluate.SUITES, "obedience", ("adapter", "best of 4"))
    evaluate.make_audio(pipe, test, settings, tmp_path)
    first, best = (evaluate.load_audio(evaluate.wav(tmp_path, c, test))[0] for c in ("adapter", "best of 4"))
    assert nearest(first, alone) == 0, "the adapter's clip is the first seed's, whatever it scores"
    assert nearest(best, alone) == chosen
    more = [evaluate.load_audio(evaluate.wav(tmp_path, c, test))[0] for c in evaluate.CANDIDATES]
    assert [nearest(wave, alone) for wave in more] == sorted((1, 2, 3), key=lambda i: -scores[i])


def nearest(wave: np.ndarray, waves: list[np.ndarray]) -> int:
    """Which of ``waves`` it is, up to rounding to 16 bits."""
    distances = [float(np.abs(wave - other).max()) for other in waves]
    assert sorted(distances)[0] < 1e-3 < sorted(distances)[1]
    return int(np.argmin(distances))


@judged
def test_one_sheet_is_too_few(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        play(models, tmp_path, limit=1)


def test_the_test_set_is_what_it_must_be() -> None:
    tests = load_test_sheets()
    assert len(tests) >= 48
    sheets = [test.sheet for test in tests]
    assert {(sheet.key.tonic_pc, sheet.key.mode) for sheet in sheets} == {
        (pc, m) for pc in range(12) for m in ("major", "minor")
    }
    straight = [sheet for sheet in sheets if not sheet.meter.compound and not sways(sheet)]
    assert min(sheet.bpm for sheet in straight) < 65
    assert max(sheet.bpm for sheet in straight) > 165
    assert Counter(str(sheet.meter) for sheet in sheets) == {"4/4": 40, "3/4": 12, "6/8": 8}
    assert sum(map(sways, sheets)) == 6
    assert Counter(sheet.genre for sheet in sheets).keys() == set(GENRES)
    assert all(test.sheet.genre in test.prompt for test in tests)
    assert all(sheet.duration_s == pytest.approx(10.24, abs=0.01) for sheet in sheets)
    chords = [span for sheet in sheets for span in sheet.chords]
    assert sum(span.chord.inversion > 0 for span in chords) >= 40
    assert sum(span.chord.quality in make_sheets.SEVENTHS for span in chords) >= 60
    assert any(span.start.denominator == 2 for span in chords)
    assert any(span.start.denominator == 3 for span in chords)
    assert all(test.source.endswith("5") for test in tests), "cut from songs that no training reads"
    assert len({test.id for test in tests}) == len({test.seed for test in tests}) == len(tests)


def sways(sheet: LeadSheet) -> bool:
    return float(np.ptp(np.diff(sheet.beats_s))) > 1e-6


@pytest.mark.parametrize(
    ("chords", "key", "fixed"),
    [
        ("C F G C", "C major", True),
        ("C G C/E F", "C major", True),
        ("C G Am F", "C major", False),  # A minor's tonic sounds as long
        ("F G Am F", "C major", False),  # its tonic never sounds
        ("Am Dm E7 Am", "A minor", True),
        ("Am Dm G C", "A minor", False),
        ("C F# Bb C", "C major", False),  # chromatic
        ("C Am7 Dm7 G7", "C major", False),
        ("C F G7 C F C", "C major", True),
        ("C F C F", "F major", False),  # its tones fit C major as well
    ],
)
def test_a_passage_must_fix_its_key(chords: str, key: str, fixed: bool) -> None:
    sheet = LeadSheet.from_progression(chords, key=key)
    assert make_sheets.fixes_key(sheet.chords, sheet.key) is fixed


def test_chords_of_every_test_sheet_fix_its_key() -> None:
    """As cut; where chords were pushed before their beat, the time of each has changed a little."""
    fixed = [make_sheets.fixes_key(test.sheet.chords, test.sheet.key) for test in load_test_sheets()]
    assert np.mean(fixed) > 0.9


def test_make_sheets_is_reproducible(shared: Path) -> None:
    songs = shared / "data" / "pop909"
    names = sorted({test.source.split()[-1] for test in load_test_sheets()})[:20]
    few = [song for name in names if (song := make_sheets.read_song(songs / name)) is not None]
    cfg = make_sheets.Config(count=4, waltzes=1, compound=1, rubato=1)
    (first, told), (second, _) = make_sheets.make(cfg, few), make_sheets.make(cfg, few)
    assert first == second
    assert "fix their key" in told
    assert sorted(record["lead_sheet"]["meters"][0][1] for record in first) == ["3/4", "4/4", "4/4", "6/8"]
    assert sum("rubato" in record["features"] for record in first) == 1
    again, _ = make_sheets.make(make_sheets.Config(count=4, waltzes=1, compound=1, rubato=1, seed=1), few)
    assert again != first
    with pytest.raises(ValueError, match="too few"):
        make_sheets.make(make_sheets.Config(count=4), few)
