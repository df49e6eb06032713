"""Drums of jazz: time on the ride, the hi-hat's pedal on the weak beats, the snare in conversation."""

from __future__ import annotations

from collections.abc import Iterator

from musetune.planning.rules.grooves.bar import GrooveBar, Hit


def swing_ride(bar: GrooveBar) -> Iterator[Hit]:
    """Swing: the ride on every beat, a swung skip before each strong one, the pedal on 2 and 4, a feathered kick."""
    yield from _ride(bar, 0.4 if bar.sparse else 1.0)
    if not bar.sparse:
        yield from (Hit(pulse.start, "kick", 0.28) for pulse in bar.pulses)
    yield from _chatter(bar, 0.25, "snare")


def bebop_ride(bar: GrooveBar) -> Iterator[Hit]:
    """Fast swing: the ride's skip left out at random, kick and snare drop accents between the beats."""
    yield from _ride(bar, skips=0.4 if bar.sparse else 0.85 if bar.full else 0.65)
    yield from _chatter(bar, 0.45, "snare")
    yield from _chatter(bar, 0.3, "kick")


def jazz_waltz(bar: GrooveBar) -> Iterator[Hit]:
    """Swing in three: the ride with a skip after 2, the pedal on 2 and where there is one on 3."""
    yield Hit(0, "kick", 0.6)
    for index, pulse in enumerate(bar.pulses):
        yield Hit(pulse.start, "ride", 0.8 if index == 0 else 0.6)
        if index % 3 == 1 and not bar.sparse:
            yield Hit(pulse.start + pulse.steps - 2, "ride", 0.5)
        if index % 3:
            yield Hit(pulse.start, "pedal", 0.5)
    yield from _chatter(bar, 0.2, "snare")


def brushes(bar: GrooveBar) -> Iterator[Hit]:
    """Brushes: a stir on every beat, a swung tap before the strong ones, the pedal on 2 and 4."""
    for pulse in bar.pulses:
        weak = pulse.quarter % 2 == 1
        yield Hit(pulse.start, "brush", 0.5 if weak else 0.35)
        if weak:
            yield Hit(pulse.start, "pedal", 0.4)
        if bar.full or (weak and not bar.sparse):
            yield Hit(pulse.start + pulse.steps - 2, "brush", 0.25)
    if not bar.sparse:
        yield Hit(0, "kick", 0.3)


def two_beat_jazz(bar: GrooveBar) -> Iterator[Hit]:
    """Early jazz: kick on 1 and 3, a choked cymbal on 2 and 4, rolls of the snare on the off-beats."""
    return bar.hits(kick="X.......X.......", hat="....X.......X...", snare="x...x.x.x...x.xg")


def _ride(bar: GrooveBar, skips: float = 1.0) -> Iterator[Hit]:
    chance = bar.chance
    for pulse in bar.pulses:
        weak = pulse.quarter % 2 == 1
        yield Hit(pulse.start, "ride", 0.8 if weak else 0.65)
        if weak:
            yield Hit(pulse.start, "pedal", 0.55)
            if chance.random() < skips:  # drawn in every bar, so that a fuller one has the strokes of a sparser
                yield Hit(pulse.start + pulse.steps - 2, "ride", 0.55)


def _chatter(bar: GrooveBar, share: float, drum: str) -> Iterator[Hit]:
    """Soft strokes between the beats, a ``share`` of them where a bar is as full as usual."""
    chance = bar.chance
    share *= 0.4 if bar.sparse else 1.7 if bar.full else 0.9
    for pulse in bar.pulses:
        drawn, loudness = chance.random(), chance.random()
        if drawn < share:
            yield Hit(pulse.start + pulse.steps - 2, drum, 0.3 + 0.25 * loudness)
