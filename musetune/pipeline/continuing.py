"""Lead sheets with other chords in a stretch, and such that go on after their end. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from musetune.symbols import BeatGrid, Chord, Key, LeadSheet, Meter
from musetune.symbols.spans import ChordSpan


def continue_sheet(
    sheet: LeadSheet, end_s: float, progression: str | Sequence[str | Chord], seconds: float
) -> LeadSheet:
    """Play on from the beat nearest to ``end_s``, in the tempo, key and meter that the sheet ends in.

    Args:
        sheet: what was played.
        end_s: where it ends, seconds.
        progression: chords, repeated; Roman numerals are of the last key.
        seconds: how much longer.

    Returns:
        A sheet of ``end_s`` + ``seconds`` or a little more.

    Example:
        >>> sheet = LeadSheet.parse("| C | F |", bpm=120)
        >>> longer = continue_sheet(sheet, 4.0, "| G | C |", 4.0)
        >>> longer.chord_labels, longer.duration_s
        (['C:maj', 'F:maj', 'G:maj', 'C:maj'], 8.0)
    """
    cut = Fraction(max(1, round(float(sheet.grid.beat_at(end_s)))))
    read = _read(progression, sheet.key_at(cut), sheet.meters[-1].meter)
    end = Fraction(max(int(cut) + 1, math.ceil(float(sheet.grid.beat_at(end_s + seconds)) - 1e-6)))
    chords = [replace(s, beats=min(s.end, cut) - s.start) for s in sheet.chords if s.start < cut]
    chords += _repeat(read, cut, cut, end)
    grid = BeatGrid(tuple(np.asarray(sheet.grid.time_at(np.arange(int(end) + 1, dtype=float))).tolist()))
    return replace(sheet, chords=tuple(chords), grid=grid, length=end, sections=(), melody=())


def precede_sheet(sheet: LeadSheet, progression: str | Sequence[str | Chord], seconds: float) -> LeadSheet:
    """Play into a sheet: bars laid back from its first bar line, in the tempo, key and meter that it begins in.

    Args:
        sheet: what comes after, at its own beats, ``seconds`` later; it may begin within a bar, as recordings do.
        progression: chords, repeated from the first new bar line on; an upbeat before that has their end. Roman
            numerals are of the first key.
        seconds: how much comes before; beats begin with the first one that fits.

    Returns:
        A sheet that is ``seconds`` longer.

    Example:
        >>> sheet = precede_sheet(LeadSheet.parse("| C | F |", bpm=120), "| G | Am |", 6.0)
        >>> sheet.chord_labels, sheet.duration_s
        (['G:maj', 'A:min', 'G:maj', 'C:maj', 'F:maj'], 10.0)
    """
    bar = sheet.meter.beats_per_bar
    known = np.asarray(sheet.grid.time_at(np.arange(math.ceil(sheet.length) + 1, dtype=float))) + seconds
    step = 60 / sheet.bpm
    beats = max(0, math.floor(float(known[0]) / step + 1e-6))
    before = np.maximum(known[0] + step * np.arange(-beats, 0), 0.0)  # rounding alone is below 0
    line = (sheet.first_downbeat + beats) % bar
    read = _read(progression, sheet.key_at(Fraction(0)), sheet.meter)
    chords = _repeat(read, line, Fraction(0), Fraction(beats))

    def later(spans: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(replace(span, start=span.start + beats) for span in spans)

    return replace(
        sheet,
        chords=(*chords, *later(sheet.chords)),
        keys=(replace(sheet.keys[0], start=Fraction(0)), *later(sheet.keys[1:])),
        meters=(replace(sheet.meters[0], start=Fraction(0)), *later(sheet.meters[1:])),
        melody=later(sheet.melody),
        sections=later(sheet.sections),
        grid=BeatGrid((*before.tolist(), *known.tolist())),
        length=sheet.length + beats,
        first_downbeat=line,
    )


def put_chords(sheet: LeadSheet, start_s: float, end_s: float, progression: str | Sequence[str | Chord]) -> LeadSheet:
    """Put chords between two times in place of the sheet's, sharing its beats evenly; a chart with bars keeps its own.

    Args:
        sheet: the piece's.
        start_s: seconds; the nearest half beat counts.
        end_s: seconds; the nearest half beat counts.
        progression: "Dm7 G7", Roman numerals of the key there, a chart "| C | F G |" or a list.

    Example:
        >>> sheet = LeadSheet.parse("| C | F | G | C |", bpm=120)
        >>> put_chords(sheet, 2.0, 4.0, "Dm7 G7").chord_labels
        ['C:maj', 'D:min7', 'G:7', 'G:maj', 'C:maj']
    """
    half = [Fraction(round(2 * float(sheet.grid.beat_at(time))), 2) for time in (start_s, end_s)]
    start, end = max(half[0], Fraction(0)), min(half[1], sheet.length)
    if end <= start:
        raise ValueError(f"stretch {start_s:g}–{end_s:g} s holds no half beat of the lead sheet: make it longer")
    read = _read(progression, sheet.key_at(start), sheet.meter)
    ratio = (end - start) / read.length
    new = [ChordSpan(start + span.start * ratio, span.beats * ratio, span.chord) for span in read.chords]
    spans: list[ChordSpan] = []
    for span in sheet.chords:
        if span.start < start:
            spans.append(replace(span, beats=min(span.end, start) - span.start))
    spans += new
    for span in sheet.chords:
        if span.end > end:
            spans.append(replace(span, start=max(span.start, end), beats=span.end - max(span.start, end)))
    return replace(sheet, chords=tuple(spans))


def _read(progression: str | Sequence[str | Chord], key: Key, meter: Meter) -> LeadSheet:
    """Read a chart or a list of chords, once, in beats."""
    arguments = {"key": str(key), "time_signature": str(meter)}
    if isinstance(progression, str):
        return LeadSheet.parse(progression, **arguments)  # type: ignore[arg-type]
    return LeadSheet.from_progression(progression, **arguments)  # type: ignore[arg-type]


def _repeat(read: LeadSheet, origin: Fraction, start: Fraction, end: Fraction) -> list[ChordSpan]:
    """Return the chords of a progression that goes round, with its beginning at ``origin``, between two beats."""
    spans = []
    turn = math.floor((start - origin) / read.length)
    while origin + turn * read.length < end:
        for span in read.chords:
            first = origin + turn * read.length + span.start
            low, high = max(first, start), min(first + span.beats, end)
            if low < high:
                spans.append(replace(span, start=low, beats=high - low))
        turn += 1
    return spans
