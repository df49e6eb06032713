"""Harmonic analysis of a score: chords, local keys and Roman numerals from the notes."""

from __future__ import annotations

from fractions import Fraction

from musetune.symbols.key import Key
from musetune.symbols.lead_sheet import LeadSheet
from musetune.symbols.score import Score
from musetune.symbols.spans import ChordSpan, KeySpan
from musetune.symbols.timeline import beats_of, quarters_of
from musetune.theory.numerals.decode import ChordSegment, CostWeights, decode
from musetune.theory.numerals.frames import ScoreFrames, frames_of
from musetune.theory.numerals.roman import resolve_roman

STANDARD = CostWeights()


def analyse_score(score: Score) -> LeadSheet:
    """Analyse a score into a lead sheet of chords and local keys, without melody; see ``analyse``.

    Example:
        >>> from fractions import Fraction
        >>> from musetune.symbols import BeatGrid, Key, KeySpan, Meter, MeterSpan, Note, Score
        >>> bars = ((60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67))
        >>> voices = [tuple(Note(Fraction(4 * i), Fraction(4), bar[n]) for i, bar in enumerate(bars)) for n in range(3)]
        >>> meters, keys = (MeterSpan(Fraction(0), Meter(4, 4)),), (KeySpan(Fraction(0), Key("C")),)
        >>> grid = BeatGrid.constant(bpm=120, n_beats=16)
        >>> score = Score(tuple(voices), ("", "", ""), (), meters, keys, grid, Fraction(16))
        >>> analyse_score(score).chord_labels
        ['C:maj', 'F:maj', 'G:maj', 'C:maj']
    """
    return analyse(score)[0]


def analyse(score: Score, weights: CostWeights = STANDARD) -> tuple[LeadSheet, list[str]]:
    """Find chords and keys of a score together, at the least cost (``musetune.theory.numerals.decode``).

    Note names, where the score has them, tell enharmonic chords apart.

    Args:
        score: Notes on paper.
        weights: Costs of the reading.

    Returns:
        The lead sheet (chords with inversions, local keys) and the numeral of each chord in it. The numerals tell more
        than ``romans`` of the sheet can: Italian from German sixths, cadential 6/4 chords.

    Raises:
        ValueError: For a score whose voices are all silent.
    """
    if not score.voices:
        raise ValueError("the score has no pitched notes; harmony needs some")
    frames = frames_of(score)
    return lead_sheet_of(score, frames, decode(frames, signature_of(score.signatures[0].key), weights))


def signature_of(key: Key) -> int:
    """Sharps of a key's signature, flats below 0.

    Example:
        >>> signature_of(Key("C", "minor"))
        -3
    """
    sharps = "FCGDAEB".index(key.tonic[0]) - 1 + 7 * (key.tonic.count("#") - key.tonic.count("b"))
    return sharps - (3 if key.mode == "minor" else 0)


def lead_sheet_of(score: Score, frames: ScoreFrames, segments: list[ChordSegment]) -> tuple[LeadSheet, list[str]]:
    """The lead sheet of a reading of `score`, and the numeral of each chord in it.

    Args:
        score: What was read.
        frames: Of the score; segments count by these.
        segments: In order, without gaps.
    """
    segments = _join(segments)
    quarters = quarters_of(score.meters)
    at = beats_of([(quarters(span.start), span.meter) for span in score.meters])

    def edge(index: int) -> Fraction:
        return min(at(Fraction(float(frames.places[index])).limit_denominator(96)), score.length)

    chords: list[ChordSpan] = []
    keys: list[KeySpan] = []
    names: list[str] = []
    for segment in segments:
        start, stop = edge(segment.first), edge(segment.last)
        if stop <= start:
            continue
        key = _key(*segment.key)
        if not keys or keys[-1].key != key:
            keys.append(KeySpan(start if keys else Fraction(0), key))
        names.append(segment.entry.named(segment.inversion))
        chords.append(ChordSpan(start, stop - start, resolve_roman(names[-1], key)))
    sheet = LeadSheet(
        tuple(chords), tuple(keys), score.meters, score.grid, score.length, first_downbeat=score.first_downbeat
    )
    return sheet, names


def _join(segments: list[ChordSegment]) -> list[ChordSegment]:
    """Neighbours with the same numeral in the same key as one."""
    out: list[ChordSegment] = []
    for segment in segments:
        last = out[-1] if out else None
        if last and (last.key, last.entry, last.inversion) == (segment.key, segment.entry, segment.inversion):
            out[-1] = ChordSegment(last.first, segment.last, last.key, last.entry, last.inversion)
        else:
            out.append(segment)
    return out


def _key(fifths: int, mode: str) -> Key:
    """The key whose tonic lies at ``fifths`` in fifths; beyond seven accidentals, the enharmonic one."""
    while fifths > 8 + (3 if mode == "minor" else 0):
        fifths -= 12
    while fifths < -8:
        fifths += 12
    letter = "FCGDAEB"[(fifths + 1) % 7]
    marks = (fifths + 1) // 7
    return Key(letter + ("#" * marks if marks > 0 else "b" * -marks), mode)
