"""A stream that is heard: chunks are made just in time, so that what a player does is heard soon."""

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

MARGIN = 1.5  # a chunk is begun when so many times its making lies ready
RECENT = 8  # chunks that say how long the next one will take
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
        options: as of ``pipe.stream``.

    Returns:
        How it went.
    """
    making: deque[float] = deque(maxlen=RECENT)
    waiting: list[StreamChunk] = []
    heard_s = made_s = timed_s = all_s = lead_s = 0.0
    count = underruns = 0
    try:
        for chunk in pipe.stream(source, prompt, stereo=stereo, **options):
            length_s = chunk.audio.shape[-1] / chunk.sampling_rate
            heard_s, all_s, count = heard_s + length_s, all_s + chunk.made_in_s, count + 1
            if count > FIRST:
                making.append(chunk.made_in_s)
                made_s, timed_s = made_s + chunk.made_in_s, timed_s + length_s
            waiting.append(chunk)
            done = seconds is not None and chunk.passage.end_s >= seconds
            if count >= FIRST or done:
                _write(waiting, sink, clock)
                waiting.clear()
                if sink.underruns > underruns:
                    underruns = sink.underruns
                    say(f"underrun {underruns} at {chunk.passage.start_s:.1f} s: a chunk took {chunk.made_in_s:.1f} s")
                lead_s = MARGIN * max(making, default=chunk.made_in_s)
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
