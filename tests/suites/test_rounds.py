"""The rounds of preference tuning by scripted figures: what is kept, what is begun with, and when they end."""

from __future__ import annotations

import pytest

from musetune.evaluation.guards import GuardLimits, PolicyFigures, decide, objections, paired_difference, read_guards
from musetune.suites.rounds import RoundsOutcome, run_rounds

NAMES = "abc"
ENOUGH, LITTLE = 0.05, 0.001


def figures(reward: float, chords: float = 3.0) -> PolicyFigures:
    flat = dict.fromkeys(NAMES, 0.5)
    return PolicyFigures(dict.fromkeys(NAMES, reward), {"chords": dict.fromkeys(NAMES, chords)}, flat, {}, {})


def run(
    script: list[PolicyFigures | None], before: PolicyFigures | None, *, min_gain: float = 0.002, dry: int = 0
) -> tuple[RoundsOutcome, list[int | None], list[str]]:
    """The outcome of scripted rounds, what each began with, and what was said; round `dry` has no pairs."""
    starts: list[int | None] = []
    said: list[str] = []

    def train(number: int, start: int | None) -> PolicyFigures | None:
        starts.append(start)
        return script[number - 1]

    outcome = run_rounds(
        len(script),
        before,
        lambda number, start: number != dry,
        train,
        limits=GuardLimits(),
        min_gain=min_gain,
        say=said.append,
    )
    return outcome, starts, said


BEFORE = figures(0.5)


@pytest.mark.parametrize(
    ("script", "best", "starts", "end"),
    [
        # each gains: all are done, each begins with the one before
        ([figures(0.55), figures(0.6), figures(0.65)], 3, [None, 1, 2], "rounds=3 are done"),
        # the second gains too little: it is kept, and the last
        ([figures(0.55), figures(0.5505), figures(0.9)], 2, [None, 1], "less than min_gain=0.002 in round 2"),
        # the second falls: the first stays
        ([figures(0.55), figures(0.54), figures(0.9)], 1, [None, 1], "less than min_gain=0.002 in round 2"),
        # the first falls: none is best
        ([figures(0.49), figures(0.9)], None, [None], "less than min_gain=0.002 in round 1"),
        # the first changes nothing: none is best
        ([figures(0.5), figures(0.9)], None, [None], "less than min_gain=0.002 in round 1"),
        # a guard objects to the first, though it gains
        ([figures(0.6, chords=1.0), figures(0.9)], None, [None], "a guard objects to round 1"),
        # to the second: the first stays
        ([figures(0.55), figures(0.9, chords=1.0), figures(0.9)], 1, [None, 1], "a guard objects to round 2"),
    ],
)
def test_the_best_round_gains_and_no_guard_objects(
    script: list[PolicyFigures | None], best: int | None, starts: list[int | None], end: str
) -> None:
    outcome, began, said = run(script, BEFORE)
    assert (outcome.best, began) == (best, starts)
    assert end in outcome.end
    assert len(said) == len(outcome.records) == len(starts)
    assert [record.start for record in outcome.records] == starts
    # what the judges hear, for the report, is accepted by no judge where no round is the best one
    judged = script[outcome.to_judge - 1]
    assert judged is not None
    against = objections(read_guards(BEFORE, judged, GuardLimits()))
    rise = paired_difference(BEFORE.reward, dict.fromkeys(NAMES, 0.9))
    verdict = decide(paired_difference(BEFORE.reward, judged.reward), rise, against)
    assert verdict.accepted == (best is not None)


def test_a_run_goes_on_from_the_best_round_where_it_may() -> None:
    outcome, starts, _ = run([figures(0.55), figures(0.54), figures(0.6)], BEFORE, min_gain=-1.0)
    assert (outcome.best, starts) == (3, [None, 1, 1])
    outcome, starts, _ = run([figures(0.45), figures(0.44), figures(0.51)], BEFORE, min_gain=-1.0)
    assert (outcome.best, starts) == (3, [None, None, None])  # none was better than the adapter before
    outcome, _, _ = run([figures(0.45), figures(0.47), figures(0.46)], BEFORE, min_gain=-1.0)
    assert (outcome.best, outcome.to_judge) == (None, 2)


def test_a_round_without_pairs_is_left_out() -> None:
    outcome, starts, _ = run([figures(0.55), None], BEFORE, dry=2)
    assert (outcome.best, starts) == (1, [None])
    assert "round 2 is left out" in outcome.end
    with pytest.raises(ValueError, match=r"round 1 is left out.*smaller margin"):
        run([figures(0.55)], BEFORE, dry=1)


def test_without_development_sheets_every_round_is_kept() -> None:
    outcome, starts, said = run([None, None, None], None)
    assert (outcome.best, starts, said) == (3, [None, 1, 2], [])
    assert [record.gain for record in outcome.records] == [None] * 3


def test_equal_figures_decide_alike() -> None:
    script = [figures(0.55), figures(0.6), figures(0.6, chords=1.0)]
    assert run(script, BEFORE) == run(script, BEFORE)
