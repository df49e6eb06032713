"""Analyses in Roman numerals that others made, as labels in time: When in Rome's RomanText beside its scores."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
from music21 import converter
from music21.exceptions21 import Music21Exception

from musetune.formats.musicxml_reader import notation_bytes
from musetune.formats.scores import read_score
from musetune.symbols.qualities import QUALITY_INTERVALS
from musetune.symbols.remarks import collected
from musetune.symbols.score import Score
from musetune.theory.numerals.frames import frames_of

HARMONY = re.compile(rb"<harmony\b[^>]*?(?:/>|>.*?</harmony>)", re.DOTALL)
PART = re.compile(rb"<part\s[^>]*?(?:/>|[^/]>.*?</part>)", re.DOTALL)
SCORE_PART = re.compile(rb"<score-part\s[^>]*?(?:/>|[^/]>.*?</score-part>)", re.DOTALL)
PART_GROUP = re.compile(rb"<part-group\b[^>]*?(?:/>|[^/]>.*?</part-group>)", re.DOTALL)
SIXTHS = ("It", "Ger", "Fr")
SETS = {
    tuple(sorted(i % 12 for i in v)): k for k, v in QUALITY_INTERVALS.items() if k not in ("maj6", "min6", "5", "N")
}
FOLD = {"9": "7", "maj9": "maj7", "min9": "min7", "minmaj7": "min7", "maj6": "maj", "min6": "min"}


@dataclass(frozen=True)
class Label:
    """A numeral from quarter ``start`` on: ``key`` (tonic, mode), ``degree`` (root above the tonicised tonic, that
    above the tonic).
    """

    start: Fraction
    key: tuple[int, str]
    degree: tuple[int, int]
    quality: str
    inversion: int


def read_piece(score_path: Path, analysis_path: Path) -> tuple[Score, list[Label]]:
    """A score in MusicXML and the analysis in RomanText that belongs to it, places in quarters of the score."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = HARMONY.sub(b"", notation_bytes(score_path))  # music21 gives up on symbols it cannot read
        part = converter.parse(first_part(text), format="musicxml", forceSource=True).parts[0]  # type: ignore[union-attr]
        bars = {m.measureNumberWithSuffix(): m for m in part.getElementsByClass("Measure")}
        with collected():
            score = read_score(score_path, repeats=False)  # as the analysis counts
        return score, truth(analysis_path, bars)


def first_part(text: bytes) -> bytes:
    """MusicXML with its first part alone, which has all the bars; read in a fraction of the time.

    Example:
        >>> first_part(b'<part-list><score-part id="A"/><score-part id="B"/></part-list><part id="A"/><part id="B"/>')
        b'<part-list><score-part id="A"/></part-list><part id="A"/>'
    """
    for pattern in (SCORE_PART, PART):
        spans = [match.span() for match in pattern.finditer(text)]
        for start, end in reversed(spans[1:]):
            text = text[:start] + text[end:]
    return PART_GROUP.sub(b"", text)


def truth(path: Path, bars: dict) -> list[Label]:  # type: ignore[type-arg]
    """The labels of an analysis in RomanText, placed by the numbers of the score's bars; second readings ("var") are
    left out.
    """
    from music21.meter import TimeSignature
    from music21.romanText import rtObjects

    written: dict[str, list[tuple[Fraction, tuple[str, str]]]] = {}
    time_signature, key = TimeSignature("4/4"), "C"
    for line in path.read_text().splitlines():
        if line.lower().startswith("time signature:"):
            time_signature = TimeSignature(line.split(":")[1].strip())
        if not re.match(r"m\d", line) or "var" in line.split()[0]:
            continue
        token = rtObjects.RTMeasure(line.strip())
        number = f"{token.number[0]}{token.repeatLetter[0]}"
        if token.isCopyDefinition:
            first, last = token.getCopyTarget()[0][0], token.getCopyTarget()[0][-1]
            for n in range(first, last + 1):
                written[str(token.number[0] + n - first)] = list(written.get(str(n), []))
                key = written[str(n)][-1][1][1] if written.get(str(n)) else key
        else:
            written[number], key = bar_of(token, time_signature, key)
    return placed(written, bars)


def bar_of(token, time_signature, key: str) -> tuple[list[tuple[Fraction, tuple[str, str]]], str]:  # type: ignore[no-untyped-def]
    """[(quarters from the bar line, reading)] of one line of RomanText, and the key at its end."""
    from music21.romanText import rtObjects

    out, offset = [], Fraction(0)
    for atom in rtObjects.RTHandler().tokenizeAtoms(token.data, container=token):
        if isinstance(atom, rtObjects.RTBeat):
            offset = Fraction(atom.getOffset(time_signature)).limit_denominator(96)
        elif isinstance(atom, rtObjects.RTKeyTypeAtom):
            name = atom.src.rstrip(":;")
            key = name[0] + name[1:].replace("b", "-")
        elif isinstance(atom, rtObjects.RTChord):
            out.append((offset, (atom.src, key)))
    return out, key


def placed(written: dict[str, list[tuple[Fraction, tuple[str, str]]]], bars: dict) -> list[Label]:  # type: ignore[type-arg]
    """The readings at their places in the score; bars that the score lacks are left out. In a pick-up bar, beats
    count from its full length.
    """
    out: list[Label] = []
    for number, readings in written.items():
        bar = bars.get(number) or bars.get(number.rstrip("abcd"))
        if bar is None:
            continue
        full, held = bar.barDuration.quarterLength, bar.highestTime
        missing = bar.paddingLeft or (full - held if bar.number == 0 and held < full else 0)
        start = bar.getOffsetBySite(bar.activeSite) - missing
        for offset, reading in readings:
            label = label_of(reading)
            if label is not None:
                at = max(start + offset, bar.getOffsetBySite(bar.activeSite))
                out.append(replace(label, start=Fraction(at).limit_denominator(96)))
    return sorted(out, key=lambda label: label.start)


@cache
def label_of(reading: tuple[str, str]) -> Label | None:
    """A reading (figure, key; "f#" is minor) as a label at 0, by music21; None where it stands for no chord."""
    from music21 import key, roman

    figure = re.sub(r"\[.*?\]", "", reading[0])
    caution = roman.Minor67Default.CAUTIONARY  # RomanText's own rule for vi and vii in minor
    try:
        numeral = roman.RomanNumeral(figure, key.Key(reading[1]), sixthMinor=caution, seventhMinor=caution)
    except (Music21Exception, ValueError):
        return None
    if not numeral.pitches:
        return None
    start = Fraction(0)
    home = numeral.key
    applied = numeral.secondaryRomanNumeralKey or home
    target = (applied.tonic.pitchClass - home.tonic.pitchClass) % 12
    tonic, root, bass = applied.tonic.pitchClass, numeral.root().pitchClass, numeral.bass().pitchClass
    local = (home.tonic.pitchClass, home.mode)
    sixth = next((s for s in SIXTHS if figure.startswith(s)), None)
    if sixth:
        return Label(start, local, (8, target), sixth, 0 if (bass - tonic) % 12 == 8 else 1)
    steps = tuple(sorted({(p.pitchClass - root) % 12 for p in numeral.pitches}))
    quality = SETS.get(steps, "other")
    return Label(start, local, ((root - tonic) % 12, target), FOLD.get(quality, quality), numeral.inversion())


def misplaced(score: Score, true: Sequence[Label]) -> bool:
    """Whether the analysis numbers the bars otherwise than the score: moved by a bar or two, the chords of its first
    or second half hold at least 10 % more of what sounds under them than where the numbers put them.
    """
    frames = frames_of(score)
    sums = np.vstack([np.zeros(12), np.cumsum(frames.classes, axis=0)])
    meter, end = score.meters[0].meter, float(frames.places[-1])
    edges = [float(label.start) for label in true] + [end]
    chords = [[(sum(x.degree) + x.key[0] + i) % 12 for i in QUALITY_INTERVALS.get(x.quality, (0, 4, 10))] for x in true]

    def held(bars: int, half: int) -> float:
        shift, inside, total = bars * float(meter.beats_per_bar * meter.beat_quarters), 0.0, 1e-9
        for a, b, tones in zip(edges, edges[1:], chords):
            if (a >= end / 2) == bool(half):
                first, last = np.clip(np.searchsorted(frames.places, [a + shift, b + shift]), 0, len(sums) - 1)
                sounding = sums[last] - sums[first]
                inside, total = inside + sounding[tones].sum(), total + sounding.sum()
        return inside / total

    return any(held(bars, half) > held(0, half) + 0.1 for bars in (-2, -1, 1, 2) for half in (0, 1))
