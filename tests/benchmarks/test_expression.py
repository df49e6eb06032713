"""The figures of benchmarks/expression.py: 1 where all comes as asked, less where another sheet's request stands."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from musetune import LeadSheet
from musetune.analysis.expression import hear_expression
from musetune.evaluation import TestSheet
from musetune.symbols.expression import Expression


@pytest.fixture(scope="module")
def benchmark() -> Any:
    import importlib.util
    import sys

    path = Path(__file__).parents[2] / "benchmarks" / "expression.py"
    spec = importlib.util.spec_from_file_location("expression_benchmark", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def sheets(n: int, meter: str = "4/4") -> list[TestSheet]:
    sheet = LeadSheet.parse("| C | G |", bpm=100, time_signature=meter, duration_seconds=10.0)
    return [TestSheet(str(i), "a song", "pop", i, sheet) for i in range(n)]


def test_requests_differ_and_compound_meters_have_no_swing(benchmark: Any) -> None:
    asked = [benchmark.request(test, index)[0] for index, test in enumerate(sheets(8))]
    assert len(set(asked)) == 8
    assert all(one.loudness_db[-1][0] == 10.0 for one in asked)
    assert benchmark.request(sheets(1, "6/8")[0], 0)[0].swing is None


def test_what_is_asked_can_be_done(benchmark: Any) -> None:
    (test,) = sheets(1)
    asked, wave = benchmark.request(test, 3)
    heard = hear_expression(wave, benchmark.RATE, test.sheet)
    assert heard.note_density == pytest.approx(asked.note_density, rel=0.15)  # a fade hides or shows some
    middles = np.arange(0.5, 10.0, 1.0)
    assert np.abs(heard.loudness_at(middles) - asked.loudness_at(middles)).max() < 3
    assert 0 <= benchmark.heard_complexity(wave) <= 1
    assert benchmark.heard_complexity(np.zeros(32000)) is None


def test_all_as_asked_is_1_and_of_another_sheet_is_not(benchmark: Any) -> None:
    records = []
    for index, test in enumerate(sheets(12)):
        asked, _ = benchmark.request(test, index)
        obeyed = {"majmin": 0.9, "beat_f": None}
        quiet = Expression(((0, -30.0 + index % 3),), 6.0, 0.1).to_json()
        record = {"request": asked.to_json(), "seconds": 10.0, "asked": asked.to_json() | obeyed}
        records.append(record | {"rendered": asked.to_json() | obeyed, "absent": quiet | obeyed})
    rows = benchmark.figures(records)
    for name in ("loudness level", "loudness curve", *benchmark.SCALARS):
        assert rows["asked"][name].mean == pytest.approx(1.0)
        assert rows["rendered"][name].mean == pytest.approx(1.0)
        other = rows["asked of another sheet"][name]
        assert other is None or other.mean < 0.8, name
    assert rows["asked"]["curve off by, dB"].mean == pytest.approx(0.0)
    assert rows["absent"]["note_density"] is None  # always the same
    assert rows["absent"]["loudness curve"] is None  # flat
    assert rows["asked"]["majmin"].mean == pytest.approx(0.9)
    assert rows["asked"]["beat_f"] is None
    text = benchmark.table(rows)
    assert text.count("\n") == 6
    assert "1.00 (1.00 to 1.00), n 12" in text


def test_a_correlation_has_its_interval(benchmark: Any) -> None:
    rng = np.random.default_rng(0)
    asked = rng.normal(size=200)
    heard = 0.6 * asked + math.sqrt(1 - 0.36) * rng.normal(size=200)
    found = benchmark.correlate([*zip(asked.tolist(), heard.tolist(), strict=True), (1.0, None)])
    assert found.n == 200
    assert found.low < 0.6 < found.high
    assert 0.1 < found.high - found.low < 0.3
    assert benchmark.correlate([(1.0, 2.0), (2.0, 3.0)]) is None
