"""A lead sheet's bars, and passages of them as the stem transformer reads them."""

from __future__ import annotations

from fractions import Fraction

from musetune.planning.arranger.language import (
    COMPOUND,
    MAX_BARS,
    METERS,
    NO_HARMONY,
    OFFSETS,
    STEPS,
    Passage,
    PassageChord,
    beats_of,
    offsets_of,
    tonic_offset,
)
from musetune.symbols import LeadSheet
from musetune.symbols.beat_grid import BPM_RANGE


def passage_at(sheet: LeadSheet, start: Fraction, bars: int, meter: str) -> Passage:
    """``bars`` bars (1–8) from beat ``start`` on, in ``meter``, relative to the key in force there."""
    key, beats = sheet.key_at(max(start, Fraction(0))), bars * beats_of(meter)
    harmony: list[PassageChord] = []
    for span in sheet.chords:
        at, end = (round((b - start) * STEPS) for b in (span.start, span.end))
        if end <= 0 or at >= beats * STEPS:
            continue
        last = harmony[-1].step if harmony else -1
        if not harmony and at > 0:
            harmony.append(NO_HARMONY)
        root, bass = span.chord.root_pc, span.chord.bass_pc
        if root is None or bass is None:
            harmony.append(PassageChord(max(at, 0), 12, NO_HARMONY.quality, 12))
        elif at > last:
            tonic = key.tonic_pc
            harmony.append(PassageChord(max(at, 0), (root - tonic) % 12, span.chord.quality_index, (bass - tonic) % 12))
    bpm = min(
        max(sheet.bpm, BPM_RANGE[0]), BPM_RANGE[1]
    )  # what a recording is heard at may lie outside by rounding or more
    return Passage(sheet.genre, meter, key.mode, bpm, tonic_offset(key), bars, _merge_repeats(harmony) or (NO_HARMONY,))


def _merge_repeats(harmony: list[PassageChord]) -> tuple[PassageChord, ...]:
    """Without repetitions: a chord that is told twice sounds on."""
    distinct: list[PassageChord] = []
    for chord in harmony:
        if not distinct or (chord.root, chord.quality, chord.bass) != (
            distinct[-1].root,
            distinct[-1].quality,
            distinct[-1].bass,
        ):
            distinct.append(chord)
    return tuple(distinct)


def cuts(count: int) -> list[int]:
    """``count`` bars cut into passages of at most eight, in fours where that is possible: 12 → 8 4, 9 → 5 4."""
    out = []
    while count > 0:
        size = MAX_BARS if count >= 12 or count == MAX_BARS else count if count < MAX_BARS else -(-count // 2)
        out.append(size)
        count -= size
    return out


def nearest_step(beats: float, meter: str, triplets: bool = True) -> int:
    """The step on the meter's grid nearest to a position in beats; without ``triplets`` sixteenths alone."""
    grid = offsets_of(meter) if triplets or meter in COMPOUND else tuple(o for o in OFFSETS if o % 3 == 0)
    beat, part = divmod(beats * STEPS, STEPS)
    near = min((*grid, STEPS), key=lambda offset: abs(offset - part))
    return int(beat) * STEPS + near


def known_meters(sheet: LeadSheet) -> bool:
    """Whether the transformer has heard every meter of the sheet."""
    return all(str(span.meter) in METERS for span in sheet.meters)
