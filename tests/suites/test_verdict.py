"""Which adapter stays, by what the judges wrote and what a stranger hears."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small import SR

from musetune import LeadSheet
from musetune.audio import find_soundfont, save_audio
from musetune.evaluation.bootstrap import Mean
from musetune.evaluation.guards import GuardLimits, PolicyFigures, decide
from musetune.evaluation.whole_files import replace_folder, write_json
from musetune.suites import verdict
from musetune.suites.alignment import audio_path
from musetune.suites.candidates import CandidateRequest
from musetune.suites.rounds import RoundRecord, RoundsOutcome

SHEET = LeadSheet.parse("| C | F |", bpm=120, duration_seconds=4.0)
REQUESTS = [CandidateRequest(f"request-{n}", "pop", SHEET) for n in range(4)]
NAMES = [request.name for request in REQUESTS]
OUTCOME = RoundsOutcome(1, (RoundRecord(1, None, 0.6, 0.1, (), True),), "rounds=1 are done")


def figures(reward: float) -> PolicyFigures:
    flat = dict.fromkeys(NAMES, 0.5)
    return PolicyFigures(dict.fromkeys(NAMES, reward), {"chords": flat}, flat, {}, {})


def write_scores(folder: Path, **measures: float) -> None:
    write_json(folder / verdict.SCORES, {f"{name}-{seed}": measures for name in NAMES for seed in (0, 1)})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for folder, text in (("old", "old"), ("round-1/adapter", "tuned")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "weights").write_text(text)
    write_scores(tmp_path / "before", majmin=0.8, key=0.8)
    write_scores(tmp_path / "round-1", majmin=0.9, key=0.8)
    return tmp_path


def keep(run: Path, after: float = 0.6, outcome: RoundsOutcome = OUTCOME, **changes) -> dict:  # type: ignore[no-untyped-def]
    stacked = changes.pop("stacked", False)
    hearing = verdict.Hearing(REQUESTS, [0, 1], **{"judged_seeds": [0, 1]} | changes)
    both = figures(0.5), figures(after)
    verdict.keep_better_adapter(run, run / "old", both, outcome, hearing, GuardLimits(), stacked=stacked)
    return json.loads((run / verdict.REPORT).read_text())


def test_a_gain_by_both_is_kept(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = keep(run)
    assert report["verdict"]["accepted"]
    assert report["verdict"]["judges"]["mean"] == pytest.approx(0.05)
    assert (run / "adapter" / "weights").read_text() == "tuned"
    assert verdict.RED not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("scores", "after", "said"),
    [
        ({"majmin": 0.7, "key": 0.8}, 0.6, "hacked"),
        ({"majmin": 0.8, "key": 0.8}, 0.6, "judges' score did not rise"),
        ({"majmin": 1.0, "key": 0.75}, 0.6, "judges' key"),  # the mean rises, one measure falls on all sheets
        ({"majmin": 0.9, "key": 0.8}, 0.5, "reward did not rise"),
    ],
)
def test_else_the_old_one_stays(
    run: Path, capsys: pytest.CaptureFixture[str], scores: dict[str, float], after: float, said: str
) -> None:
    (run / "adapter").mkdir()  # of a run before
    write_scores(run / "round-1", **scores)
    report = keep(run, after)
    assert not report["verdict"]["accepted"]
    assert said in report["verdict"]["reason"]
    assert (run / "adapter" / "weights").read_text() == "old"
    assert capsys.readouterr().out.splitlines()[-1].startswith(verdict.RED)


def test_a_lora_that_is_refused_leaves_no_adapter(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(run, 0.5, stacked=True)
    assert not (run / "adapter").exists()
    assert "there is no adapter/" in capsys.readouterr().out


def test_where_nobody_judges_the_report_alone_is_written(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = keep(run, judged_seeds=[])
    assert not report["decided"]
    assert (run / "adapter" / "weights").read_text() == "tuned"
    assert "decide yourself" in capsys.readouterr().out
    none = RoundsOutcome(None, OUTCOME.records, "")
    keep(run, 0.4, none, judged_seeds=[])
    assert (run / "adapter" / "weights").read_text() == "old"


def test_judges_that_are_missing_say_nothing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdict, "missing_judges", lambda: ["madmom"])
    assert keep(run)["verdict"]["accepted"]  # all was judged before
    (run / "round-1" / verdict.SCORES).unlink()
    report = keep(run)
    assert report["verdict"]["judges"] is None
    assert (run / "adapter" / "weights").read_text() == "old"


def test_a_stranger_objects_who_hears_takes_move_away(run: Path) -> None:
    find_soundfont()
    rng = np.random.default_rng(0)
    for folder, level in (("before", 0.1), ("round-1", 0.5)):
        for request in REQUESTS:
            for seed in (0, 1):
                noise = level * rng.normal(size=4 * SR).astype(np.float32)
                save_audio(audio_path(run / folder, request, seed), noise.clip(-1, 1), SR)

    def loudness(wave: np.ndarray, rate: int) -> np.ndarray:
        seconds = wave[: len(wave) // rate * rate].reshape(-1, rate)
        return np.stack([seconds.std(axis=1), np.abs(seconds).mean(axis=1)], axis=1)

    report = keep(run, stranger=loudness)
    (guard,) = [guard for guard in report["guards"] if "YAMNet" in guard["name"]]
    assert guard["objects"]
    assert guard["loss"]["low"] > 1
    assert not report["verdict"]["accepted"]


def test_the_verdict_is_red_where_the_tuned_adapter_is_refused() -> None:
    up, down = Mean(0.031, 0.01, 0.05, 12), Mean(-0.02, -0.05, 0.01, 12)
    kept = verdict.verdict_text(decide(up, up, []), "round-2")
    assert verdict.RED not in kept
    assert "A's reward +3.1 (+1.0 to +5.0) points" in kept
    assert "adapter/ is that of round-2" in kept
    refused = verdict.verdict_text(decide(up, down, []), "round-2")
    assert refused.startswith(verdict.RED)
    assert "hacked" in refused
    assert "unknown" in verdict.verdict_text(decide(up, None, []), "round-2")


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    (tmp_path / ".writing-old").mkdir()  # of a run that was killed
    replace_folder(tmp_path / "new", tmp_path / "old")
    assert [path.name for path in (tmp_path / "old").iterdir()] == ["new"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]
