"""The rounds of preference tuning, without any music in them: which one is kept, when they end, and why.

The figures alone say so, so that a resumed run, and every one of several processes, decides alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from musetune.evaluation.guards import GuardLimits, PolicyFigures, paired_difference, vetoes


@dataclass(frozen=True)
class RoundRecord:
    """What became of a round.

    Attributes:
        number: From 1 on.
        start: The round that it began with; None: the adapter that was there before.
        reward: A's mean reward on the development sheets; None where there are none.
        gain: The reward above that of the best one until then; None where there are no development sheets.
        objections: Of the guards, against the adapter that was there before.
        kept: Whether it is the best one now.
    """

    number: int
    start: int | None
    reward: float | None
    gain: float | None
    objections: tuple[str, ...]
    kept: bool


@dataclass(frozen=True)
class RoundsOutcome:
    """What all rounds came to.

    Attributes:
        best: Number of the best round; None: none is better than the adapter that was there before.
        records: A record for each round that was trained.
        end: Why there was no further round.
    """

    best: int | None
    records: tuple[RoundRecord, ...]
    end: str

    @property
    def to_judge(self) -> int:
        """The round that the judges hear: the best one, else the one with the highest reward, for the report."""
        if self.best is not None:
            return self.best
        return max(self.records, key=lambda record: (record.reward or 0.0, -record.number)).number


def run_rounds(
    count: int,
    before: PolicyFigures | None,
    prepare: Callable[[int, int | None], bool],
    train: Callable[[int, int | None], PolicyFigures | None],
    *,
    limits: GuardLimits,
    min_gain: float,
    say: Callable[[str], None] = print,
) -> RoundsOutcome:
    """Train round after round, each from the best one until then, while the reward rises and no guard objects.

    Args:
        count: Rounds at most, at least 1.
        before: A's figures of the adapter that was there before; None: there are no development sheets, so that every
            round is kept.
        prepare: (round, round that it begins with or None) → whether there is something to learn from.
        train: (round, round that it begins with or None) → A's figures of what was trained, None without development
            sheets. A round that was done before a kill is read.
        limits: Of the guards.
        min_gain: A round whose gain is less is the last.
        say: Gets a line a round.

    Returns:
        What they came to.

    Raises:
        ValueError: The first round has nothing to learn from.
    """
    best, best_figures, records, end = None, before, list[RoundRecord](), f"rounds={count} are done"
    for number in range(1, count + 1):
        start = best
        if not prepare(number, start):
            end = f"round {number} is left out: no takes are further apart than the margin"
            if not records:
                raise ValueError(f"{end}: draw more requests or candidates, or give a smaller margin")
            break
        figures = train(number, start)
        if before is None or best_figures is None or figures is None:
            best = number
            records.append(RoundRecord(number, start, None, None, (), True))
            continue
        gain = paired_difference(best_figures.reward, figures.reward).mean
        against = vetoes(before, figures, limits)
        kept = gain > 0 and not against
        records.append(RoundRecord(number, start, figures.mean_reward, gain, tuple(against), kept))
        say(" ".join([f"round {number}: A's reward {gain:+.4f}, {'kept' if kept else 'not kept'}.", *against]))
        if kept:
            best, best_figures = number, figures
        if against:
            end = f"a guard objects to round {number}"
            break
        if gain < min_gain:
            end = f"the reward rose by less than min_gain={min_gain:g} in round {number}"
            break
    return RoundsOutcome(best, tuple(records), end)
