"""From the notes of a score to chords, local keys and numerals: the rules read, the network corrects."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from musetune.analysis.numerals.decode import STANDARD, DecodingWeights, decode
from musetune.analysis.numerals.inputs import inputs_of
from musetune.analysis.numerals.vocabulary import MODES, WEIGHTS, cadential, chords, states
from musetune.symbols.lead_sheet import LeadSheet
from musetune.symbols.remarks import remark
from musetune.symbols.score import Score
from musetune.theory.numerals import decode as rules
from musetune.theory.numerals.frames import ScoreFrames, frames_of
from musetune.theory.numerals.score_analysis import lead_sheet_of, signature_of

Reader = Literal["auto", "network", "rules"]
READERS: tuple[str, ...] = get_args(Reader)
BOUNDARY = 11  # sharps or flats beyond which a key is respelled


def read_numerals(
    score: Score, reader: Reader = "auto", weights: DecodingWeights = STANDARD
) -> tuple[LeadSheet, list[str]]:
    """Find chords, local keys and Roman numerals in the notes of a score.

    Args:
        score: Notes on paper.
        reader: "network" for the network on top of the rules, "rules" for the rules alone. "auto" takes the network
            where names of notes are written, as in MusicXML, and the rules for MIDI: the network learned from classical
            scores, and on POP909's MIDI its chords are worse than the rules'.
        weights: Of the network's decoding.

    Returns:
        The lead sheet (chords with inversions, local keys) and the numeral of each chord in it.

    Raises:
        ValueError: For a score whose voices are all silent, or an unknown reader.

    Example:
        >>> from fractions import Fraction
        >>> from musetune.symbols import BeatGrid, Key, KeySpan, Meter, MeterSpan, Note, Score
        >>> bars = ((60, 64, 67), (65, 69, 72), (67, 71, 74), (60, 64, 67))
        >>> voices = [tuple(Note(Fraction(4 * i), Fraction(4), bar[n]) for i, bar in enumerate(bars)) for n in range(3)]
        >>> meters, keys = (MeterSpan(Fraction(0), Meter(4, 4)),), (KeySpan(Fraction(0), Key("C")),)
        >>> grid = BeatGrid.constant(bpm=120, n_beats=16)
        >>> score = Score(tuple(voices), ("", "", ""), (), meters, keys, grid, Fraction(16))
        >>> read_numerals(score)[1]
        ['I', 'IV', 'V', 'I']
    """
    check_reader(reader)
    if not score.voices:
        raise ValueError("the score has no pitched notes; harmony needs some")
    frames = frames_of(score)
    segments = rules.decode(frames, signature_of(score.signatures[0].key), rules.CostWeights())
    if reader == "auto":
        reader = "network" if score.fifths else "rules"
    if reader == "network" and not WEIGHTS.is_file():
        remark(f"{WEIGHTS.name} of the numerals' network is missing, so the rules read the notes alone")
    elif reader == "network":
        segments = correct(score, frames, segments, weights)
    return lead_sheet_of(score, frames, segments)


def check_reader(reader: str) -> None:
    """Refuse a reader that does not exist.

    Raises:
        ValueError: It is none of `READERS`.
    """
    if reader not in READERS:
        raise ValueError(f"numerals={reader!r}: give one of {', '.join(READERS)}")


def correct(
    score: Score, frames: ScoreFrames, segments: list[rules.ChordSegment], weights: DecodingWeights
) -> list[rules.ChordSegment]:
    """The network's segments instead of those that the rules found."""
    from musetune.analysis.numerals.network import load_network, read_numbers

    heads = read_numbers(load_network(), inputs_of(score, frames, segments))
    path = decode(heads, frames.starts, weights)
    return segments_of(path, segments)


def segments_of(path: np.ndarray, read: list[rules.ChordSegment]) -> list[rules.ChordSegment]:
    """Runs of one numeral as segments; their keys are spelled close to those in `read`, which tell enharmonic keys
    apart.
    """
    table, out = states(), []
    edges = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), len(path)]
    place = 0
    for first, last in pairwise(edges):
        while place + 1 < len(read) and read[place].last <= first:
            place += 1
        state = path[first]
        tonic, mode = divmod(int(table.key[state]), 2)
        fifths, near_mode = read[place].key
        near = fifths - (3 if near_mode == "minor" else 0)
        shift = 3 if MODES[mode] == "minor" else 0
        spelled = min(range(-BOUNDARY, BOUNDARY + 1), key=lambda f: (7 * f % 12 != tonic, abs(f - shift - near)))
        entry = chords()[table.chord[state]][1]
        out.append(rules.ChordSegment(first, last, (spelled, MODES[mode]), entry, int(table.inversion[state])))
    return [_cadential(*pair) for pair in zip(out, [*out[1:], None])]


def _cadential(segment: rules.ChordSegment, then: rules.ChordSegment | None) -> rules.ChordSegment:
    """The tonic's 6/4 before the dominant as the cadential one."""
    tonic = segment.entry.root == 0 and segment.entry.target == 0 and segment.inversion == 2
    if then is None or not tonic or then.key != segment.key or (then.entry.root, then.entry.target) != (7, 0):
        return segment
    entry = cadential(MODES.index(segment.key[1]))
    return replace(segment, entry=entry) if entry.quality == segment.entry.quality else segment
