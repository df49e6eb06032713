"""Which lead sheets can be loops, and sheets and notes that are played twice. No torch."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from musetune.symbols import Arrangement, BeatGrid, LeadSheet


def check_loop(sheet: LeadSheet) -> None:
    """Raise ValueError where a sheet is not whole bars of one meter from a downbeat at time 0."""
    bar = sheet.meter.beats_per_bar
    if len(sheet.meters) > 1 or sheet.first_downbeat != 0 or abs(float(sheet.grid.time_at(0))) > 1e-6:
        raise ValueError("a loop needs one meter and a first downbeat at time 0: use sheet.slice(bar line, bar line)")
    if sheet.length % bar or sheet.length.denominator != 1:
        raise ValueError(
            f"the lead sheet lasts {sheet.length} beats, no whole number of bars of {bar}: use "
            f"sheet.slice(0, {math.floor(sheet.length / bar) * bar or bar})"
        )


def repeat_sheet(sheet: LeadSheet, ratio: float) -> LeadSheet:
    """Play a sheet twice, ``ratio`` times as slow.

    Example:
        >>> twice = repeat_sheet(LeadSheet.parse("| C | F |", bpm=120), 1.5)
        >>> twice.chord_labels, twice.duration_s
        (['C:maj', 'F:maj', 'C:maj', 'F:maj'], 12.0)
    """
    beats = int(sheet.length)
    once = np.asarray(sheet.grid.time_at(np.arange(beats + 1, dtype=float)))
    times = np.concatenate([once, once[1:] + once[-1]]) * ratio

    def again(spans: Any) -> tuple[Any, ...]:
        return (*spans, *(replace(span, start=span.start + beats) for span in spans))

    keys = sheet.keys if len(sheet.keys) == 1 else again(sheet.keys)
    return replace(
        sheet,
        chords=again(sheet.chords),
        keys=keys,
        melody=again(sheet.melody),
        sections=(),
        grid=BeatGrid(tuple(times.tolist())),
        length=sheet.length * 2,
    )


def repeat_notes(arrangement: Arrangement, sheet: LeadSheet, ratio: float) -> Arrangement:
    """Play the notes of a sheet's players twice, ``ratio`` times as slow; a note that begins past its end is left out.

    Example:
        >>> from musetune.symbols.arrangement import Stem, StemNote
        >>> sheet = LeadSheet.parse("| C |", bpm=120)
        >>> band = Arrangement(sheet.grid, {"bass": Stem(33, (StemNote(0.0, 1.0, 36),))})
        >>> [note.start for note in repeat_notes(band, sheet, 1.0).stems["bass"].notes]
        [0.0, 4.0]
    """
    beats = float(sheet.length)
    stems = {}
    for name, stem in arrangement.stems.items():
        notes = tuple(note for note in stem.notes if 0 <= note.start < beats)
        again = tuple(replace(note, start=note.start + beats) for note in notes)
        stems[name] = replace(stem, notes=notes + again, writers=())
    return Arrangement(repeat_sheet(sheet, ratio).grid, stems)
