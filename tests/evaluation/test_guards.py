"""What speaks against a tuned adapter, and how much takes differ."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from small import SR, tones

from musetune import LeadSheet
from musetune.evaluation.bootstrap import Mean, bootstrap_ratio
from musetune.evaluation.diversity import diversity, onset_pattern
from musetune.evaluation.guards import (
    GuardLimits,
    PolicyFigures,
    decide,
    objections,
    paired_difference,
    read_guards,
    read_measures,
    vetoes,
)
from musetune.evaluation.rewards import RequestedTake

NAMES = "abcdefgh"
LIMITS = GuardLimits()
UP, LEVEL, DOWN = Mean(0.1, 0.05, 0.15, 12), Mean(0.0, -0.05, 0.05, 12), Mean(-0.05, -0.1, -0.01, 12)


def values(middle: float, spread: float = 0.0) -> dict[str, float]:
    return dict(zip(NAMES, middle + np.linspace(-spread, spread, len(NAMES)), strict=True))


def points(shift: float, seed: int, count: int = 10) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: shift + rng.normal(size=(count, 4)) for name in NAMES}


BEFORE = PolicyFigures(
    values(0.6, 0.1),
    {"chords": values(3.0, 1.0), "onsets": values(0.4, 0.1), "timbre": values(2.0)},
    values(0.6, 0.1),
    {},
    {},
)


def figures(**changes) -> PolicyFigures:  # type: ignore[no-untyped-def]
    return PolicyFigures(**vars(BEFORE) | changes)


def test_each_guard_objects_alone() -> None:
    assert vetoes(BEFORE, BEFORE, LIMITS) == []
    near, far, real = points(1.0, 0), points(2.0, 0), points(0.0, 1)
    fewer = dict(BEFORE.diversity) | {"chords": {name: value / 3 for name, value in BEFORE.diversity["chords"].items()}}
    lower = {name: value - 0.1 for name, value in BEFORE.text.items()}
    for changed, start, end in (
        ({"diversity": fewer}, "diversity of chords: 3.000 → 1.000, 67 % worse (67 to 67)", "5 % is allowed"),
        ({"text": lower}, "text similarity: 0.600 → 0.500, 0.100 worse (0.100 to 0.100)", "0.02 is allowed"),
        ({"timbre": far}, "Fréchet distance to renderings by MFCC: ", "5 % is allowed"),
    ):
        heard = {"timbre": near, "renderings": real} if "timbre" in changed else {}
        (objection,) = vetoes(figures(**heard), figures(**heard | changed), LIMITS)
        assert objection.startswith(start)
        assert objection.endswith(end)
    assert vetoes(BEFORE, figures(text={n: v - 0.01 for n, v in BEFORE.text.items()}), LIMITS) == []
    assert BEFORE.mean_reward == pytest.approx(0.6)


def test_what_may_be_noise_is_called_so_and_still_objects() -> None:
    """A mean loss over its limit that a few sheets alone bear: refused, and said to be unsure."""
    one = dict(BEFORE.text) | {"a": BEFORE.text["a"] - 0.5, "b": BEFORE.text["b"] + 0.1}
    (objection,) = vetoes(BEFORE, figures(text=one), LIMITS)
    assert objection.endswith("it cannot be told from noise")
    (reading,) = [r for r in read_guards(BEFORE, figures(text=one), LIMITS) if r.name == "text similarity"]
    assert reading.loss.low < 0 < LIMITS.text < reading.loss.mean
    assert reading.to_json()["sure"] is False


def test_too_little_audio_tells_no_distance() -> None:
    few = {"timbre": points(2.0, 0, count=4), "renderings": points(0.0, 1, count=4)}  # 32 points of 4 dimensions
    assert not [r for r in read_guards(figures(**few), figures(**few), LIMITS) if "Fréchet" in r.name]
    assert not [r for r in read_guards(figures(timbre={}), figures(timbre={}), LIMITS) if "Fréchet" in r.name]


def measures(**scores: Mapping[str, float]) -> dict[str, dict[str, float]]:
    return {name: {measure: own[name] for measure, own in scores.items()} for name in NAMES}


def test_a_measure_of_the_judges_objects_where_its_interval_bears_it_out() -> None:
    before = measures(majmin=values(0.8, 0.1), downbeat_f=values(0.6, 0.1), key=values(0.9))
    luck = dict(zip(NAMES, (0.0, 1.0, 0.2, 0.9, 0.1, 0.8, 0.3, 0.7), strict=True))
    after = measures(majmin=values(0.76, 0.1), downbeat_f=luck, key=values(0.895))
    readings = {reading.name: reading for reading in read_measures(before, after, LIMITS)}
    assert readings["judges' downbeat_f"].loss.mean > LIMITS.measure  # ten points, by chance
    assert not readings["judges' downbeat_f"].objects
    assert not readings["judges' key"].objects  # sure, and half a point
    (objection,) = objections(list(readings.values()))
    assert objection.startswith("judges' majmin: 0.800 → 0.760, 0.040 worse")
    absent = {name: {} for name in NAMES}
    assert read_measures(absent, absent, LIMITS) == []


@pytest.mark.parametrize(
    ("reward", "judges", "against", "accepted", "hacked", "said"),
    [
        (UP, UP, [], True, False, "rose by 10.0 points"),
        (UP, Mean(0.01, -0.01, 0.03, 12), [], True, False, "cannot be told from noise"),
        (UP, UP, ["diversity fell"], False, False, "diversity fell"),
        (UP, LEVEL, [], False, False, "judges' score did not rise"),
        (UP, DOWN, [], False, True, "the reward was hacked"),
        (UP, DOWN, ["text fell"], False, True, "hacked; text fell"),
        (UP, None, [], False, False, "not installed"),
        (LEVEL, UP, [], False, False, "the reward did not rise"),
        (LEVEL, LEVEL, [], False, False, "the reward did not rise"),
        (LEVEL, DOWN, [], False, False, "judges' score did not rise (-5.0"),
        (LEVEL, None, [], False, False, "not installed"),
        (DOWN, UP, [], False, False, "the reward did not rise (-5.0 points)"),
        (DOWN, LEVEL, [], False, False, "the reward did not rise"),
        (DOWN, DOWN, [], False, False, "the reward did not rise"),
        (DOWN, None, [], False, False, "not installed"),
    ],
)
def test_only_a_gain_by_both_that_no_guard_objects_to_is_accepted(
    reward: Mean, judges: Mean | None, against: list[str], accepted: bool, hacked: bool, said: str
) -> None:
    verdict = decide(reward, judges, against)
    assert (verdict.accepted, verdict.hacked) == (accepted, hacked)
    assert said in verdict.reason


def test_differences_are_of_the_same_requests() -> None:
    assert paired_difference({"a": 0.1, "b": 0.3}, {"a": 0.2, "b": 0.4}).mean == pytest.approx(0.1)
    with pytest.raises(ValueError, match="not the same"):
        paired_difference({"a": 0.1}, {"b": 0.1})


def test_a_ratio_is_of_means_and_drawn_in_pairs() -> None:
    found = bootstrap_ratio([1.0, 2.0, 9.0], [2.0, 4.0, 18.0])
    assert (found.mean, found.low, found.high) == (0.5, 0.5, 0.5)  # as each pair is, whichever are drawn
    found = bootstrap_ratio([1.0, 3.0], [2.0, 2.0])
    assert (found.mean, found.low, found.high) == (1.0, 0.5, 1.5)
    assert bootstrap_ratio([0.0], [0.0]).mean == 1.0
    with pytest.raises(ValueError, match="no pairs"):
        bootstrap_ratio([], [])


@pytest.mark.slow
def test_takes_that_are_alike_have_no_diversity() -> None:
    sheet = LeadSheet.parse("| C | F | G | C |", bpm=120, duration_seconds=8.0)
    same = RequestedTake(tones(sheet, 8.0), SR, sheet)
    alike = diversity([same, same])
    assert alike["onsets"] == alike["timbre"] == 0
    assert alike["chords"] >= 3
    still = LeadSheet.parse("| C | C | C | C |", bpm=120, duration_seconds=8.0)
    collapsed = RequestedTake(tones(still, 8.0, clicks=0.0), SR, sheet)
    other = diversity([same, collapsed])
    assert other["chords"] < alike["chords"]
    assert other["onsets"] > 0
    assert other["timbre"] > 0
    assert onset_pattern(same)[::4].sum() > 12 > 2 * np.delete(onset_pattern(same), np.s_[::4]).sum()
    with pytest.raises(ValueError, match="two or more"):
        diversity([same])


def test_one_request_bears_nothing_out() -> None:
    """A measure that means something on one sheet alone has an interval without a width."""
    before, after = ({"a": {"lead_chroma": value}} for value in (0.60, 0.55))
    (reading,) = read_measures(before, after, LIMITS)
    assert reading.loss.low == reading.loss.mean > LIMITS.measure
    assert not reading.objects
    assert reading.text.endswith("it cannot be told from noise")
