"""The protocol's records and its table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from clips import perfect, play

from musetune.display.evaluation_charts import draw_scatter
from musetune.evaluation import adherence, bootstrap_mean, load_test_sheets, missing_judges
from musetune.evaluation.bootstrap import cell
from musetune.evaluation.obedience import (
    ROWS,
    aims,
    by_meter,
    genre_cost,
    genre_of,
    judge_clip,
    markdown,
    markdown_aims,
    markdown_meters,
    mismatched_sheets,
    tabulate,
    three_meters,
)
from musetune.evaluation.testset import TestSheet
from musetune.symbols import LeadSheet

SHEET = LeadSheet.from_progression(["C", "G", "D", "F"], key="C major", bpm=120, duration_seconds=8.0, genre="pop")
COMPOUND = LeadSheet.from_progression(["C", "G"], key="C major", bpm=80, time_signature="6/8", duration_seconds=8.0)


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


def test_quick_suite_has_one_sheet_a_meter() -> None:
    three = three_meters(load_test_sheets())
    assert sorted(str(test.sheet.meter) for test in three) == ["3/4", "4/4", "6/8"]


def test_strangers_are_songs_of_all_distances() -> None:
    """No pairing that fixes the distance of keys, and with it the score.

    A perfect performance of the strangers scores above nothing.
    """
    tests = load_test_sheets()
    others = mismatched_sheets(tests, tests)
    assert sorted(other.id for other in others) == [test.id for test in tests]
    assert all(other.source != test.source for other, test in zip(others, tests, strict=True))
    shifts = {(b.sheet.key.tonic_pc - a.sheet.key.tonic_pc) % 12 for a, b in zip(tests, others, strict=True)}
    assert len(shifts) >= 8
    scores = [adherence(b.sheet, perfect(a.sheet))["majmin"] for a, b in zip(tests, others, strict=True)]
    assert 0 < np.mean(scores) < 0.2
    few = tests[5:12]
    assert sorted(other.id for other in mismatched_sheets(tests, few)) == [test.id for test in few]
    assert all(other.id != test.id for other, test in zip(mismatched_sheets(tests, few), few, strict=True))


def test_table_holds_means_and_says_what_its_columns_are() -> None:
    made = clips(floor_A=0.1, floor_B=0.2, adapter=0.7, ceiling_B=0.9)
    text = markdown(tabulate(made), {"adapter": 12.0}, 2)
    assert "| majmin | 10.0 (10–10) | 20.0 (20–20) | 70.0 (70–70) | 90.0 (90–90) |" in text
    assert "| Fréchet distance | — | — | 12 | — |" in text
    assert "Chordino" in text
    for told in (
        "one seed each;",
        "Floor A: the base",
        "one seeded shuffle",
        "Ceiling B: that rendering",
    ):
        assert told in text
    assert "Ceiling A" not in markdown(tabulate(made), {}, 2).split("Judges")[0]
    assert "one seed each (best of 4: four)" in markdown(tabulate(made | {"best of 4": made["adapter"]}), {}, 2)


def test_aims_are_shares_and_differences_of_the_same_sheets() -> None:
    made = clips(floor_A=0.1, floor_B=0.2, adapter=0.7, ceiling_B=0.9)
    made["ceiling B"]["b"]["scores"]["key"] = None
    found = aims(made)
    assert found["majmin"]["share of the reachable"].mean == pytest.approx(0.75)
    assert found["majmin"]["ceiling B − adapter"].mean == pytest.approx(0.2)
    assert found["majmin"]["floor B − floor A"].mean == pytest.approx(0.1)
    assert (found["key"]["ceiling B − adapter"].n, found["key"]["floor B − floor A"].n) == (1, 2)
    assert "| majmin | 75.0 (75–75) | 20.0 (20–20) | 10.0 (10–10) |" in markdown_aims(found)
    assert aims(clips(floor_A=0.9, adapter=0.7, ceiling_B=0.9))["root"]["share of the reachable"] is None
    assert markdown_aims(aims(clips(adapter=0.7))) == ""


def test_aims_are_paired() -> None:
    """Sheets differ much, the conditions on each of them by the same.

    The difference is sure, though both means are not.
    """
    values = np.linspace(0, 0.8, 20)
    made = {
        name: {str(i): {"scores": dict.fromkeys(ROWS, float(v + more))} for i, v in enumerate(values)}
        for name, more in (("floor A", 0.0), ("floor B", 0.05), ("adapter", 0.1), ("ceiling B", 0.2))
    }
    row = aims(made)["majmin"]
    assert row["ceiling B − adapter"].high - row["ceiling B − adapter"].low < 1e-9
    assert (row["share of the reachable"].low, row["share of the reachable"].high) == pytest.approx((0.5, 0.5))
    assert tabulate(made)["adapter"]["majmin"].high - tabulate(made)["adapter"]["majmin"].low > 0.1


def test_rhythm_is_told_apart_by_meter() -> None:
    tests = [TestSheet("a", "none", "pop", 0, SHEET), TestSheet("b", "none", "pop", 0, COMPOUND)]
    made = clips(adapter=0.7)
    made["adapter"]["b"]["scores"]["beat_f"] = 0.2
    found = by_meter(made, tests)
    assert found["simple metres"]["adapter"]["beat_f"].mean == pytest.approx(0.7)
    assert found["6/8"]["adapter"]["beat_f"].mean == pytest.approx(0.2)
    text = markdown_meters(found)
    assert "| beat_f, 6/8 | 20.0 (20–20) |" in text
    assert "| beat_f, simple metres | 70.0 (70–70) |" in text
    assert list(by_meter({"adapter": {"a": made["adapter"]["a"]}}, tests)) == ["simple metres"]


def test_loss_is_counted_clip_by_clip_without_the_genre_told() -> None:
    made = clips(floor_A=0.9, adapter=0.8, no_genre=0.7)
    made["floor A"]["b"]["scores"]["genre"] = None
    assert genre_cost(made, "genre").mean == pytest.approx(0.2)
    assert genre_cost(made, "genre").n == 1


def test_scatter_has_a_panel_a_quantity(tmp_path) -> None:
    x = np.linspace(0, 1, 5)
    one = draw_scatter(tmp_path / "one.png", {"majmin": {"adapter": (x, x)}}, axes=("ours", "theirs"))
    two = draw_scatter(
        tmp_path / "two.png", {m: {"adapter": (x, x**2)} for m in ("majmin", "beat_f")}, axes=("ours", "theirs")
    )
    assert one.read_bytes().startswith(b"\x89PNG")
    assert two.stat().st_size > one.stat().st_size


def test_cell_is_in_per_cent() -> None:
    assert cell(bootstrap_mean([0.25, 0.25])) == "25.0 (25–25)"
    assert cell(None) == "—"
