"""The record of what is written: a lead sheet, MIDI or MusicXML. Chord symbols are taken as they stand; where there are none,
the notes tell."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from musetune import theory
from musetune.theory.function import functions
from musetune.theory.numerals import analyse
from musetune.theory.roman import romans
from musetune.theory.score import Score, read_score
from musetune.theory.tonality import local_keys

from .genre import genre_analysis
from .harmony import harmonic_analysis
from .record import Analysis
from .rhythm import rhythmic_analysis_of_layers, rhythmic_analysis_of_notes
from .source import Source, sha256_of

SCORES = (".mid", ".midi", ".musicxml", ".xml", ".mxl")


def analyze_symbols(path: Path, *, conventions: str | PathLike | None = None) -> Analysis:
    """The record of the file `path`. Keys that a lead sheet names are its keys; it has one key where the chords may tell of
    more, so local keys are looked for with that one as the expected one.

    Raises FileNotFoundError where no file is, ValueError for what cannot be read or holds no music.
    """
    score = read_score(path) if path.suffix.lower() in SCORES else None
    sheet = _written(path, score)
    numerals: list[str] | None = None
    if sheet is not None and any(span.chord.root is not None for span in sheet.chords):
        if len(sheet.keys) == 1:
            sheet = replace(sheet, keys=local_keys(sheet.chords, prior=sheet.key))
    elif score is not None:
        sheet, numerals = analyse(score)
    else:
        raise ValueError(f"{path.name} holds no chords; give a lead sheet with chords, or a score with notes")
    voices = score.voices if score is not None and score.voices else None
    rhythm = rhythmic_analysis_of_notes(score) if score is not None else _of_chords(sheet)
    return Analysis(
        Source(path.name, float(sheet.grid.time_at(sheet.length)), None, None, sha256_of(path)),
        sheet,
        1.0,
        1.0,
        1.0,
        (1.0,) * len(sheet.chords),
        tuple(numerals or romans(sheet)),
        tuple(functions(sheet)),
        harmonic_analysis(sheet, voices),
        rhythm,
        genre_analysis(sheet, rhythm, None, conventions),
    )


def _written(path: Path, score: Score | None) -> theory.LeadSheet | None:
    """The lead sheet of the file; None where only the notes of `score` can be read."""
    try:
        return theory.LeadSheet.load(path)
    except ValueError:
        if score is None:
            raise
        return None


def _of_chords(sheet: theory.LeadSheet) -> dict[str, Any]:
    """The rhythm of a sheet without notes: its chord changes, and its melody where it has one."""
    layers = {"chords": np.array([float(span.start) for span in sheet.chords])}
    if sheet.melody:
        layers["melody"] = np.array([float(note.start) for note in sheet.melody])
    return rhythmic_analysis_of_layers(
        layers, sheet.meter, first_downbeat=float(sheet.first_downbeat), beats_s=np.asarray(sheet.beats_s)
    )
