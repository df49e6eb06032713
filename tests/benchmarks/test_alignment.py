"""benchmarks/alignment.py and alignment_listener.py: tables whose values are known, and what the listener likes."""

from __future__ import annotations

from pathlib import Path

import alignment
import alignment_listener as listener
import numpy as np
import pytest
import torch
from small import SR, tones

from musetune import LeadSheet
from musetune.datasets import Clip, DatasetInfo, DatasetWriter, TextEmbedding
from musetune.evaluation.preferences import PairBatch
from musetune.evaluation.rewards import RequestedTake
from musetune.evaluation.testset import TestSheet

SHEET = LeadSheet.parse("| C | F |", bpm=120, duration_seconds=4.0)


def test_differences_are_paired_and_none_is_left_out() -> None:
    before = [{"majmin": 0.5}, {"majmin": 0.7}, {"majmin": None}]
    after = [{"majmin": 0.6}, {"majmin": 0.8}, {"majmin": 0.9}]
    found = alignment.difference(after, before, "majmin")
    assert found is not None
    assert (round(found.mean, 6), found.n) == (0.1, 2)
    assert alignment.cell(found, sign=True) == "+10.0 (+10.0 to +10.0)"
    assert alignment.cell(None) == "—"
    assert alignment.difference(after, before, "key") is None


def test_a_sheet_counts_once_however_many_takes_it_has(tmp_path: Path) -> None:
    """Each take at a seed of its own; what a judge could not tell of one take is left out of the sheet's mean."""
    bench = alignment.Bench.__new__(alignment.Bench)
    bench.out, bench.takes, bench.shifts, bench.rate = tmp_path, 3, {"again": 1000}, SR
    seeds: list[int] = []

    def play(adapter: str, test: TestSheet, seed: int) -> np.ndarray:
        seeds.append(seed)
        return tones(SHEET, 4.0)

    values = iter([{"majmin": 0.5, "key": 1.0}, {"majmin": 0.75, "key": None}, {"majmin": 1.0, "key": 0.5}] * 2)
    bench.play, bench.judged = play, lambda wave, test: next(values)  # type: ignore[method-assign]
    test = TestSheet("one", "", "pop", 7, SHEET)
    found = bench.mean_record("tuned", test)
    assert (found["majmin"], found["key"]) == (0.75, 0.75)
    assert bench.mean_record("again", test)["majmin"] == 0.75
    assert seeds == [7, 1_000_007, 2_000_007, 1007, 1_001_007, 2_001_007]
    assert len(list((tmp_path / "tuned").glob("*.wav"))) == 3
    bench.judged = None  # type: ignore[assignment, method-assign]
    assert bench.mean_record("tuned", test) == found  # records are read


def test_tuned_arms_are_compared_with_before_and_with_best_of_4() -> None:
    means = {alignment.BEFORE: 0.5, alignment.BEST: 0.625, "tuned": 0.75}
    records = {
        name: [{"together": value, "clap": 0.5, "seconds": 3.0}, {"together": value, "clap": 0.5, "seconds": 5.0}]
        for name, value in means.items()
    }
    rng = np.random.default_rng(0)

    def points(shift: float) -> dict[str, list[np.ndarray]]:
        return {"MFCC": [shift + rng.normal(size=(20, 3)) for _ in range(6)], "YAMNet": [np.zeros((2, 40))] * 6}

    shifts = {alignment.REAL: 0.0, alignment.BEFORE: 2.0, alignment.BEST: 3.0, "tuned": 1.0}
    changes = alignment.frechet_changes({name: points(shift) for name, shift in shifts.items()})
    assert changes.keys() == {
        (alignment.BEST, alignment.BEFORE),
        ("tuned", alignment.BEFORE),
        ("tuned", alignment.BEST),
    }
    alone = alignment.frechet_changes({name: points(shifts[name]) for name in shifts if name != alignment.BEST})
    assert alone.keys() == {("tuned", alignment.BEFORE)}
    lines = alignment.tables(records, changes, ["together"]).splitlines()
    assert lines[2].startswith("| before | 50.0 (50–50) | 50.0 (50–50) | 1")  # three times two squared
    assert lines[2].endswith("| — | 4.0 |")
    assert "| adapter − before | together | clap | MFCC, % | YAMNet, % |" in lines
    (tuned,) = [line for line in lines if line.startswith("| tuned | +25.0 (+25.0 to +25.0)")]
    shares = changes["tuned", alignment.BEFORE]["MFCC"]
    assert shares is not None
    assert -1 < shares.rise.low < shares.rise.mean < shares.rise.high < -0.5
    assert tuned.endswith(f"| {alignment.cell(shares.rise, sign=True)} | — |")
    at = lines.index("| adapter − best of 4 | together | clap | MFCC, % | YAMNet, % |")
    assert [line.split(" | ")[1] for line in lines[at + 2 :]] == ["+12.5 (+12.5 to +12.5)"]  # the tuned arm alone


def test_the_listener_likes_it_dark_and_sparse() -> None:
    dark, bright = (np.sin(2 * np.pi * hertz * np.arange(2 * SR) / SR) for hertz in (200, 4000))
    busy = tones(SHEET, 4.0)
    sparse = tones(SHEET, 4.0, clicks=0.0)
    taste = listener.darkness_and_sparseness
    assert taste(dark, SR) > taste(bright, SR)
    assert taste(sparse, SR) > taste(busy, SR)


def test_stillness_is_best_where_nothing_moves() -> None:
    still, moving = LeadSheet.parse("| C | C |", bpm=120, duration_seconds=4.0), SHEET
    values = [listener.stillness(RequestedTake(tones(sheet, 4.0, clicks=0.0), SR, sheet)) for sheet in (still, moving)]
    assert 1 >= values[0] > values[1] > 0


@pytest.mark.slow
def test_pairs_are_two_takes_of_one_request(tmp_path: Path) -> None:
    text = TextEmbedding(torch.zeros(1, 8), torch.ones(1, dtype=torch.long), torch.zeros(2, 8))
    with DatasetWriter(tmp_path / "takes", DatasetInfo("nano", "", 16, 16, 16, 0.128)) as writer:
        for name in "ab":
            clips = [
                Clip(f"{name}#{i}", name, "", 0.0, 2.048, "pop", SHEET.crop(0, 2.048).to_json(), provenance={"seed": i})
                for i in range(2)
            ]
            writer.add(clips, torch.randn(2, 16, 16, 16), {"": text, "pop": text})
    assert listener.make_pairs(tmp_path / "takes", tmp_path / "batch", 5) == 2
    for pair in PairBatch(tmp_path / "batch").pairs().values():
        assert sorted(side.origin["seed"] for side in pair.sides) == [0, 1]
        assert pair.request["prompt"] == "pop"
