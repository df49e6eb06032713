"""The lead sheet: chords, keys, meters, tempo, sections and melody on one beat grid.

Immutable; everything else reads it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TypeVar

import numpy as np

from musetune.symbols.beat_grid import BeatGrid
from musetune.symbols.chord import NO_CHORD, Chord
from musetune.symbols.handover import upstairs
from musetune.symbols.json_values import JsonObject
from musetune.symbols.key import Key
from musetune.symbols.meter import Meter
from musetune.symbols.names import suggest
from musetune.symbols.spans import (
    ChordSpan,
    KeySpan,
    MeterSpan,
    Note,
    Section,
    check_inside,
    check_order,
    check_rational,
)

Lasting = TypeVar("Lasting", ChordSpan, Section, Note)
Held = TypeVar("Held", bound=KeySpan | MeterSpan)
GENRES = ("pop", "rock", "jazz", "blues", "classical", "electronic")
LONGEST_STYLE = 600  # characters of names of styles


@dataclass(frozen=True)
class LeadSheet:
    """Chords, keys, meters, sections and melody of a piece on one beat grid. Immutable.

    Positions are beats (rational); ``grid`` maps them to seconds. A grid that ends before ``length`` goes on at its
    last interval, as recordings do whose last beats were not heard.

    Args:
        chords: Chords in order, without overlap; gaps are silent.
        keys: Keys in order; the first holds from the beginning.
        meters: Meters in order, from bar lines on.
        grid: Seconds of the beats.
        length: Beats in all, above 0.
        sections: Parts of the form.
        genre: One of GENRES, or None.
        melody: Notes of the melody.
        first_downbeat: Beat of the first bar line; less than a bar before beat 0, or after it where there is a pickup.
        style: Names of styles such as "bossa nova", parted by commas, in which it is played (docs/reference/styles.md),
            or None.

    Raises:
        ValueError: For chords that overlap, chords or notes past the end, keys or meters that are missing or out of
            order, positions that are not rational, a first downbeat a bar or more before beat 0, or an unknown genre.

    Example:
        >>> sheet = LeadSheet.from_progression("I V vi IV", key="G major", bpm=96)
        >>> sheet.chord_labels
        ['G:maj', 'D:maj', 'E:min', 'C:maj']
        >>> sheet.duration_s, sheet.transpose(2).chord_labels[0]
        (10.0, 'A:maj')
    """

    chords: tuple[ChordSpan, ...]
    keys: tuple[KeySpan, ...]
    meters: tuple[MeterSpan, ...]
    grid: BeatGrid
    length: Fraction
    sections: tuple[Section, ...] = ()
    genre: str | None = None
    melody: tuple[Note, ...] = ()
    first_downbeat: Fraction = Fraction(0)
    style: str | None = None

    def __post_init__(self) -> None:
        check_rational("length", self.length)
        check_rational("first_downbeat", self.first_downbeat)
        if self.length <= 0:
            raise ValueError(f"length={self.length} beats; a lead sheet needs more than 0")
        check_order("key", self.keys)
        check_order("meter", self.meters)
        bar = self.meter.beats_per_bar
        if self.first_downbeat <= -bar:
            near = self.first_downbeat % bar
            raise ValueError(
                f"first_downbeat={self.first_downbeat} is a bar of {bar} or more before beat 0; did you mean {near}?"
            )
        if self.genre is not None and self.genre not in GENRES:
            raise ValueError(f"genre={self.genre!r} is not one of {', '.join(GENRES)}{suggest(self.genre, GENRES)}")
        if self.style is not None and not (isinstance(self.style, str) and 0 < len(self.style) <= LONGEST_STYLE):
            raise ValueError(
                f"style={self.style!r:.80} is not a text of 1–{LONGEST_STYLE} characters, such as bossa nova"
            )
        before = Fraction(0)
        for span in self.chords:
            if span.start < before:
                raise ValueError(
                    f"chord {span.chord} at beat {span.start} overlaps the chord before, which ends at beat {before}; "
                    f"start it there or cut the chord before"
                )
            check_inside(f"chord {span.chord}", span, self.length)
            before = span.end
        for note in self.melody:
            check_inside(f"note {note.pitch} at beat {note.start}", note, self.length)

    # -- what is read most ---------------------------------------------------------------------------------------------

    @property
    def bpm(self) -> float:
        """Beats a minute of the whole grid."""
        return self.grid.bpm

    @property
    def key(self) -> Key:
        """First key; ``key_at`` tells a later one."""
        return self.keys[0].key

    @property
    def meter(self) -> Meter:
        """First meter."""
        return self.meters[0].meter

    @property
    def duration_s(self) -> float:
        """Seconds from time 0 to the end of the last beat."""
        return float(self.grid.time_at(self.length))

    @property
    def beats_s(self) -> np.ndarray:
        """Times of the beats inside the sheet, (n,) seconds, none before 0."""
        times: np.ndarray = self.grid.time_at(np.arange(math.ceil(self.length), dtype=float))
        return times[times >= -1e-9]

    @property
    def downbeats_s(self) -> np.ndarray:
        """Times of the bar lines, (n,) seconds."""
        times: np.ndarray = self.grid.time_at(np.array(self.downbeats(), dtype=float))
        return times[times >= -1e-9] if len(times) else times

    @property
    def chord_intervals_s(self) -> np.ndarray:
        """Times of the chords, (n, 2) seconds; mir_eval's intervals."""
        beats = np.array([[float(s.start), float(s.end)] for s in self.chords]).reshape(-1, 2)
        times: np.ndarray = np.maximum(self.grid.time_at(beats), 0.0)
        return times

    @property
    def chord_labels(self) -> list[str]:
        """Harte labels, one an interval."""
        return [span.chord.harte for span in self.chords]

    def downbeats(self) -> list[Fraction]:
        """Beat positions of the bar lines."""
        out: list[Fraction] = []
        for i, span in enumerate(self.meters):
            at = self.first_downbeat if i == 0 else span.start
            end = self.meters[i + 1].start if i + 1 < len(self.meters) else self.length
            while at < end:
                out.append(at)
                at += span.meter.beats_per_bar
        return out

    def chord_at(self, beat: float | Fraction) -> Chord:
        """Chord that sounds at ``beat``; NO_CHORD in gaps."""
        for span in self.chords:
            if span.start <= beat < span.end:
                return span.chord
        return NO_CHORD

    def key_at(self, beat: float | Fraction) -> Key:
        """Key in force at ``beat``."""
        return next((s.key for s in reversed(self.keys) if s.start <= beat), self.key)

    # -- changes: each returns a new sheet -----------------------------------------------------------------------------

    def transpose(self, semitones: int) -> LeadSheet:
        """Move chords, keys and melody ``semitones`` up, spelled for the new keys.

        Notes stay within 0–127 by octaves.
        """
        if semitones % 12 == 0:
            return self
        keys = tuple(KeySpan(s.start, s.key.transpose(semitones)) for s in self.keys)
        chords = tuple(replace(s, chord=s.chord.transpose(semitones, self.key_at(s.start))) for s in self.chords)
        return replace(self, keys=keys, chords=chords, melody=tuple(n.transpose(semitones) for n in self.melody))

    def slice(self, start_beat: Fraction | int, end_beat: Fraction | int) -> LeadSheet:
        """Cut out beats ``start_beat`` to ``end_beat``, counted from 0 again, time 0 at the new first beat.

        Chords are cut at the edges.

        Raises:
            ValueError: Where the beats do not lie inside the sheet in this order.

        Example:
            >>> LeadSheet.parse("| C | F | G7 | C |").slice(2, 8).chord_labels
            ['C:maj', 'F:maj']
        """
        start, end = Fraction(start_beat), Fraction(end_beat)
        if not 0 <= start < end <= self.length:
            raise ValueError(f"slice {start}–{end} does not lie inside beats 0–{self.length}")
        beats = float(start) + np.arange(math.ceil(end - start) + 1)
        times = np.asarray(self.grid.time_at(beats))
        return self._cut(start, end, BeatGrid(tuple((times - times[0]).tolist())))

    def crop(self, start_s: float, duration_s: float) -> LeadSheet:
        """Cut out what is heard from ``start_s`` on for ``duration_s`` seconds.

        Time 0 is ``start_s``; the grid's first beat is the first at or after it or the one that sounds there.

        Raises:
            ValueError: Where nothing of the sheet lies there.
        """
        first = int(np.floor(float(self.grid.beat_at(start_s)) + 1e-6))
        last = float(self.grid.beat_at(start_s + duration_s))
        first = min(max(first, 0), math.ceil(self.length) - 1)
        end = min(self.length, Fraction(last).limit_denominator(4096))
        if end <= first:
            raise ValueError(f"crop {start_s:.2f}–{start_s + duration_s:.2f} s lies outside 0–{self.duration_s:.2f} s")
        count = max(math.ceil(end - first), 1) + 1
        times = np.asarray(self.grid.time_at(np.arange(first, first + count, dtype=float))) - start_s
        return self._cut(Fraction(first), end, BeatGrid(tuple(times.tolist())))

    def _cut(self, start: Fraction, end: Fraction, grid: BeatGrid) -> LeadSheet:
        def inside(items: Iterable[Lasting]) -> Iterator[Lasting]:
            for item in items:
                low, high = max(item.start, start), min(item.start + item.beats, end)
                if high > low:
                    yield replace(item, start=low - start, beats=high - low)

        meters, lines = _rebase(self.meters, start, end), self.downbeats()
        beyond = lines[-1] + meters[0].meter.beats_per_bar if lines else self.first_downbeat
        return LeadSheet(
            chords=tuple(inside(self.chords)),
            keys=_rebase(self.keys, start, end),
            meters=meters,
            grid=grid,
            length=end - start,
            sections=tuple(inside(self.sections)),
            genre=self.genre,
            melody=tuple(inside(self.melody)),
            first_downbeat=next((line for line in lines if line >= start), beyond) - start,
            style=self.style,
        )

    # -- in and out ----------------------------------------------------------------------------------------------------

    @staticmethod
    def from_progression(
        chords: str | Sequence[str | Chord],
        *,
        key: str | Key = "C major",
        bpm: float = 120,
        time_signature: str | Meter = "4/4",
        beats_per_chord: int | Fraction | None = None,
        duration_seconds: float | None = None,
        genre: str | None = None,
    ) -> LeadSheet:
        """Lay out a progression, one chord a bar or every ``beats_per_chord`` beats.

        Args:
            chords: Chords as text ("I V vi IV", "C G/B Am7 F") or one by one.
            key: Key such as "Bb minor", in which Roman numerals and numbers count.
            bpm: Beats a minute, 30–300.
            time_signature: Meter, "3/4".
            beats_per_chord: Beats of each chord; None takes a bar.
            duration_seconds: Length to fill: the progression goes round, and its last bar is cut. None plays it once.
            genre: One of GENRES, or None.

        Raises:
            ValueError: For an argument that cannot be read; it names the value and the fix.

        Example:
            >>> LeadSheet.from_progression("ii7 V7 Imaj7", key="F", beats_per_chord=2).chord_labels
            ['G:min7', 'C:7', 'F:maj7']
        """
        sheet: LeadSheet = upstairs("from_progression")(
            chords,
            key=key,
            bpm=bpm,
            time_signature=time_signature,
            beats_per_chord=beats_per_chord,
            duration_seconds=duration_seconds,
            genre=genre,
        )
        return sheet

    @staticmethod
    def parse(
        text: str,
        *,
        key: str | Key = "C major",
        bpm: float = 120,
        time_signature: str | Meter = "4/4",
        duration_seconds: float | None = None,
        genre: str | None = None,
    ) -> LeadSheet:
        """Read a chart such as ``| C | G/B . Am7 . | % |``; ``musetune.formats.chart_text.parse_chart`` says all signs.

        Args:
            text: Bars between ``|``; the chords of a bar share its beats, ``.`` holds a chord, ``%`` repeats a bar.
            key: Key that Roman numerals and numbers count in.
            bpm: Beats a minute, 30–300.
            time_signature: Meter, "3/4".
            duration_seconds: Length to fill: the chart goes round, and its last bar is cut. None plays it once.
            genre: One of GENRES, or None.

        Raises:
            ValueError: For what cannot be read; it names the bar or the chord and the fix.

        Example:
            >>> [(str(span.start), str(span.chord)) for span in LeadSheet.parse("| C | G/B . Am7 . |").chords]
            [('0', 'C:maj'), ('4', 'G:maj/3'), ('6', 'A:min7')]
        """
        sheet: LeadSheet = upstairs("parse_chart")(
            text, key=key, bpm=bpm, time_signature=time_signature, duration_seconds=duration_seconds, genre=genre
        )
        return sheet

    def to_json(self) -> JsonObject:
        """Write plain values; fractions as "3/2". ``from_json`` gives back an equal sheet.

        Example:
            >>> sheet = LeadSheet.parse("| C | F |")
            >>> LeadSheet.from_json(sheet.to_json()) == sheet
            True
        """
        data: JsonObject = upstairs("to_json")(self)
        return data

    @staticmethod
    def from_json(data: JsonObject) -> LeadSheet:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: For another schema version or a field that ``to_json`` does not write.
        """
        sheet: LeadSheet = upstairs("from_json")(data)
        return sheet

    def save(self, path: str | Path) -> Path:
        """Write .json, .mid, .musicxml or .jams, by the path's ending.

        Raises:
            ValueError: For another ending.
        """
        target: Path = upstairs("save")(self, path)
        return target

    @staticmethod
    def load(path: str | Path) -> LeadSheet:
        """Read .json, .mid, .musicxml (.xml, .mxl) or .jams, by the path's ending.

        Raises:
            ValueError: For another ending, or a file that cannot be read; it says why.
        """
        sheet: LeadSheet = upstairs("load")(path)
        return sheet

    def _repr_html_(self) -> str:
        """Draw what a notebook shows: the chart and a piano roll."""
        html: str = upstairs("sheet_html")(self)
        return html


def _rebase(spans: tuple[Held, ...], start: Fraction, end: Fraction) -> tuple[Held, ...]:
    """Key or meter spans counted from ``start``; the one in force there moves to 0."""
    current = max((s for s in spans if s.start <= start), key=lambda s: s.start, default=spans[0])
    first: Held = replace(current, start=Fraction(0))
    return first, *(replace(s, start=s.start - start) for s in spans if start < s.start < end)
