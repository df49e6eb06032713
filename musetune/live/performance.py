"""A stream that is heard: chunks are made just in time, so that what a player does is heard soon.

A change counts from the next bar line on whose chunk is not begun. A bar's first chunk is short (OPENING_S), and what
came too late for the bar line is in the bar's second chunk. So a change is heard at the next bar line, or LEAD and a
short chunk later: below a second where a chunk is made in less than half of one and a beat is no longer than that.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

from musetune.live.midi import MidiClock
from musetune.live.sinks import Sink
from musetune.pipeline.stream_score import SheetSource

if TYPE_CHECKING:
    from musetune.pipeline.streaming import StreamChunk, StreamOptions

SLOWER = 1.1  # so much longer than the slowest of the last chunks the next one may take
MARGIN_S = 0.05  # of sound that lies ready beyond that when a chunk is begun
WIDENING_S = 0.05  # more of it after each underrun: the machine is busier than it looks
WIDEST_S = 1.0
RECENT = 16  # chunks that say how long the next one will take
OPENING_S = 0.5  # the first chunk of a bar, where the rest lasts so long too
FIRST = 2  # chunks that are made before anything is heard


@dataclass(frozen=True)
class Performance:
    """How a stream went.

    Attributes:
        seconds: of sound.
        chunks: how many.
        underruns: how many times the listener had to wait.
        look_ahead_s: how long before it is heard a chunk was begun at last: a change that comes earlier before a bar
            line is heard at it.
        ratio: seconds of sound a second of making, but for the first chunks.
    """

    seconds: float
    chunks: int
    underruns: int
    look_ahead_s: float
    ratio: float

    @property
    def summary(self) -> str:
        """One line for people.

        Example:
            >>> Performance(120.0, 60, 1, 1.2, 2.5).summary
            '120 s in 60 chunks, 2.5 times real time, look-ahead 1.2 s, 1 underrun'
        """
        count = f"{self.underruns} underrun" + ("" if self.underruns == 1 else "s")
        pace = f"{self.ratio:.1f} times real time, look-ahead {self.look_ahead_s:.1f} s"
        return f"{self.seconds:.0f} s in {self.chunks} chunks, {pace}, {count}"


class Pace:
    """How long before it is due a chunk must be begun, as the last ones tell.

    The first one of a stream counts, although it encodes the words too: those after it may take little, as long as its
    window holds them.

    Args:
        margin_s: seconds beyond what the next chunk may take.

    Example:
        >>> pace = Pace(margin_s=0.1)
        >>> for made_in_s in (0.5, 0.1, 0.1, 0.4):
        ...     pace.add(made_in_s)
        >>> round(pace.lead_s(), 2)
        0.65
        >>> pace.widen(2)
        >>> round(pace.lead_s(), 2)
        0.75
    """

    def __init__(self, margin_s: float = MARGIN_S) -> None:
        self._margin_s = margin_s
        self._making: deque[float] = deque(maxlen=RECENT)

    def add(self, made_in_s: float) -> None:
        """Take in how long a chunk took."""
        self._making.append(made_in_s)

    def widen(self, times: int = 1) -> None:
        """Begin earlier from now on: the listener had to wait so many times."""
        self._margin_s = min(max(WIDEST_S, self._margin_s), self._margin_s + times * WIDENING_S)

    def lead_s(self) -> float:
        """Return seconds of sound that must lie ready when the next chunk is begun."""
        return self._margin_s + SLOWER * max(self._making, default=0.0)


def perform(
    pipe: Any,
    source: SheetSource,
    sink: Sink,
    *,
    prompt: str = "",
    stereo: bool = True,
    clock: MidiClock | None = None,
    seconds: float | None = None,
    stopped: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda text: None,
    **options: Unpack[StreamOptions],
) -> Performance:
    """Stream ``source`` into ``sink`` until it ends.

    Args:
        pipe: a MuseTunePipeline.
        source: as of ``pipe.stream``.
        sink: where the sound goes; it is closed.
        prompt: words.
        stereo: as of ``pipe.stream``.
        clock: told of every passage that is written.
        seconds: end after the passage that reaches it.
        stopped: whether to end before the next chunk.
        say: told of underruns as they happen.
        options: as of ``pipe.stream``; of them ``opening_seconds`` is OPENING_S where it is not given.

    Returns:
        How it went.
    """
    options.setdefault("opening_seconds", OPENING_S)
    pace = Pace()
    waiting: list[StreamChunk] = []
    heard_s = made_s = timed_s = all_s = lead_s = 0.0
    count = underruns = 0
    try:
        for chunk in pipe.stream(source, prompt, stereo=stereo, **options):
            length_s = chunk.audio.shape[-1] / chunk.sampling_rate
            pace.add(chunk.made_in_s)
            heard_s, all_s, count = heard_s + length_s, all_s + chunk.made_in_s, count + 1
            if count > FIRST:
                made_s, timed_s = made_s + chunk.made_in_s, timed_s + length_s
            waiting.append(chunk)
            done = seconds is not None and chunk.passage.end_s >= seconds
            if count >= FIRST or done:
                _write(waiting, sink, clock)
                waiting.clear()
                if sink.underruns > underruns:
                    pace.widen(sink.underruns - underruns)
                    underruns = sink.underruns
                    say(f"underrun {underruns} at {chunk.passage.start_s:.1f} s: a chunk took {chunk.made_in_s:.1f} s")
                lead_s = pace.lead_s()
                while sink.buffered_s() > lead_s and not stopped() and not done:
                    time.sleep(0.01)
            if done:
                break
        _write(waiting, sink, clock)
    finally:
        sink.close()
        if clock is not None:
            clock.close()
    ratio = timed_s / made_s if made_s else heard_s / all_s if all_s else 0.0  # of a short one, the first count too
    return Performance(heard_s, count, sink.underruns, lead_s + sink.latency_s, ratio)


def _write(chunks: list[StreamChunk], sink: Sink, clock: MidiClock | None) -> None:
    for chunk in chunks:
        if clock is not None:
            clock.schedule(chunk.passage)
        sink.write(chunk.audio if chunk.audio.ndim == 2 else chunk.audio[None])
