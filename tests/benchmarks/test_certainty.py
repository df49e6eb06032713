"""benchmarks/certainty.py: how it fits and counts, without soundfonts."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import asdict
from pathlib import Path

import certainty as bench
import numpy as np
import pytest

from musetune.analysis.certainty import Calibration, Certainty


def drawn(truth: Calibration, count: int, quantity: str, known: bool = False) -> list:
    """Statements whose probability to be right is `truth` of their share."""
    rng = np.random.default_rng(count)
    share = 1 / (1 + np.exp(-rng.normal(1, 1.5, count)))
    right = rng.random(count) < truth.probability(share)
    return [
        bench.Statement("bands" if n % 3 else "others", known, quantity, float(s), float(r), 1.0)
        for n, (s, r) in enumerate(zip(share, right, strict=True))
    ]


def test_fit_finds_the_lines_and_a_threshold_that_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "RIDGE", 1e-5)
    truth = {name: Calibration(0.5 + 0.2 * n, 0.6 - 0.3 * n) for n, name in enumerate(bench.QUANTITIES)}
    rows = [row for name in bench.QUANTITIES for row in drawn(truth[name], 8000, name)]
    found = bench.fit(rows)
    for name, line in truth.items():
        assert getattr(found, name).slope == pytest.approx(line.slope, abs=0.1)
        assert getattr(found, name).intercept == pytest.approx(line.intercept, abs=0.1)
    share, right, _ = bench.columns([row for row in rows if row.quantity == "meter"])
    stated = found.meter.probability(share) >= found.meter_stated_from
    assert 0 < stated.mean() < 1
    assert right[stated].mean() >= bench.RIGHT - 0.01


def test_a_share_that_tells_nothing_becomes_what_is_right_on_average() -> None:
    rows = drawn(Calibration(bench.FLATTEST, 1.0), 3000, "tempo")
    line = bench.fit_line(rows)
    assert line.probability(0.9) == pytest.approx(0.73, abs=0.05)
    assert line.probability(0.9) > line.probability(0.5)


def test_a_long_chord_counts_more() -> None:
    rows = [
        bench.Statement("bands", False, "chord", 0.6, right, seconds) for right, seconds in ((1.0, 1.0), (0.0, 9.0))
    ]
    assert bench.fit_line(rows).probability(0.6) == pytest.approx(0.1, abs=0.03)


def test_the_table_has_the_error_before_and_after_and_by_chance() -> None:
    truth = Calibration(0.5, 0.0)
    rows = drawn(truth, 2000, "key") + drawn(truth, 500, "key", known=True)
    lines = bench.table(rows, Certainty(truth, truth, truth, truth, 0.8)).splitlines()[2:]
    assert [line.split(" | ")[1] for line in lines] == ["unknown", "known"]
    cells = lines[0].strip("| ").split(" | ")
    before, after = float(cells[5]), float(cells[6].split()[0])
    chance = float(cells[6].split("(")[1].strip(")"))
    assert cells[2] == "2000"
    assert after < 0.04 < before
    assert 0 < chance < 0.04


def test_meters_stated_are_counted() -> None:
    line = Calibration(1.0, 0.0)
    rows = [
        bench.Statement("bands", False, "meter", share, right, 1.0) for share, right in ((0.9, 1), (0.85, 0), (0.3, 1))
    ]
    text = bench.meters_stated(rows, Certainty(line, line, line, line, 0.8))
    assert text == "meters of unknown timbre: 2 of 3 stated (from 0.8), 1 of these right; of the others 1"


def test_what_was_heard_is_read_back(tmp_path: Path) -> None:
    rows = drawn(Calibration(1.0, 0.0), 5, "tempo")
    path = tmp_path / "heard.jsonl"
    path.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
    assert bench.remembered(Namespace(rows=path)) == rows


def test_no_sound_to_fit_with_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no soundfont in .*materials\.py"):
        bench.training_sounds(tmp_path)
