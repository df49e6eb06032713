"""How soon is a change heard? Chords change at random times while `musetune live` or the page's Live tab plays.

    python benchmarks/live_changes.py [--driver perform page] [--bars 1.0 1.3 2.0 2.3 3.0] [--seconds 40] [--no-fast]

Bars of 4/4 that last so many seconds go round; at random times another chord is held, as a key on the keyboard or a pad
in the page would have it. `perform` is what `musetune live` calls, with a sink that takes sound in time; `page` is the
page's LiveSession with a client that schedules chunks and tells what it heard as live.js does. Neither the sound card's
latency nor the network's is in it.

Heard: seconds from the change until what is heard has the new chord. In time: at the first bar line after the change,
or within a second. Ratio: seconds of sound a second of making. Gaps: how often the listener had to wait.

CLOCK is the wall's, or the processor's (default): then only this process's own work and the waits that it asks for let
time go by, and waits take no time. So the figures are those of one thread on a machine with nothing else to do, also
where it has other things to do, but for what those take from its caches.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from musetune import Chord, LeadSheet, MuseTunePipeline
from musetune.live import performance, sinks
from musetune.live.controls import LiveControls
from musetune.live.few_steps import load_few_steps
from musetune.pipeline import streaming
from musetune.pipeline.loading import pick_device, quiet
from musetune.pipeline.stream_score import StreamPassage
from musetune.serve.live_session import LiveSession, LiveSettings

CHORDS = ("C", "F", "G", "Am", "Dm", "Em")
LEAD_S, BEAT_S, TOLD_S = 0.15, 0.02, 0.4  # of live.js: before the first sound, between looks, between reports


class WallClock:
    """Time as it is."""

    now = staticmethod(time.monotonic)
    monotonic = perf_counter = now
    sleep = staticmethod(time.sleep)


class ProcessorClock:
    """Time that goes on with this process's work and by its waits, which take none."""

    def __init__(self) -> None:
        self._slept = 0.0

    def now(self) -> float:
        """Seconds of work and of waits so far."""
        return time.process_time() + self._slept

    monotonic = perf_counter = now

    def sleep(self, seconds: float) -> None:
        """Let seconds go by."""
        self._slept += seconds


@dataclass
class Change:
    """A chord that is asked for.

    Attributes:
        at: by the clock.
        chord: its name.
        position_s: what was heard of the stream then.
        passages: how many had been begun.
    """

    at: float
    chord: str
    position_s: float = 0.0
    passages: int = 0


@dataclass
class Player:
    """Hands that change the chord at random times, and what the stream made of it.

    Attributes:
        pipe: the pipeline.
        clock: seconds that go on.
        bar_s: length of a bar.
    """

    pipe: Any
    clock: Any
    bar_s: float
    random: random.Random
    hold: Callable[[str], None] = lambda chord: None
    heard_at: Callable[[float], float] = lambda at: 0.0
    changes: list[Change] = field(default_factory=list)
    passages: list[StreamPassage] = field(default_factory=list)
    lines_s: list[float] = field(default_factory=list)
    made_s: list[float] = field(default_factory=list)
    _next: Change | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pipe, name)  # it stands for the pipeline

    def stream(self, source: Any, prompt: str, **options: Any) -> Iterator[Any]:
        """Stream as the pipeline does, and note what is played."""

        def ask(position: Any) -> Any:
            self.catch_up()
            if position.beat == 0:
                self.lines_s.append(position.seconds)
            return source(position)

        options |= {"generator": torch.Generator().manual_seed(0)}
        for chunk in self.pipe.stream(ask, prompt, **options):
            self.passages.append(chunk.passage)
            self.made_s.append(chunk.made_in_s)
            yield chunk

    def catch_up(self) -> None:
        """Make the changes whose time has come; nobody asks for them sooner than this."""
        now = self.clock.now()
        if self._next is None:
            self._next = Change(now + self.random.uniform(2.0, 4.0) * self.bar_s, self.random.choice(CHORDS[1:]))
        while self._next.at <= now:
            change = self._next
            change.position_s, change.passages = self.heard_at(change.at), len(self.passages)
            self.hold(change.chord)
            self.changes.append(change)
            others = [name for name in CHORDS if name != change.chord]
            wait_s = self.random.uniform(2.0, 4.0) * self.bar_s
            self._next = Change(max(change.at + wait_s, now), self.random.choice(others))

    def delays(self) -> list[tuple[float, bool]]:
        """Seconds until each change is heard, and whether that is at the first bar line."""
        found = []
        for change in self.changes:
            wanted = Chord.parse(change.chord)
            played = (p for p in self.passages[change.passages :] if p.sheet.chords[0].chord == wanted)
            if (passage := next(played, None)) is None:
                continue  # it came at the end
            first = next((line for line in self.lines_s if line > change.position_s), None)
            at_first = first is not None and abs(passage.start_s - first) < 1e-3
            found.append((passage.start_s - change.position_s, at_first))
        return found


def chart(bar_s: float) -> LeadSheet:
    """A bar of 4/4 that lasts so many seconds."""
    return LeadSheet.parse("| C |", bpm=240 / bar_s)


def by_perform(player: Player, seconds: float) -> int:
    """Drive what `musetune live` calls; returns how often the listener waited."""
    controls = LiveControls(chart(player.bar_s))
    sink = sinks.WavSink(io.BytesIO(), 48000, 2, in_time=True)

    def heard_at(at: float) -> float:
        return 0.0 if sink._began is None else max(0.0, at - sink._began)

    player.hold, player.heard_at = (lambda name: controls.hold(Chord.parse(name))), heard_at
    return performance.perform(player, controls, sink, prompt="pop with piano", seconds=seconds).underruns


class Waiter(threading.Event):
    """Stands for the session's event, on which it waits for the next chunk to be due."""

    def __init__(self, clock: Any, client: PageClient) -> None:
        super().__init__()
        self._clock, self._client = clock, client

    def wait(self, timeout: float | None = None) -> bool:
        """Let seconds go by, while the client tells what it heard."""
        if timeout:
            self._clock.sleep(timeout)
        self._client.tell()
        return self.is_set()


class PageClient:
    """A browser: lays chunks end to end on its clock and tells the server what it heard, as live.js does."""

    def __init__(self, session: LiveSession, clock: Any) -> None:
        self._session, self._clock = session, clock
        self._next = self._scheduled = self._told = 0.0
        self.gaps = 0

    def lay(self, seconds: float) -> None:
        """Take in a chunk."""
        now = self._clock.now()
        if self._next < now + 0.005:
            self.gaps += self._scheduled > 0
            self._next = now + LEAD_S
        self._next += seconds
        self._scheduled += seconds

    def heard(self, at: float) -> float:
        """What of the stream is heard then."""
        return max(0.0, self._scheduled - max(0.0, self._next - at))

    def tell(self) -> None:
        """Tell the server every TOLD_S."""
        now = self._clock.now()
        if now - self._told >= TOLD_S:
            self._told = now
            self._session.hear(self.heard(now), self.gaps)


def by_page(player: Player, seconds: float) -> int:
    """Drive the page's session; returns how often the listener waited."""
    settings = LiveSettings("C", bpm=240 / player.bar_s, prompt="pop with piano")
    session = LiveSession(player, settings, player.clock.now)  # type: ignore[arg-type]
    client = PageClient(session, player.clock)
    session._left = Waiter(player.clock, client)

    def hold(chord: str) -> None:
        nonlocal settings
        settings = replace(settings, chords=chord)
        session.change(settings)

    player.hold, player.heard_at = hold, client.heard
    for chunk in session.chunks():
        client.lay(len(chunk.audio) / chunk.rate)
        client.tell()
        if player.passages[-1].end_s >= seconds:
            session.stop()
    return client.gaps


DRIVERS = {"perform": by_perform, "page": by_page}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", nargs="+", choices=DRIVERS, default=list(DRIVERS))
    parser.add_argument("--bars", nargs="+", type=float, default=[1.0, 1.3, 2.0, 2.3, 3.0], help="seconds")
    parser.add_argument("--seconds", type=float, default=40, help="of music for each")
    parser.add_argument("--fast", action=argparse.BooleanOptionalAction, default=True, help="with the adapter fast")
    parser.add_argument("--clock", choices=("processor", "wall"), default="processor")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path, help="JSON of every change")
    args = parser.parse_args()
    quiet()
    pipe = MuseTunePipeline.from_pretrained("nano", adapter="theory").to(pick_device(args.device))
    pipe.load_upsampler()
    pipe.set_progress_bar_config(disable=True)
    if args.fast:
        load_few_steps(pipe)
    clock = WallClock() if args.clock == "wall" else ProcessorClock()
    for module in (performance, sinks, streaming):
        module.time = clock  # type: ignore[attr-defined]
    records = []
    for name in args.driver:
        for bar_s in args.bars:
            player = Player(pipe, clock, bar_s, random.Random(args.seed))
            gaps = DRIVERS[name](player, args.seconds)
            records.append(record(name, player, gaps))
            print(row(records[-1]), flush=True)
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {torch.get_num_threads()} threads"
    print(f"\n{args.clock} clock, {machine}\n")
    print(table(records))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(records, indent=1))


def record(driver: str, player: Player, gaps: int) -> dict[str, Any]:
    """What is kept of a run."""
    heard_s = sum(passage.sheet.duration_s for passage in player.passages[2:])
    return {
        "driver": driver,
        "bar_s": player.bar_s,
        "ratio": heard_s / sum(player.made_s[2 : len(player.passages)]),
        "made_s": player.made_s,
        "delays": player.delays(),
        "gaps": gaps,
    }


COLUMNS = ("driver", "bar, s", "ratio", "chunk, s (95th)", "changes", "heard after, s (median)", "95th", "longest")
COLUMNS += ("at the first bar line", "within 1 s", "in time, %", "gaps")


def row(one: dict[str, Any]) -> list[Any]:
    """Cells of a run."""
    delays = np.array(one["delays"] or [(np.nan, False)], dtype=float)
    seconds, first = delays[:, 0], delays[:, 1] > 0
    soon = seconds <= 1.0
    chunk_s = float(np.percentile(one["made_s"][2:], 95))
    times = [float(np.median(seconds)), float(np.percentile(seconds, 95)), float(seconds.max())]
    cells: list[Any] = [one["driver"], one["bar_s"], round(one["ratio"], 2), round(chunk_s, 2), len(one["delays"])]
    cells += [round(value, 2) for value in times]
    return [*cells, int(first.sum()), int(soon.sum()), round(100 * float((first | soon).mean())), one["gaps"]]


def table(records: list[dict[str, Any]]) -> str:
    """One row a run."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|---" * len(COLUMNS) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row(one))) + " |" for one in records)]) + "\n"


if __name__ == "__main__":
    main()
