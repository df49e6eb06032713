"""The protocol's records and its table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from clips import play

from musetune.evaluation import draw_scatter, load_test_sheets, missing_judges
from musetune.evaluation.obedience import ROWS, genre_of, judge_clip, lost, markdown, tabulate, three_meters
from musetune.evaluation.testset import TestSheet
from musetune.theory import LeadSheet

SHEET = LeadSheet.from_progression(["C", "G", "D", "F"], key="C major", bpm=120, duration_seconds=8.0, genre="pop")


def clips(**scores: float) -> dict:
    return {
        condition.replace("_", " "): {
            "a": {"scores": dict.fromkeys(ROWS, value)},
            "b": {"scores": dict.fromkeys(ROWS, value)},
        }
        for condition, value in scores.items()
    }


@pytest.mark.judge
@pytest.mark.skipif(bool(missing_judges()), reason=f"not installed: {', '.join(missing_judges())}")
def test_one_listening_serves_several_sheets() -> None:
    asked = TestSheet("a", "none", "pop music", 0, SHEET)
    other = replace(asked, id="b", sheet=replace(SHEET.transpose(6), genre=None))
    (right, wrong), heard = judge_clip(play(SHEET), 16000, [asked, other])
    assert right["scores"]["majmin"] > 0.8 > 0.2 > wrong["scores"]["majmin"]
    assert right["musetune"]["scores"]["majmin"] > wrong["musetune"]["scores"]["majmin"] + 0.4
    assert right["scores"]["beat_f"] == wrong["scores"]["beat_f"] > 0.9
    assert right["genre"]["heard"] == wrong["genre"]["heard"]
    assert wrong["scores"]["genre"] is None  # none was asked
    assert len(heard.beats_s) >= 15


def test_silence_has_no_genre() -> None:
    assert genre_of(np.zeros(32000, np.float32), 16000) is None


def test_quick_suite_has_one_sheet_a_metre() -> None:
    three = three_meters(load_test_sheets())
    assert sorted(str(test.sheet.meter) for test in three) == ["3/4", "4/4", "6/8"]


def test_table_holds_means_and_the_share_of_the_reachable() -> None:
    made = clips(floor_A=0.1, adapter=0.7, ceiling_B=0.9)
    text = markdown(tabulate(made), {"adapter": 12.0}, 2)
    assert "| majmin | 10.0 (10–10) | 70.0 (70–70) | 90.0 (90–90) | 75 % |" in text
    assert "| clap | 10.0 (10–10) | 70.0 (70–70) | 90.0 (90–90) | — |" in text  # no share of ours
    assert "| Fréchet distance | — | 12 | — | — |" in text
    assert "Chordino" in text


def test_table_without_floor_claims_no_share() -> None:
    text = markdown(tabulate(clips(floor_B=0.1, adapter=0.7)), {}, 2)
    assert "| majmin | 10.0 (10–10) | 70.0 (70–70) | — |" in text
    assert "Share:" not in text


def test_loss_is_counted_clip_by_clip() -> None:
    made = clips(floor_A=0.9, adapter=0.7)
    made["floor A"]["b"]["scores"]["genre"] = None
    assert lost(made, "genre").mean == pytest.approx(0.2)
    assert lost(made, "genre").n == 1


def test_scatter_has_a_panel_a_quantity(tmp_path) -> None:
    x = np.linspace(0, 1, 5)
    one = draw_scatter(tmp_path / "one.png", {"majmin": {"adapter": (x, x)}}, axes=("ours", "theirs"))
    two = draw_scatter(
        tmp_path / "two.png", {m: {"adapter": (x, x**2)} for m in ("majmin", "beat_f")}, axes=("ours", "theirs")
    )
    assert one.read_bytes().startswith(b"\x89PNG")
    assert two.stat().st_size > one.stat().st_size
