"""What speaks against a tuned adapter, and how much takes differ."""

from __future__ import annotations

import numpy as np
import pytest
from small import SR, tones

from musetune import LeadSheet
from musetune.evaluation.bootstrap import Mean
from musetune.evaluation.diversity import diversity, onset_pattern
from musetune.evaluation.guards import GuardLimits, PolicyFigures, decide, paired_difference, vetoes
from musetune.evaluation.rewards import RequestedTake

BEFORE = PolicyFigures({"a": 0.5, "b": 0.7}, {"chords": 3.0, "onsets": 0.4, "timbre": 2.0}, 0.6, 100.0)
UP, DOWN = Mean(0.1, 0.05, 0.15, 12), Mean(-0.05, -0.1, -0.01, 12)


def figures(**changes) -> PolicyFigures:  # type: ignore[no-untyped-def]
    return PolicyFigures(**vars(BEFORE) | changes)


def test_each_guard_objects_alone() -> None:
    limits = GuardLimits()
    assert vetoes(BEFORE, BEFORE, limits) == []
    for changed, word in (
        ({"diversity": {"chords": 1.0, "onsets": 0.4, "timbre": 2.0}}, "diversity of chords fell to 33 %"),
        ({"text": 0.5}, "text similarity fell from 0.600 to 0.500"),
        ({"frechet": 120.0}, "Fréchet distance to renderings rose from 100 to 120"),
    ):
        (objection,) = vetoes(BEFORE, figures(**changed), limits)
        assert word in objection
    assert vetoes(BEFORE, figures(text=0.59, frechet=104.0), limits) == []
    assert PolicyFigures.from_json(vars(BEFORE)) == BEFORE
    assert BEFORE.mean_reward == pytest.approx(0.6)


def test_a_reward_that_rises_while_the_judges_fall_is_hacked() -> None:
    verdict = decide(UP, DOWN, [])
    assert verdict.hacked
    assert not verdict.accepted
    assert "hacked" in verdict.reason
    assert decide(UP, UP, []).accepted
    assert not decide(UP, UP, ["diversity fell"]).accepted
    assert not decide(DOWN, DOWN, []).accepted
    assert not decide(DOWN, DOWN, []).hacked
    assert "not installed" in decide(UP, None, []).reason
    assert not decide(UP, None, []).accepted


def test_differences_are_of_the_same_requests() -> None:
    assert paired_difference({"a": 0.1, "b": 0.3}, {"a": 0.2, "b": 0.4}).mean == pytest.approx(0.1)
    with pytest.raises(ValueError, match="not the same"):
        paired_difference({"a": 0.1}, {"b": 0.1})


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
