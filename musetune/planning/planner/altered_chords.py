"""Alterations that the plan language has no words for, back in the bars that a style's progressions gave."""

from __future__ import annotations

from dataclasses import replace

from musetune.planning.planner.constraints import PlanConstraints
from musetune.planning.planner.language import Plan, PlanBar


def with_altered_chords(plan: Plan, pins: PlanConstraints) -> Plan:
    """A plan with the exact chords of its pinned bars: ``C7#9`` where its words could only say ``C7``.

    Args:
        plan: As it was written under the pins.
        pins: Whose ``content`` may hold chords with ``intervals``.
    """
    sections = tuple((label, len(plan.content[label])) for label in plan.form)
    pinned = pins.content(plan.key, plan.meter, sections)
    altered = {place: bar for place, bar in pinned.items() if any(chord.intervals for chord in bar)}
    if not altered:
        return plan
    content = {
        label: tuple(_exact(bar, altered.get((label, number), ())) for number, bar in enumerate(bars))
        for label, bars in plan.content.items()
    }
    return replace(plan, content=content)


def _exact(written: PlanBar, pinned: PlanBar) -> PlanBar:
    """The pinned bar where it has the chords that were written, else what was written."""
    return pinned if tuple(chord._replace(intervals=()) for chord in pinned) == tuple(written) else written
