"""Harmonic analysis of a score: chords, local keys and Roman numerals from the notes."""

from __future__ import annotations

from fractions import Fraction

from musetune.symbols.key import Key
from musetune.symbols.lead_sheet import LeadSheet
from musetune.symbols.score import Score
from musetune.symbols.spans import ChordSpan, KeySpan
from musetune.symbols.timeline import beats_of, quarters_of
from musetune.theory.numerals.decode import Segment, Weights, decode
from musetune.theory.numerals.frames import frames_of
from musetune.theory.numerals.roman import resolve_roman

STANDARD = Weights()


def analyse_score(score: Score) -> LeadSheet:
    """The chords and local keys of ``score`` as a lead sheet without melody; see ``analyse``."""
    return analyse(score)[0]


def analyse(score: Score, weights: Weights = STANDARD) -> tuple[LeadSheet, list[str]]:
    """The lead sheet of ``score`` (chords with inversions, local keys) and the numeral of each chord in it.

    Keys and chords are found together, at the least cost; see ``numeral_decode``. The numerals tell more than
    ``romans`` of the sheet can: Italian from German sixths, cadential 6/4 chords. Note names, where the score has them,
    tell enharmonic chords apart. Raises ValueError for a score whose voices are all silent.
    """
    if not score.voices:
        raise ValueError("the score has no pitched notes; harmony needs some")
    frames = frames_of(score)
    first = score.signatures[0].key
    sharps = "FCGDAEB".index(first.tonic[0]) - 1 + 7 * (first.tonic.count("#") - first.tonic.count("b"))
    signature = sharps - (3 if first.mode == "minor" else 0)
    segments = _joined(decode(frames, signature, weights))
    quarters = quarters_of(score.meters)
    at = beats_of([(quarters(span.start), span.meter) for span in score.meters])
    edge = lambda index: min(at(Fraction(float(frames.places[index])).limit_denominator(96)), score.length)  # noqa: E731
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


def _joined(segments: list[Segment]) -> list[Segment]:
    """Neighbours with the same numeral in the same key as one."""
    out: list[Segment] = []
    for segment in segments:
        last = out[-1] if out else None
        if last and (last.key, last.entry, last.inversion) == (segment.key, segment.entry, segment.inversion):
            out[-1] = Segment(last.first, segment.last, last.key, last.entry, last.inversion)
        else:
            out.append(segment)
    return out


def _key(place: int, mode: str) -> Key:
    """The key whose tonic lies at ``place`` in fifths; beyond seven accidentals, the enharmonic one."""
    while place > 8 + (3 if mode == "minor" else 0):
        place -= 12
    while place < -8:
        place += 12
    letter = "FCGDAEB"[(place + 1) % 7]
    marks = (place + 1) // 7
    return Key(letter + ("#" * marks if marks > 0 else "b" * -marks), mode)
