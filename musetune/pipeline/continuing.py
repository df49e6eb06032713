"""Lead sheets that go on after their end. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from musetune.symbols import BeatGrid, Chord, LeadSheet


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
