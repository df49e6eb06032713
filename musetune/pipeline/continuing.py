"""Lead sheets with other chords in a stretch, and such that go on after their end. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from musetune.symbols import BeatGrid, Chord, LeadSheet
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
    meter, key = sheet.meters[-1].meter, sheet.key_at(cut)
    arguments = {"key": str(key), "time_signature": str(meter), "bpm": sheet.bpm}
    read = (
        LeadSheet.parse(progression, **arguments)  # type: ignore[arg-type]
        if isinstance(progression, str)
        else LeadSheet.from_progression(progression, **arguments)  # type: ignore[arg-type]
    )
    end = Fraction(max(int(cut) + 1, math.ceil(float(sheet.grid.beat_at(end_s + seconds)) - 1e-6)))
    chords = [replace(s, beats=min(s.end, cut) - s.start) for s in sheet.chords if s.start < cut]
    times = 0
    while cut + times * read.length < end:
        for span in read.chords:
            start = cut + times * read.length + span.start
            if start < end:
                chords.append(replace(span, start=start, beats=min(span.beats, end - start)))
        times += 1
    grid = BeatGrid(tuple(np.asarray(sheet.grid.time_at(np.arange(int(end) + 1, dtype=float))).tolist()))
    return replace(sheet, chords=tuple(chords), grid=grid, length=end, sections=(), melody=())


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
    key = sheet.key_at(start)
    read = (
        LeadSheet.parse(progression, key=str(key), time_signature=str(sheet.meter))
        if isinstance(progression, str)
        else LeadSheet.from_progression(progression, key=str(key), time_signature=str(sheet.meter))
    )
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
