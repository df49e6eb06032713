"""benchmarks/fast.py: a sheet counts once however many clips of it there are, and differences are within a sheet."""

from __future__ import annotations

from typing import Any

import fast
import numpy as np
import pytest


def clip(majmin: float | None, clap: float) -> dict[str, Any]:
    scores = dict.fromkeys(fast.MEASURES, majmin)
    return {"scores": scores, "clap": clap, "timbre": np.zeros((2, 3)).tolist()}


def test_sheets_are_averaged_over_their_seeds_and_compared_with_themselves() -> None:
    slow = [clip(0.5, 0.6), clip(None, 0.4), clip(0.7, 0.6), clip(None, 0.4)]  # two sheets, two seeds in turn
    quick = [clip(0.4, 0.5), clip(0.9, 0.4), clip(0.6, 0.5), clip(0.9, 0.4)]
    mine, theirs = (fast.by_sheet(records, 2) for records in (quick, slow))
    assert theirs["majmin"] == [pytest.approx(0.6), None]
    assert mine["yamnet"] == [None, None]
    found = fast.differences(mine, theirs)
    assert found["majmin"] is not None
    assert (found["majmin"].mean, found["majmin"].n) == (pytest.approx(-0.1), 1)
    assert found["clap"] is not None
    assert (found["clap"].mean, found["clap"].n) == (pytest.approx(-0.05), 2)
    assert found["yamnet"] is None


def test_too_little_audio_for_a_distance_is_a_dash() -> None:
    settings = [fast.Setting("sheet", False, 20, ""), fast.Setting("sheet", True, 2, "hash")]
    clips = {setting: [clip(0.5, 0.6)] for setting in settings}
    rows = [fast.row(setting, clips, 1, [np.zeros((2, 3))]) for setting in settings]
    assert fast.difference_table(rows).splitlines()[2:] == [
        "| sheet | fast | 2 | +0.0 (0.0 to 0.0) | +0.0 (0.0 to 0.0) | +0.0 (0.0 to 0.0) | +0.0 (0.0 to 0.0) | "
        "+0.0 (0.0 to 0.0) | — | — |"
    ]
