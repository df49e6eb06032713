"""How soon a change is heard, with a pipeline that takes a known time for a chunk: what the benchmark measures, and
what playing live promises, from the command line and in the page.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import live_changes
import numpy as np
import pytest

from musetune.live import performance, sinks
from musetune.pipeline.stream_score import StreamScore
from musetune.pipeline.streaming import StreamChunk

RATE = 48000


class Clock:
    """Seconds that go on where somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    monotonic = now

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Silence:
    """A pipeline that takes ``making_s`` for a chunk of silence."""

    def __init__(self, clock: Clock, making_s: float) -> None:
        self.clock, self.making_s, self.adapters, self.upsampler = clock, making_s, {}, object()

    def stream(self, source: Any, prompt: str, stereo: bool, opening_seconds: float, **_: Any) -> Iterator[StreamChunk]:
        score = StreamScore(source, prompt, 3.48, opening_seconds)
        while (passage := score.next()) is not None:
            made_in_s = 0.07 if 0 < passage.start_s < 3.0 else self.making_s  # the first window holds these
            self.clock.sleep(made_in_s)
            audio = np.zeros((2, round(passage.sheet.duration_s * RATE)), np.float32)
            yield StreamChunk(audio, RATE, passage.start_s, passage, made_in_s)


@pytest.mark.parametrize("driver", live_changes.DRIVERS)
@pytest.mark.parametrize("bar_s", [1.0, 1.3, 2.0, 2.3])
def test_every_change_is_heard_at_the_next_bar_line_or_within_a_second(
    driver: str, bar_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    for module in (performance, sinks):
        monkeypatch.setattr(module, "time", clock)
    player = live_changes.Player(Silence(clock, 0.2), clock, bar_s, random.Random(3))
    gaps = live_changes.DRIVERS[driver](player, 120.0)
    found = live_changes.record(driver, player, gaps)
    cells = dict(zip(live_changes.COLUMNS, live_changes.row(found), strict=True))
    assert cells["gaps"] == 0
    assert cells["changes"] >= 120 / bar_s / 4 - 2
    assert cells["in time, %"] == 100, found["delays"]
    late = [delay_s for delay_s, at_line in found["delays"] if not at_line]
    assert late, "none came too late for a bar line: this tests nothing"
    assert len(late) < len(found["delays"]) / 2 if bar_s >= 2 else True


def test_a_machine_that_does_not_keep_up_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    for module in (performance, sinks):
        monkeypatch.setattr(module, "time", clock)
    player = live_changes.Player(Silence(clock, 1.2), clock, 2.0, random.Random(3))
    found = live_changes.record("perform", player, live_changes.by_perform(player, 60.0))
    assert found["ratio"] == pytest.approx(58 / (56 * 1.2 + 2 * 0.07))  # but for the first bar
    assert found["gaps"] > 10
    assert "| perform | 2.0 | 0.86 | 1.2 |" in live_changes.table([found])
