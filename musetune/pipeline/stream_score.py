"""The music of a stream, written bar by bar as a source says it. No torch."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from musetune.symbols import BeatGrid, LeadSheet
from musetune.symbols.spans import ChordSpan, KeySpan, MeterSpan

LOUDNESS_DB = (-60.0, 12.0)  # gains that a source may ask for


@dataclass(frozen=True)
class StreamInput:
    """What is played from here on; what is None stays as it was.

    Attributes:
        lead_sheet: whole beats; played from its beginning and, until another comes, round and round.
        prompt: words.
        mix: weights 0–2 of loaded genre LoRAs, as ``set_adapter`` takes them; {} lets none count.
        loudness_db: gain in dB, −60 to 12; 0 is as the model plays.
        at_once: the lead sheet begins with the next chunk, where that is within a bar too: it then begins with what is
            left of the bar. Else it waits for the bar line.

    Raises:
        ValueError: for a sheet that is not whole beats, and for a gain outside the range.

    Example:
        >>> StreamInput(LeadSheet.parse("| Dm7 | G7 |", bpm=132), prompt="cool jazz", loudness_db=-6.0).loudness_db
        -6.0
    """

    lead_sheet: LeadSheet | None = None
    prompt: str | None = None
    mix: Mapping[str, float] | None = None
    loudness_db: float | None = None
    at_once: bool = False

    def __post_init__(self) -> None:
        low, high = LOUDNESS_DB
        if self.loudness_db is not None and not low <= self.loudness_db <= high:
            raise ValueError(f"loudness_db={self.loudness_db} is outside {low:g} to {high:g} dB")
        sheet = self.lead_sheet
        if sheet is None:
            if self.at_once:
                raise ValueError("at_once=True says when a lead sheet begins, and there is none: give lead_sheet too")
            return
        if not isinstance(sheet, LeadSheet):
            raise TypeError(f"lead_sheet={sheet!r:.80} is a {type(sheet).__name__}, not a LeadSheet")
        if sheet.length.denominator != 1 or sheet.first_downbeat.denominator != 1:
            raise ValueError(
                f"a stream plays whole beats; this sheet has {sheet.length}, the first downbeat at "
                f"{sheet.first_downbeat}: use sheet.slice(0, {max(1, math.floor(sheet.length))})"
            )


@dataclass(frozen=True)
class StreamPosition:
    """Where the chunk that is asked for begins.

    Attributes:
        seconds: from the stream's beginning.
        bar: bars begun before it, and 1; a change of the lead sheet is heard where this grows (but for ``at_once``).
        beat: beats since the bar line.

    Example:
        >>> StreamPosition(seconds=4.0, bar=3, beat=Fraction(0)).bar
        3
    """

    seconds: float
    bar: int
    beat: Fraction


Source = Callable[[StreamPosition], StreamInput | LeadSheet | None]
SheetSource = LeadSheet | StreamInput | Iterable[StreamInput | LeadSheet] | Source


@dataclass(frozen=True)
class StreamPassage:
    """A bar, or a part of one, and how it is to sound.

    Attributes:
        sheet: its beats alone, time 0 at its beginning.
        start_s: where it begins in the stream.
        prompt, mix, loudness_db: see ``StreamInput``.

    Example:
        >>> StreamPassage(LeadSheet.parse("| C |", bpm=120), 6.0, "pop", None, 0.0).end_s
        8.0
    """

    sheet: LeadSheet
    start_s: float
    prompt: str
    mix: Mapping[str, float] | None
    loudness_db: float

    @property
    def end_s(self) -> float:
        """Where it ends in the stream, seconds."""
        return self.start_s + self.sheet.duration_s


@dataclass(frozen=True)
class _Place:
    """A beat of a sheet that goes round and round."""

    sheet: LeadSheet
    beat: Fraction

    def passage(self, longest_s: float, opening_s: float | None = None) -> tuple[LeadSheet, _Place]:
        """Return what comes up to the next bar line, or a part of it, and the place after.

        Args:
            longest_s: more than this is cut into equal parts, as far as beats allow it.
            opening_s: the first part is as short as that where both parts last so long; None: it is not.
        """
        lines = [line for line in self.sheet.downbeats() if line > self.beat]
        end = min(lines[0] if lines else self.sheet.length, self.sheet.length)
        beats = int(end - self.beat)
        times = np.asarray(self.sheet.grid.time_at(float(self.beat) + np.arange(beats + 1)))
        times -= times[0]
        parts = min(beats, math.ceil(times[-1] / longest_s - 1e-6))
        count = math.ceil(beats / max(1, parts))
        if opening_s is not None:
            first = int(np.searchsorted(times, opening_s - 1e-6))  # beats that last so long
            if first < count and times[-1] - times[first] >= opening_s - 1e-6:
                count = first
        end = self.beat + count
        after = end if end < self.sheet.length else Fraction(0)
        return self.sheet.slice(self.beat, end), _Place(self.sheet, after)


class StreamScore:
    """What a stream plays: passages one by one, and all of it around any of them.

    Args:
        source: see ``MuseTunePipeline.stream``.
        prompt: words until the source says others.
        longest_s: seconds that a passage lasts at most where beats allow it.
        opening_s: the first passage of a bar lasts about so long, where the rest of the bar does too: what comes too
            late for the bar line can be played soon after it. None: bars are not cut for that.

    Example:
        >>> score = StreamScore(LeadSheet.parse("| C | F |", bpm=120), longest_s=2.0)
        >>> [score.next().sheet.chord_labels for _ in range(3)]
        [['C:maj'], ['F:maj'], ['C:maj']]
    """

    def __init__(
        self, source: SheetSource, prompt: str = "", longest_s: float = 2.0, opening_s: float | None = None
    ) -> None:
        for seconds in (longest_s, longest_s if opening_s is None else opening_s):
            if seconds <= 0:
                raise ValueError(f"chunks of {seconds} s; they need more than 0")
        self._longest_s, self._opening_s = longest_s, opening_s
        self._ask, self._once = _reader(source)
        self._now = StreamInput(prompt=prompt, loudness_db=0.0)
        self._place: _Place | None = None
        self._waiting: LeadSheet | None = None  # a sheet that begins at the next bar line, or
        self._at_once = False  # with the next passage
        self.sheets = 0  # how many the source has given so far that were begun
        self._seconds, self._bar, self._beat = 0.0, 0, Fraction(0)
        self._past: deque[StreamPassage] = deque()

    def next(self) -> StreamPassage | None:
        """Return the next passage; None at the end of the source.

        Raises:
            ValueError: where the source gives no lead sheet to begin with.
        """
        at_start = self._place is None or self._place.beat == 0
        if (at_start or not self._once) and not self._read():
            return None
        begins_bar = self._on_bar_line()
        if self._waiting is not None and (begins_bar or self._at_once):
            self._place, self._waiting = _Place(self._waiting, Fraction(0)), None
            self.sheets += 1
        if self._place is None:
            raise ValueError("the source gives no lead sheet to begin with: give one in its first answer")
        sheet, after = self._place.passage(self._longest_s, self._opening_s if begins_bar else None)
        prompt, loudness_db = self._now.prompt, self._now.loudness_db
        assert prompt is not None  # __init__ saw to it
        assert loudness_db is not None
        passage = StreamPassage(sheet, self._seconds, prompt, self._now.mix, loudness_db)
        if begins_bar:
            self._bar, self._beat = self._bar + 1, Fraction(0)
        self._beat += sheet.length
        self._place, self._seconds = after, passage.end_s
        self._past.append(passage)
        return passage

    @property
    def bar_end_s(self) -> float:
        """Where in the stream the bar ends of which the last passage was a part, as far as is known."""
        if self._place is None or self._on_bar_line():
            return self._seconds
        return self._seconds + self._place.passage(math.inf)[0].duration_s

    def window(self, start_s: float, seconds: float) -> LeadSheet:
        """Return what was and, as far as is known, will be played from ``start_s`` on, time 0 there.

        What ended before ``start_s`` is forgotten.
        """
        while len(self._past) > 1 and self._past[0].end_s <= start_s:
            self._past.popleft()
        pieces = [passage.sheet for passage in self._past]
        end_s, place = self._seconds, self._place
        while end_s < start_s + seconds + 1e-6 and place is not None:
            sheet, place = place.passage(self._longest_s)
            pieces.append(sheet)
            end_s += sheet.duration_s
        return join_sheets(pieces).crop(start_s - self._past[0].start_s, seconds)

    def _on_bar_line(self) -> bool:
        return (
            self._place is None
            or self._place.beat == 0  # a sheet's beginning counts as one, also where it is a pick-up
            or self._place.sheet.slice(self._place.beat, self._place.sheet.length).first_downbeat == 0
        )

    def _read(self) -> bool:
        """Take up what the source says; False at its end."""
        beat = Fraction(0) if self._on_bar_line() else self._beat
        position = StreamPosition(self._seconds, self._bar + (beat == 0), beat)
        try:
            answer = self._ask(position)
        except StopIteration:
            return False
        if answer is None:
            return True
        answer = answer if isinstance(answer, StreamInput) else StreamInput(answer)
        said = {name: getattr(answer, name) for name in ("prompt", "mix", "loudness_db")}
        self._now = replace(self._now, **{name: value for name, value in said.items() if value is not None})
        sheet = answer.lead_sheet
        if sheet is not None and (self._place is None or self._once or sheet != (self._waiting or self._place.sheet)):
            self._waiting, self._at_once = sheet, answer.at_once
        return True


def join_sheets(sheets: Iterable[LeadSheet]) -> LeadSheet:
    """Play sheets of whole beats one after the other; genre and style are the last one's.

    A sheet that begins on a bar line begins a bar, also where the bar before is not full. Where one begins within
    a bar, a chord that goes on is one chord.

    Args:
        sheets: at least one.

    Example:
        >>> two = [LeadSheet.parse("| C |", bpm=120), LeadSheet.parse("| Am |", bpm=90, time_signature="3/4")]
        >>> joined = join_sheets(two)
        >>> joined.chord_labels, joined.length, joined.duration_s
        (['C:maj', 'A:min'], Fraction(7, 1), 4.0)
    """
    chords: list[ChordSpan] = []
    keys: list[KeySpan] = []
    meters: list[MeterSpan] = []
    times, length = [0.0], Fraction(0)
    every = list(sheets)
    for sheet in every:
        begun = [replace(span, start=span.start + length) for span in sheet.chords]
        if chords and sheet.first_downbeat != 0 and chords[-1].chord == begun[0].chord:
            chords[-1] = replace(chords[-1], beats=chords[-1].beats + begun.pop(0).beats)
        chords += begun
        keys += (replace(span, start=span.start + length) for span in sheet.keys)
        if not meters or sheet.first_downbeat == 0:
            meters.append(MeterSpan(length, sheet.meter))
        meters += (replace(span, start=span.start + length) for span in sheet.meters[1:])
        beats = np.asarray(sheet.grid.time_at(np.arange(1, int(sheet.length) + 1, dtype=float)))
        times += (beats + times[-1]).tolist()
        length += sheet.length
    return LeadSheet(
        chords=tuple(chords),
        keys=tuple(keys),
        meters=tuple(meters),
        grid=BeatGrid(tuple(times)),
        length=length,
        genre=every[-1].genre,
        first_downbeat=every[0].first_downbeat,
        style=every[-1].style,
    )


def _reader(source: SheetSource) -> tuple[Source, bool]:
    """Return what to ask, and whether each answer is played to its end before the next question."""
    if isinstance(source, LeadSheet | StreamInput):
        return lambda position: source, False
    if callable(source):
        return source, False
    if not isinstance(source, Iterable) or isinstance(source, str | bytes):
        raise TypeError(
            f"sheet_source={source!r:.80} is a {type(source).__name__}: give a LeadSheet, an iterable of LeadSheet or "
            "StreamInput, or a function of a StreamPosition"
        )
    items: Iterator[StreamInput | LeadSheet] = iter(source)
    return lambda position: next(items), True
