"""The report, the charts and the intervals."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from clips import perfect, play

from musetune.display.evaluation_charts import draw_chart, draw_table
from musetune.evaluation import Report, adherence, bootstrap_mean, load_test_sheets, reachable_share, report
from musetune.evaluation.adherence import sheet_tempo
from musetune.evaluation.references import render_sheet
from musetune.symbols import BeatGrid, LeadSheet
from musetune.symbols.estimate import Estimate
from musetune.theory.harmony.comparison import chords_agree

SHEET = LeadSheet.from_progression(
    ["C", "G7/B", "Am"], key="C major", bpm=100, time_signature="3/4", duration_seconds=6.0
)


def make_report(sheet: LeadSheet, heard: Estimate, settings: dict | None = None) -> dict:
    return Report(sheet, heard, "ideal", adherence(sheet, heard)).to_json(settings)


def test_report_of_a_perfect_listener_matches_everywhere() -> None:
    report = make_report(SHEET, perfect(SHEET), settings={"seed": 7})
    assert report["overall"] == 1.0
    assert all(row["match"] and row["share"] == 1.0 for row in report["chords"])
    assert report["beats"]["mean_absolute_ms"] == 0.0
    assert report["settings"] == {"seed": 7}
    assert json.loads(json.dumps(report, allow_nan=False)) == report


SEVENTHS = LeadSheet.from_progression(["Cmaj7", "G7", "Am", "F"], key="C major", bpm=120, duration_seconds=8.0)


def score_of(heard: Estimate, sheet: LeadSheet = SEVENTHS, follow: tuple[str, ...] | None = None) -> Report:
    return Report(sheet, heard, "ideal", adherence(sheet, heard), follow)


def test_each_part_that_was_asked_counts_alike() -> None:
    right = perfect(SEVENTHS)
    triads = replace(right, labels=["C:maj", "G:maj", "A:min", "F:maj"])
    assert score_of(right).parts == {"chords with sevenths": 1, "beats": 1, "bar lines": 1, "key": 1}
    without = score_of(triads)
    assert without.scores["majmin"] == 1
    assert without.parts["chords with sevenths"] == pytest.approx(0.5)
    assert without.score == pytest.approx(0.875)
    no_bars = score_of(replace(triads, downbeats_s=right.downbeats_s + 0.5, key="A minor"))
    assert no_bars.parts["bar lines"] == 0
    assert no_bars.score == pytest.approx((0.5 + 1 + 0 + 0.3) / 4)
    assert no_bars.summary == "45 % overall: chords with sevenths 50 %, beats 100 %, bar lines 0 %, key 30 %"
    assert no_bars.to_json()["parts"] == no_bars.parts


def test_a_seventh_that_nobody_asked_for_is_no_triad_less() -> None:
    plain = LeadSheet.from_progression(["C", "F"], key="C major", bpm=120, duration_seconds=4.0)
    more = replace(perfect(plain), labels=["C:maj7", "F:min"])
    assert score_of(more, plain).parts["chords"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("follow", "names"),
    [
        (("chords",), ["chords with sevenths"]),
        (("function", "key"), ["key"]),
        (("function",), []),
        (("beats", "genre"), ["beats", "bar lines"]),
        (("genre",), []),
    ],
)
def test_only_what_the_request_follows_is_scored(follow: tuple[str, ...], names: list[str]) -> None:
    made = score_of(perfect(SEVENTHS), follow=follow)
    assert list(made.parts) == names
    assert made.score == (1.0 if names else 0.0)


def test_power_chords_need_their_root_alone() -> None:
    riff = LeadSheet.from_progression(["C5", "F5"], key="C major", bpm=120, duration_seconds=4.0)
    heard = replace(perfect(riff), labels=["C:min", "G:maj"])
    assert score_of(heard, riff).parts["chords"] == pytest.approx(0.5)


def test_report_names_what_was_heard_instead() -> None:
    other = LeadSheet.from_progression(
        ["C", "Em", "Am"], key="C major", bpm=100, time_signature="3/4", duration_seconds=6.0
    )
    rows = make_report(SHEET, perfect(other))["chords"]
    assert [row["heard"] for row in rows[:3]] == ["C:maj", "E:min", "A:min"]
    assert [row["match"] for row in rows[:3]] == [True, False, True]


def test_missing_confidence_is_null() -> None:
    heard = perfect(SHEET)
    report = make_report(SHEET, replace(heard, confidence=np.full(len(heard.labels), np.nan)))
    assert {row["confidence"] for row in report["chords"]} == {None}
    json.dumps(report, allow_nan=False)


def test_beat_deviations_are_signed_milliseconds() -> None:
    heard = perfect(SHEET)
    late = make_report(SHEET, replace(heard, beats_s=heard.beats_s + 0.02))["beats"]
    assert set(late["deviation_ms"]) == {20.0}
    far = make_report(SHEET, replace(heard, beats_s=heard.beats_s[:1]))["beats"]
    assert far["deviation_ms"][0] == 0.0
    assert far["deviation_ms"][1:] == [None] * (len(far["asked_s"]) - 1)


@pytest.mark.parametrize(
    ("asked", "heard", "agree"),
    [
        ("C:maj", "C:7", True),
        ("C:maj", "C:min", False),
        ("C:dim", "C:dim7", True),
        ("C:maj", "G:maj", False),
        ("N", "N", True),
        ("C:maj", "N", False),
    ],
)
def test_agreement_of_chords(asked: str, heard: str, agree: bool) -> None:
    assert chords_agree(asked, heard) is agree


@pytest.mark.slow
def test_chart_shows_more_where_something_was_heard(tmp_path) -> None:
    wave = play(SHEET)
    plain = draw_chart(tmp_path / "a" / "plain.png", wave, 16000, SHEET)
    both = draw_chart(tmp_path / "both.png", wave, 16000, SHEET, perfect(SHEET))
    assert plain.read_bytes().startswith(b"\x89PNG")
    assert both.read_bytes() != plain.read_bytes()


def test_bootstrap_interval_holds_the_mean_and_shrinks() -> None:
    rng = np.random.default_rng(1)
    few, many = (bootstrap_mean(rng.uniform(size=n).tolist()) for n in (10, 1000))
    assert few.low < few.mean < few.high
    assert many.high - many.low < few.high - few.low
    assert (bootstrap_mean([0.2, None, 0.4]).mean, bootstrap_mean([0.2, None, 0.4]).n) == (pytest.approx(0.3), 2)
    assert bootstrap_mean([None]) is None
    with pytest.raises(ValueError, match="finite"):
        bootstrap_mean([0.1, float("nan")])


def test_reachable_share() -> None:
    shares = reachable_share(np.array([0.1, 0.9]), np.array([0.5, 0.5]), np.array([0.9, 0.9]))
    assert shares[0] == pytest.approx(0.5)
    assert np.isnan(shares[1])


def test_table_is_drawn(tmp_path) -> None:
    table = {
        "floor": {"majmin": bootstrap_mean([0.1, 0.2])},
        "adapter": {"majmin": bootstrap_mean([0.6, 0.7]), "key": None},
    }
    assert draw_table(tmp_path / "t.png", table, ["majmin", "key"], title="t").stat().st_size > 5000


def test_own_analyser_reports_a_plain_clip() -> None:
    sheet = LeadSheet.from_progression(["C", "F", "G", "C"], key="C major", bpm=120, duration_seconds=8.0)
    made = report(play(sheet), 16000, sheet)
    assert made.score > 0.6
    assert made.listener == "musetune.analysis"
    shifted = report(play(sheet), 16000, sheet.transpose(6))
    assert shifted.score < made.score - 0.15
    assert shifted.parts["chords"] < made.parts["chords"] - 0.5


@pytest.mark.parametrize("faster", [1.07, 1 / 1.07, 1.2])
def test_own_report_is_not_told_the_tempo(faster: float) -> None:
    """Played off by more than the accepted 4 %, and heard so."""
    test = next(test for test in load_test_sheets() if str(test.sheet.meter) == "4/4" and 80 < test.sheet.bpm < 120)
    grid = BeatGrid(tuple(time / faster for time in test.sheet.grid.times_s))
    off = replace(test.sheet, grid=grid)
    made = report(render_sheet(off, 16000, seed=test.seed), 16000, test.sheet)
    assert made.scores["tempo_acc1"] == 0
    assert made.estimate.bpm == pytest.approx(faster * sheet_tempo(test.sheet), rel=0.02)
    right = report(render_sheet(test.sheet, 16000, seed=test.seed), 16000, test.sheet)
    assert right.scores["tempo_acc1"] == 1


def test_own_report_follows_rubato() -> None:
    swaying = [test for test in load_test_sheets() if np.ptp(np.diff(test.sheet.beats_s)) > 1e-6]
    made = [report(render_sheet(test.sheet, 16000, seed=test.seed), 16000, test.sheet) for test in swaying]
    assert np.mean([one.scores["beat_f"] for one in made]) > 0.8
    assert np.mean([one.scores["tempo_acc1"] for one in made]) > 0.8


def test_one_tempo_is_asked_in_report_and_scores() -> None:
    times = np.cumsum([0.0, *np.full(6, 0.6), *np.full(5, 0.45)])
    swaying = replace(SHEET, grid=BeatGrid(tuple(times.tolist())))
    asked = make_report(swaying, perfect(swaying))["tempo"]["asked_bpm"]
    assert asked == pytest.approx(sheet_tempo(swaying), abs=0.01)
    assert asked != pytest.approx(swaying.bpm, abs=0.5)


def test_unknown_listener_is_an_error() -> None:
    with pytest.raises(ValueError, match="did you mean 'judges'"):
        report(np.zeros(16000, np.float32), 16000, SHEET, listener="judge")
