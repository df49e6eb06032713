"""The record of what is written: a lead sheet, MIDI or MusicXML.

Chord symbols are taken as they stand; where there are none, the notes tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from musetune.analysis.genre.classifier import genre_analysis
from musetune.analysis.harmonic_analysis import harmonic_analysis
from musetune.analysis.record import Analysis
from musetune.analysis.rhythmic_analysis import rhythmic_analysis_of_layers, rhythmic_analysis_of_notes
from musetune.audio.source import Source, sha256_of, text_name
from musetune.formats.scores import read_score
from musetune.symbols import LeadSheet
from musetune.theory.harmony.modulation import local_keys
from musetune.theory.numerals.score_analysis import analyse

T = TypeVar("T")
SCORES = (".mid", ".midi", ".musicxml", ".xml", ".mxl")


def analyze_symbols(path: Path, *, conventions: str | PathLike | None = None) -> Analysis:
    """The record of the file `path`.

    Where a sheet names several keys, they are its keys; where it names one, the chords may tell of more, so local keys
    are looked for, with that one as the expected one.

    Raises FileNotFoundError where no file is, ValueError for what cannot be read or holds no music.
    """
    notes = path.suffix.lower() in SCORES
    sheet = _unless_unreadable(LeadSheet.load, path) if notes else LeadSheet.load(path)
    numerals: list[str] | None = None
    if sheet is not None and any(span.chord.root is not None for span in sheet.chords):
        score = _unless_unreadable(read_score, path) if notes else None  # a sheet of chords alone has no notes
        if len(sheet.keys) == 1:
            shortest = 4 * sheet.meter.beats_per_bar
            sheet = replace(sheet, keys=local_keys(sheet.chords, prior=sheet.key, min_beats=shortest))
    elif notes:
        score = read_score(path)
        sheet, numerals = analyse(score)
    else:
        raise ValueError(f"{path.name} holds no chords; give a lead sheet with chords, or a score with notes")
    voices = score.voices if score is not None and score.voices else None
    rhythm = rhythmic_analysis_of_notes(score) if score is not None else _of_chords(sheet)
    return Analysis(
        Source(text_name(path), float(sheet.grid.time_at(sheet.length)), None, None, sha256_of(path)),
        sheet,
        1.0,
        1.0,
        1.0,
        (1.0,) * len(sheet.chords),
        harmonic_analysis(sheet, voices, numerals),
        rhythm,
        genre_analysis(sheet, rhythm, None, conventions),
    )


def _unless_unreadable(read: Callable[[Path], T], path: Path) -> T | None:
    """What `read` makes of the file; None where it cannot. The other way of reading it then says what is wrong."""
    try:
        return read(path)
    except ValueError:
        return None


def _of_chords(sheet: LeadSheet) -> dict[str, Any]:
    """The rhythm of a sheet without notes: its chord changes, and its melody where it has one."""
    layers = {"chords": np.array([float(span.start) for span in sheet.chords])}
    if sheet.melody:
        layers["melody"] = np.array([float(note.start) for note in sheet.melody])
    return rhythmic_analysis_of_layers(
        layers, sheet.meter, first_downbeat=float(sheet.first_downbeat), beats_s=np.asarray(sheet.beats_s)
    )
