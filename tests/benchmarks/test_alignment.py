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


def test_a_table_has_a_row_for_each_arm() -> None:
    records = {
        name: [{"together": value, "clap": 0.5, "seconds": 3.0}, {"together": value, "clap": 0.5, "seconds": 5.0}]
        for name, value in (("before", 0.5), ("tuned", 0.75))
    }
    far = {name: {"MFCC": 100.0, "YAMNet": None} for name in records}
    text = alignment.tables(records, far, ["together"])
    assert "| before | 50.0 (50–50) | 50.0 (50–50) | 100.0 | — | 4.0 |" in text
    assert "| tuned | +25.0 (+25.0 to +25.0) | +0.0 (+0.0 to +0.0) |" in text


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
