"""benchmarks/report_agreement.py and bar_confidence.py: how they count, without peers and soundfonts."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from musetune import LeadSheet
from musetune.symbols import Chord

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(params=["report_agreement"])
def bench(request, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield __import__(request.param)
    for name in (request.param, "analysis", "songs", "peers", "listeners"):
        sys.modules.pop(name, None)


def test_a_near_chord_is_another_one(bench) -> None:  # type: ignore[no-untyped-def]
    near = {bench.near_chord(Chord.parse("Am"), np.random.default_rng(seed)).harte for seed in range(60)}
    assert near == {"C:maj", "A:maj", "E:min", "B:min", "A:min7"}
    sheet = LeadSheet.parse("| C | F | G | N.C. |" * 5)
    changed = bench.change_chords(sheet, 3)
    assert [a.start for a in changed.chords] == [a.start for a in sheet.chords]
    differ = [a.chord != b.chord for a, b in zip(changed.chords, sheet.chords)]
    assert 3 < sum(differ) < 12
    assert not any(d for d, span in zip(differ, sheet.chords) if span.chord.root is None)


def test_verdicts_become_kappas(bench) -> None:  # type: ignore[no-untyped-def]
    def said(report: str, chordino: str, crema: str, score: str) -> dict[str, list[bool]]:
        words = {"report": report, "Chordino": chordino, "crema": crema, "score": score}
        return {name: [letter == "y" for letter in text] for name, text in words.items()}

    records = []
    for sheet in "abcd":
        records.append((sheet, "the sheet", said("yyyy", "yyyy", "yyyn", "yyyy")))
        records.append((sheet, "another song's", said("nnnn", "nnnn", "nnny", "nnnn")))
        records.append((sheet, "chords changed", said("yynn", "yynn", "yynn", "yynn")))
    kappa, over, shares = bench.tables(records)
    assert "| report and Chordino | 1.00 (1.00–1.00) |" in kappa
    assert "4 sheets" in kappa
    assert "| report and crema | 0.67 (0.67–0.67) |" in kappa
    assert "| report and Chordino | 0.33 (0.33–0.33) |" in over
    assert "| report and crema | 0.00 (0.00–0.00) |" in over
    assert "| the sheet | 100.0 | 100.0 | 75.0 | 100.0 |" in shares
    assert bench.confusions(records, "report", "crema").tolist() == [[5, 1, 1, 5]] * 4


def test_a_peer_is_asked_once(bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    calls = []

    def listen(wave: np.ndarray) -> dict:
        calls.append(len(wave))
        return {"intervals": [(0.0, 1.0)], "labels": ["C:maj"], "cpu_seconds": 0.1}

    monkeypatch.setitem(bench.PEERS, "crema", SimpleNamespace(listen=listen))
    for cache in (tmp_path, tmp_path, None):
        intervals, labels = bench.ask_peer("crema", np.zeros(8), cache)
        assert (intervals.tolist(), labels) == ([[0.0, 1.0]], ["C:maj"])
    bench.ask_peer("crema", np.ones(8), tmp_path)
    assert calls == [8, 8, 8]


@pytest.mark.parametrize("bench", ["bar_confidence"], indirect=True)
def test_beats_are_right_on_the_beat_and_as_many(bench) -> None:  # type: ignore[no-untyped-def]
    truth = np.arange(0, 8, 0.5)
    song = SimpleNamespace(beats_s=truth)

    def right(bpm: float, moved: float = 0.0) -> set[bool]:
        sheet = LeadSheet.parse("| C | F |", bpm=bpm, duration_seconds=6)
        grid = SimpleNamespace(time_at=lambda beat: float(sheet.grid.time_at(beat)) + moved)
        view = SimpleNamespace(beats_s=sheet.beats_s + moved, downbeats=sheet.downbeats, length=sheet.length, grid=grid)
        return set(bench.right_beats(song, SimpleNamespace(lead_sheet=view)))

    assert right(120) == right(120, 0.05) == {True}
    assert right(120, 0.2) == right(240) == right(60) == {False}
    assert False in right(160)


@pytest.mark.parametrize("bench", ["bar_confidence"], indirect=True)
def test_the_calibration_is_found_again(bench, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(bench, "RIDGE", 1e-5)
    rng = np.random.default_rng(0)
    count = 20_000
    mean, tempo = rng.uniform(0.05, 0.98, count), rng.uniform(0.3, 0.99, count)
    least = mean * rng.uniform(0.5, 1, count)
    odds = lambda p: np.log(p / (1 - p))  # noqa: E731
    chords = rng.random(count) < 1 / (1 + np.exp(-(0.5 + 0.3 * odds(mean) + 0.8 * odds(least))))
    beats = rng.random(count) < 1 / (1 + np.exp(-(1.0 + 0.6 * odds(tempo))))
    rows = np.column_stack([mean, least, tempo, chords, beats, np.zeros(count)])
    found = bench.fit({"one": rows[:100], "other": rows[100:]} | {"third": rows})
    assert found["chords"] == pytest.approx([0.5, 0.3, 0.8], abs=0.25)
    assert found["beats"] == pytest.approx([1.0, 0.6], abs=0.25)


@pytest.mark.parametrize("bench", ["bar_confidence"], indirect=True)
def test_the_curve_says_what_stays_and_what_of_it_is_right(bench) -> None:  # type: ignore[no-untyped-def]
    rows = np.array([[0, 0, 0, 1, 1, 0.95], [0, 0, 0, 1, 0, 0.55], [0, 0, 0, 1, 1, 0.55], [0, 0, 0, 0, 1, 0.1]])
    lines = bench.kept({"one": rows}).splitlines()
    assert "| 0.0 | 100.0 | 50.0 | — |" in lines
    assert "| 0.5 | 75.0 | 66.7 | 0.0 |" in lines
    assert "| 0.9 | 25.0 | 100.0 | 33.3 |" in lines
