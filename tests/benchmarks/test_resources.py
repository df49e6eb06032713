"""The arithmetic of resources, held against sums done by hand."""

from __future__ import annotations

import pytest
from resources import Measured, Prices, annotation_needs, main, steps_for, training_needs

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
