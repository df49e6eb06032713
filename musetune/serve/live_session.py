"""Music that goes on while somebody changes chords, tempo, genres and loudness. No gradio and no HTTP here.

A chunk is made as late as it can be, so that a change is heard at the next bar line, or, where it came too late for
that, in the bar's second chunk: when what lies ready unheard has become so short that the next chunk takes nearly as
long to make (`musetune.live.performance`).
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from musetune.formats.chart_text import pop_name
from musetune.live.bar_source import BarSource
from musetune.live.few_steps import few_steps_of
from musetune.live.performance import OPENING_S, Pace
from musetune.serve.remote_pipeline import LOCAL_ONLY, RemotePipeline
from musetune.serve.work import CHORDS, NAME, WORDS, check_number, genres_of
from musetune.symbols import BPM_RANGE, LeadSheet

if TYPE_CHECKING:
    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.pipeline.stream_score import StreamInput, StreamPosition

log = logging.getLogger(__name__)
LOUDNESS_DB = (-30.0, 6.0)
MIX = (0.0, 1.0)
MARGIN_S = 0.1  # of sound that lies ready beyond what the next chunk may take: the way to the client and back is in it
AT_FIRST = 2  # chunks that are made at once
ABSENCE_S = 4.0  # who has not said for so long what was heard is gone
BEAT_S = 0.02  # how often it is looked whether the next chunk is due
UNATTENDED_S = 3600.0  # a session in which nothing was changed for so long gives way to the next client
BUSY = (
    "The pipeline is at work: somebody plays live, or a take is being made. One at a time; try again when it is done, "
    "or press Stop or Cancel there."
)


class BusyError(Exception):
    """The pipeline is at work for somebody else."""


@dataclass(frozen=True)
class LiveSettings:
    """What is played from the next bar line on, or from the next chunk on.

    Attributes:
        chords: a chord, or a progression that goes round.
        key: what degrees count from.
        meter: "4/4".
        bpm: beats a minute.
        prompt: words.
        mix: a weight, 0…1, for each genre adapter.
        loudness_db: −30 to 6; 0 as the model plays.
    """

    chords: str = "I"
    key: str = "C major"
    meter: str = "4/4"
    bpm: float = 120.0
    prompt: str = ""
    mix: Mapping[str, float] = field(default_factory=dict)
    loudness_db: float = 0.0

    @staticmethod
    def of(data: Mapping[str, Any]) -> LiveSettings:
        """Settings from a client's JSON; what it leaves out is as usual.

        Raises:
            ValueError: that names what cannot be taken.
        """
        names = set(LiveSettings.__dataclass_fields__)
        if not isinstance(data, Mapping) or not set(data) <= names:
            raise ValueError(f"settings are an object with {', '.join(sorted(names))}")
        settings = LiveSettings(**data)
        settings.sheet()
        return settings

    def sheet(self) -> LeadSheet:
        """What goes round. Raises ValueError that names what is wrong."""
        lengths = (("Chords", self.chords, CHORDS), ("Words", self.prompt, WORDS), ("Key", self.key, NAME))
        for name, text, most in (*lengths, ("Meter", self.meter, NAME)):
            if not isinstance(text, str) or len(text) > most:
                raise ValueError(f"{name}: {str(text)[:NAME]!r} is no text of up to {most:,} characters")
        check_number("Tempo", self.bpm, *BPM_RANGE)
        check_number("Loudness", self.loudness_db, *LOUDNESS_DB)
        if not isinstance(self.mix, Mapping):
            raise ValueError("Genres: a weight for each name is needed")
        for name, weight in self.mix.items():
            check_number(f"Weight of {str(name)[:NAME]}", weight, *MIX)
        return LeadSheet.parse(self.chords, key=self.key, bpm=self.bpm, time_signature=self.meter)


@dataclass(frozen=True)
class LiveChunk:
    """Sound of a bar, or of a part of one, as it is sent.

    Attributes:
        audio: int16 (samples, channels), C order.
        rate: samples a second.
        from_s: where the audio begins in the stream; chunks laid end to end are the stream.
        chords: what it plays: second in the stream and name.
        made_in_s: seconds that it took.
    """

    audio: np.ndarray
    rate: int
    from_s: float
    chords: tuple[tuple[float, str], ...]
    made_in_s: float


class LiveSession:
    """One stream of a pipeline for one client.

    Args:
        pipe: the pipeline.
        settings: what is played at first.
        clock: seconds that go on.
    """

    def __init__(
        self, pipe: MuseTunePipeline, settings: LiveSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.pipe, self._clock = pipe, clock
        self._playing = (settings, settings.sheet())
        self._bars = BarSource()
        self._genres, self._few_steps = genres_of(pipe), few_steps_of(pipe)
        self._left = threading.Event()
        self._seen = self._changed = clock()
        self._heard: tuple[float, float] | None = None  # seconds that were heard, and when that was said
        self._sent_s, self._gaps = 0.0, 0
        self._pace = Pace(MARGIN_S)

    def change(self, settings: LiveSettings) -> None:
        """Play something else: chords and tempo from the next bar line on, the rest from the next chunk on.

        Other chords begin at their first bar; a new tempo or key changes nothing of where in them the music is.
        """
        sheet = settings.sheet()
        if settings.chords != self._playing[0].chords:
            self._bars.restart()
        self._playing, self._changed = (settings, sheet), self._clock()

    def hear(self, seconds: float, gaps: int = 0) -> None:
        """Note what the client has heard so far; it is there as long as this is called every ABSENCE_S.

        ``gaps``: how many times it had to wait; chunks are begun earlier after each.
        """
        now = self._clock()
        self._seen = now
        if gaps > self._gaps:
            self._pace.widen(gaps - self._gaps)
            self._gaps = gaps
        if math.isfinite(seconds) and seconds > 0:
            self._heard = (min(seconds, self._sent_s), now)

    def stop(self) -> None:
        """End the stream before its next chunk."""
        self._left.set()

    @property
    def unattended(self) -> bool:
        """Whether nothing was changed for so long that another client comes first."""
        return self._clock() - self._changed > UNATTENDED_S

    @property
    def ready_s(self) -> float:
        """Seconds that lie ready at the client unheard, as far as it is known."""
        if self._heard is None:
            return self._sent_s
        seconds, then = self._heard
        return max(0.0, self._sent_s - seconds - (self._clock() - then))

    @property
    def enough_s(self) -> float:
        """Seconds that must lie ready when the next chunk is begun."""
        return self._pace.lead_s()

    def chunks(self) -> Iterator[LiveChunk]:
        """Chunks, each when it is due, until `stop` or an absence of the client.

        Raises:
            ValueError: as `MuseTunePipeline.stream` does.
        """
        stereo = getattr(self.pipe, "upsampler", None) is not None
        stream = self.pipe.stream(self._ask, self._playing[0].prompt, stereo=stereo, opening_seconds=OPENING_S)
        try:
            for number in range(2**62):
                if not self._due(number) or (chunk := next(stream, None)) is None:
                    return
                self._pace.add(chunk.made_in_s)
                passage = chunk.passage
                audio = np.atleast_2d(np.asarray(chunk.audio)).T
                sent = np.ascontiguousarray(np.round(audio.clip(-1, 1) * 32767).astype("<i2"))
                self._sent_s = chunk.start_s + len(sent) / chunk.sampling_rate
                sheet = passage.sheet
                names = zip(sheet.chord_intervals_s[:, 0], sheet.chords, strict=True)
                chords = tuple((passage.start_s + float(start), pop_name(span.chord)) for start, span in names)
                yield LiveChunk(sent, chunk.sampling_rate, chunk.start_s, chords, float(chunk.made_in_s))
        finally:
            stream.close()

    def _due(self, number: int) -> bool:
        """Wait until the next chunk is due; whether it is still wanted."""
        while not self._left.wait(0 if number < AT_FIRST else BEAT_S):
            if self._clock() - self._seen > ABSENCE_S:
                return False
            if number < AT_FIRST or self.ready_s <= self.enough_s:
                return True
        return False

    def _ask(self, position: StreamPosition) -> StreamInput:
        """What the pipeline shall play now."""
        settings, sheet = self._playing
        mix = {name: float(settings.mix.get(name, 0.0)) for name in self._genres}
        loud = {name: weight for name, weight in mix.items() if weight > 0}
        if self._few_steps is not None:
            loud[self._few_steps] = 1.0
        due = self._bars.take(position, sheet)
        counts = loud if self._genres or self._few_steps else None
        return replace(due, prompt=settings.prompt, mix=counts, loudness_db=settings.loudness_db)


class LiveStage:
    """Where one session at a time is played.

    Args:
        pipe: the pipeline.
        turn: the lock that every long piece of work with it holds.
    """

    def __init__(self, pipe: MuseTunePipeline, turn: threading.Lock) -> None:
        self.pipe, self._turn = pipe, turn
        self._sessions: dict[str, LiveSession] = {}

    def open(self, token: str, settings: LiveSettings) -> LiveSession:
        """A session for whoever knows ``token``; it has the pipeline until `close`.

        Raises:
            BusyError: while the pipeline is at work.
            ValueError: for settings that cannot be played.
        """
        if isinstance(self.pipe, RemotePipeline):
            raise ValueError(LOCAL_ONLY)
        session = LiveSession(self.pipe, settings)
        if not self._turn.acquire(blocking=False):
            self.give_way()
            raise BusyError(BUSY)
        self._sessions[token] = session
        return session

    def close(self, token: str) -> None:
        """Let the pipeline go; the session's chunks have ended."""
        if self._sessions.pop(token, None) is not None:
            self._turn.release()

    def give_way(self) -> None:
        """End a session that nobody attends to, because somebody else wants the pipeline."""
        for session in list(self._sessions.values()):
            if session.unattended:
                session.stop()

    @property
    def busy(self) -> bool:
        """Whether somebody plays."""
        return bool(self._sessions)

    def session(self, token: str) -> LiveSession | None:
        """The session of a token; None where it has ended."""
        return self._sessions.get(token)
