"""The record of what is written: a lead sheet, MIDI or MusicXML. Chord symbols are taken as they stand; where there
are none, the notes tell."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from os import PathLike
from pathlib import Path

import numpy as np

from musetune.analysis.genre.classifier import genre_analysis
from musetune.analysis.harmonic_analysis import harmonic_analysis
from musetune.analysis.numerals.reader import Reader, read_numerals
from musetune.analysis.record import Analysis
from musetune.analysis.rhythmic_analysis import rhythmic_analysis_of_layers, rhythmic_analysis_of_notes
from musetune.audio.source import MusicSource, sha256_of, text_name
from musetune.formats.scores import read_score
from musetune.symbols import NO_CHORD, ChordSpan, LeadSheet, Score
from musetune.symbols.json_values import JsonObject
from musetune.symbols.remarks import collected, remark
from musetune.theory.harmony.modulation import local_keys

SCORES = (".mid", ".midi", ".musicxml", ".xml", ".mxl")


def analyze_symbols(path: Path, *, conventions: str | PathLike | None = None, numerals: Reader = "auto") -> Analysis:
    """Record of what is written in the file `path`.

    Where a sheet names several keys, they are its keys; where it names one, the chords may tell of more, so local
    keys are looked for, with that one as the expected one. What the reader mended or left out is in the record's
    `remarks`. `numerals` reads the chords from notes, where there are no chord symbols.

    Raises:
        FileNotFoundError: Where no file is.
        ValueError: For what cannot be read or holds no music.
    """
    name = text_name(path)
    with collected() as notes:
        sheet, score, names = _read(path, numerals)
    remarks = tuple(dict.fromkeys(text.removeprefix(f"{path.name}: ") for text in notes))
    for text in remarks:
        remark(f"{name}: {text}")
    voices = score.voices if score is not None and score.voices else None
    rhythm = rhythmic_analysis_of_notes(score) if score is not None else _of_chords(sheet)
    return Analysis(
        MusicSource(text_name(path), float(sheet.grid.time_at(sheet.length)), None, None, sha256_of(path)),
        sheet,
        1.0,
        1.0,
        1.0,
        (1.0,) * len(sheet.chords),
        harmonic_analysis(sheet, voices, names),
        rhythm,
        genre_analysis(sheet, rhythm, None, conventions),
        remarks,
    )


def _read(path: Path, reader: Reader) -> tuple[LeadSheet, Score | None, list[str] | None]:
    """The sheet in the file, its notes where it has some, and the chords' numerals where they come from the notes."""
    notes = path.suffix.lower() in SCORES
    try:
        sheet = LeadSheet.load(path)
    except ValueError as error:
        if not notes:
            raise
        score = read_score(path)  # of a file that is broken for both this says why
        remark(f"its chord symbols could not be read, so the chords come from the notes: {error}")
        return _of_notes(score, None, reader)
    if any(span.chord.root is not None for span in sheet.chords):
        if len(sheet.keys) == 1:
            shortest = 4 * sheet.meter.beats_per_bar
            sheet = replace(sheet, keys=local_keys(sheet.chords, prior=sheet.key, min_beats=shortest))
        return sheet, _score_beside(path) if notes else None, None
    if not notes:
        raise ValueError(f"{path.name} holds no chords; give a lead sheet with chords, or a score with notes")
    score = read_score(path)
    return _of_notes(score, sheet, reader)


def _score_beside(path: Path) -> Score | None:
    """The notes beside chord symbols; None where there are none."""
    try:
        return read_score(path)
    except ValueError as error:
        if "no notes" not in str(error):
            remark(f"its notes could not be read, only its chord symbols: {error}")
        return None


def _of_notes(score: Score, sheet: LeadSheet | None, reader: Reader) -> tuple[LeadSheet, Score, list[str]]:
    """The chords that the notes make, N.C. where nothing with a pitch sounds for a bar or longer.

    The sections are those that the file names.
    """
    from_notes, numerals = read_numerals(score, reader)
    silences = silences_of(score)
    chords: list[ChordSpan] = []
    names: list[str] = []
    for span, name in zip(from_notes.chords, numerals, strict=True):
        at = span.start
        for low, high in [*silences, (span.end, span.end)]:
            if low > at and at < span.end:
                chords.append(ChordSpan(at, min(low, span.end) - at, span.chord))
                names.append(name)
            at = max(at, high)
    rests = [ChordSpan(low, high - low, NO_CHORD) for low, high in silences]
    chords = sorted(chords + rests, key=lambda span: span.start)
    sections = () if sheet is None else tuple(s for s in sheet.sections if s.start + s.beats <= from_notes.length)
    return replace(from_notes, chords=tuple(chords), sections=sections), score, names


def silences_of(score: Score) -> list[tuple[Fraction, Fraction]]:
    """(start, end) in beats of the silences of all voices with pitches that last a bar or longer."""
    end, out = Fraction(0), []
    for note in sorted((note for voice in score.voices for note in voice), key=lambda note: note.start):
        if note.start - end >= score.meters[0].meter.beats_per_bar:
            out.append((end, note.start))
        end = max(end, note.start + note.beats)
    if score.length - end >= score.meters[0].meter.beats_per_bar:
        out.append((end, score.length))
    return out


def _of_chords(sheet: LeadSheet) -> JsonObject:
    """The rhythm of a sheet without notes: its chord changes, and its melody where it has one."""
    layers = {"chords": np.array([float(span.start) for span in sheet.chords])}
    if sheet.melody:
        layers["melody"] = np.array([float(note.start) for note in sheet.melody])
    return rhythmic_analysis_of_layers(
        layers, sheet.meter, first_downbeat=float(sheet.first_downbeat), beats_s=np.asarray(sheet.beats_s)
    )
