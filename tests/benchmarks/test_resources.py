"""The arithmetic of resources, held against sums done by hand."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from resources import Measured, Prices, annotation_needs, main, options_table, steps_for, training_needs

MEASURED = Measured(music_per_core=100, efficiency=0.5, row_kb=10, row_mb_in_flight=1, latent_kb=64, tflop_a_clip=0.4)
PRICES = Prices(core_hour=0.1, gpu_hour=3, gb_month=0.02)


def test_a_collection() -> None:
    needs = annotation_needs(10_000, 4, 10, MEASURED, PRICES, mb_a_minute=2)
    assert needs.core_hours == pytest.approx(10_000 * 240 / 50 / 3600)
    assert needs.hours == pytest.approx(needs.core_hours / 10)
    assert needs.tables_gb == pytest.approx(0.1024)
    assert needs.latents_gb == pytest.approx(10_000 * 240 / 10.24 * 65536 / 1e9)
    assert needs.music_gb == pytest.approx(80)
    assert needs.object_store_gb == pytest.approx(0.08)
    assert needs.cost == pytest.approx(needs.core_hours * 0.1 + (needs.tables_gb + needs.latents_gb) * 0.02)


def test_a_training() -> None:
    needs = training_needs(50_000, 16, 100, 0.25, 4, MEASURED, PRICES)
    assert needs.pflop == pytest.approx(320)
    assert needs.gpu_hours == pytest.approx(320_000 / 25 / 3600)
    assert needs.hours == pytest.approx(needs.gpu_hours / 4)
    assert needs.cost == pytest.approx(needs.gpu_hours * 3)
    assert steps_for(clips=100, passes=3, clips_a_step=16) == 19


def test_ten_times_the_songs_take_ten_times_the_time() -> None:
    one, ten = (annotation_needs(count, 4, 1, MEASURED, PRICES) for count in (1_000, 10_000))
    assert ten.core_hours == pytest.approx(10 * one.core_hours)
    assert ten.cost == pytest.approx(10 * one.cost)


def test_figures_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match=r"utilisation=1\.5 is more than 1"):
        training_needs(1, 1, 1, 1.5, 1, MEASURED, PRICES)
    with pytest.raises(ValueError, match="cores=0 is not a number over 0"):
        annotation_needs(1, 4, 0, MEASURED, PRICES)
    with pytest.raises(ValueError, match="songs=-1"):
        annotation_needs(-1, 4, 1, MEASURED, PRICES)


def test_the_command_takes_prices(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["resources.py", "--songs", "1000", "--core-hour", "0", "--gb-month", "0"])
    main()
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| 1,000 "))
    assert row.endswith("| 0.00 |")


def test_the_page_shows_what_the_command_prints(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All tables of docs/scale.md that are computed, in their order; and its prose the figure that they go out from."""
    monkeypatch.setattr("sys.argv", ["resources.py"])
    main()
    page = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()
    tables = capsys.readouterr().out.strip().split("\n\n")
    assert len(tables) == 4
    places = [page.find(table) for table in tables]
    assert -1 not in places, tables[places.index(-1)]
    assert places == sorted(places)
    assert f"{Measured().music_per_core} seconds of music" in page


def test_options_are_sums_of_the_rest() -> None:
    place = {"cores": 1, "peak_tflops": 100, "utilisation": 0.25}
    asked = argparse.Namespace(minutes=4, clips=16, passes=10, steps=50_000, **place, **vars(PRICES))
    rows = [line.strip("| ").split(" | ") for line in options_table(asked, MEASURED).splitlines()[2:]]
    assert [row[0][:5] for row in rows] == ["**A**", "**B**", "**C**", "**D**"]
    annotating, gpu = 10_000 * 240 / 50 / 3600, (320_000 + 234_375 * MEASURED.encoding_tflop) / 25 / 3600
    assert rows[2][2] == f"{annotating:.2f}"
    assert rows[2][5] == f"{gpu:.1f}"
    assert rows[2][7] == f"{annotating * 0.1 + gpu * 3:.2f}"
    assert float(rows[3][6]) == pytest.approx(float(rows[3][5]) / 4, abs=0.1)
    assert rows[1][4] == f"{4000 * MEASURED.theory_step_s * 2 / 3600:.1f}"
