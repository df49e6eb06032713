"""The suite "stems" on a small base: every condition, its resume, whose notes it is held against, and the table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_evaluation import quick_settings

from musetune.adapter import MusicAdapter
from musetune.audio import load_audio, mel_frontend
from musetune.evaluation import load_test_sheets, missing_judges
from musetune.evaluation.notes import NOTE_MEASURES
from musetune.evaluation.transcription import missing_transcribers
from musetune.models.nano import build_nano
from musetune.suites import run_suite
from musetune.suites import stems as stem_suite
from musetune.suites.settings import EvaluationSettings
from musetune.symbols import LeadSheet
from musetune.symbols.estimate import Estimate

absent = [*missing_judges(), *missing_transcribers()]
pytestmark = [pytest.mark.judge, pytest.mark.skipif(bool(absent), reason=f"not installed: {', '.join(absent)}")]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base and an adapter that reads stems, both untrained."""
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    base = build_nano("tiny")
    base.save_pretrained(folder / "base")
    adapter = MusicAdapter.for_unet(base.unet)
    branch = adapter.add_stems(8, 8, mel_frontend(base).frequencies)
    for weights in branch.parameters():
        torch.nn.init.normal_(weights, std=0.5)  # so that notes change the audio
    adapter.save_pretrained(folder / "adapter")
    return folder


def play(models: Path, out: Path, **options: Any) -> None:
    paths = {"base": str(models / "base"), "adapter": str(models / "adapter")}
    run_suite("stems", **paths, out=out, steps=2, workers=0, **options)


def settings_of(models: Path, out: Path) -> EvaluationSettings:
    return quick_settings("stems", models / "base", models / "adapter", out)


def perfect(sheet: LeadSheet) -> Estimate:
    """What a listener says who hears exactly what the sheet asks."""
    labels, sure = list(sheet.chord_labels), np.ones(len(sheet.chord_labels))
    return Estimate(sheet.chord_intervals_s, labels, sure, sheet.beats_s, sheet.downbeats_s, str(sheet.key), sheet.bpm)


@pytest.mark.slow
def test_suite_plays_judges_and_goes_on(models: Path, tmp_path: Path, monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(
        stem_suite, "judge", lambda wave, sr, tempo_hint: perfect(tempo_hint)
    )  # tested with the obedience suite
    play(models, tmp_path, limit=2)
    table = capsys.readouterr().out
    assert all(f" {condition} |" in table for condition in (*stem_suite.CONDITIONS, "gain", "share"))
    assert all(f"| {row} |" in table for row in (*NOTE_MEASURES, "majmin"))
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["command"].endswith("--suite stems --arranger rule --limit 2")
    for row in ("drums_f", "bass_chroma"):
        rendered = results["table"]["ceiling A"][row]
        assert rendered["mean"] > 0.5
        assert rendered["mean"] > results["table"]["with notes"][row]["mean"] + 0.2  # what an untrained model plays
        assert rendered["n"] == 2
    assert results["table"]["with notes"]["majmin"]["mean"] == 1.0
    assert results["table"]["floor B"]["majmin"] is None
    assert (tmp_path / "results.png").stat().st_size > 10_000

    clips = sorted((tmp_path / "audio").rglob("*.wav"))
    assert len(clips) == 2 * len(stem_suite.PLAYED)
    pair = [load_audio(tmp_path / "audio" / c / clips[0].name)[0] for c in ("with-notes", "without-notes")]
    assert np.abs(pair[0] - pair[1]).max() > 1e-3
    stamps = {path: path.stat().st_mtime_ns for path in clips}
    clips[0].with_suffix(".json").unlink()
    play(models, tmp_path, limit=2)
    assert capsys.readouterr().out == table
    assert {path: path.stat().st_mtime_ns for path in clips} == stamps
    with pytest.raises(ValueError, match="made with another guidance"):
        play(models, tmp_path, limit=2, guidance=4.0)


def test_floors_are_the_same_clip_against_other_notes(models: Path, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Floor B is about the stranger's arrangement, another take about this sheet's; neither is played by itself."""
    arrangements: dict[str, dict] = {}
    monkeypatch.setattr(
        stem_suite, "score_clip", lambda test, condition, asked, settings: arrangements.update({condition: asked}) or {}
    )
    settings = settings_of(models, tmp_path)
    test, stranger = load_test_sheets()[2:4]
    stem_suite.play_and_judge((test, stranger), settings)
    mine, other, take = (arrangements["with notes"][c] for c in ("with notes", "floor B", "another take"))
    assert (
        mine
        == stem_suite.write_notes(test, settings)
        == arrangements["ceiling B"]["ceiling B"]
        == arrangements["without notes"]["without notes"]
    )
    assert other == stem_suite.write_notes(stranger, settings)
    assert take != mine
    assert take.grid == mine.grid
    assert {"drums", "bass", "lead"} <= mine.stems.keys() & take.stems.keys()


def test_other_notes_are_played_anew(models: Path, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    made: list[float] = []

    def make(pipe, test, condition, notes, settings) -> np.ndarray:  # type: ignore[no-untyped-def]
        made.append(notes.stems["bass"].notes[0].pitch)
        return np.zeros(16000, np.float32)

    monkeypatch.setattr(stem_suite, "make", make)
    settings, test = settings_of(models, tmp_path), load_test_sheets()[2]
    notes, others = stem_suite.write_notes(test, settings), stem_suite.write_notes(load_test_sheets()[5], settings)
    first, again, another = (
        stem_suite.score_clip(test, "with notes", {"with notes": given}, settings) for given in (notes, notes, others)
    )
    assert first == again
    assert first["with notes"]["bass_f"] == another["with notes"]["bass_f"] == 0.0
    assert made == [given.stems["bass"].notes[0].pitch for given in (notes, others)]


def test_one_sheet_is_too_few_for_stems(models: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        play(models, tmp_path, limit=1)
