"""What the chords do: Roman numerals, functions, named patterns, cadences, voice leading, complexity. Symbols only,
no sound.

Left null because chord symbols do not tell: parallel fifths and octaves (they need voices). `modulations` is null:
one key a sheet is found so far.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from itertools import pairwise, permutations
from typing import Any

import numpy as np

from musetune import theory

# (chromatic degree above the tonic, is its third minor?) of each step
PATTERNS: dict[str, tuple[tuple[int, bool], ...]] = {
    "I-V-vi-IV": ((0, False), (7, False), (9, True), (5, False)),
    "vi-IV-I-V": ((9, True), (5, False), (0, False), (7, False)),
    "I-vi-IV-V": ((0, False), (9, True), (5, False), (7, False)),
    "I-vi-ii-V": ((0, False), (9, True), (2, True), (7, False)),
    "I-IV-V-IV": ((0, False), (5, False), (7, False), (5, False)),
    "I-bVII-IV-I": ((0, False), (10, False), (5, False), (0, False)),
    "IV-V-iii-vi": ((5, False), (7, False), (4, True), (9, True)),
    "I-V-vi-iii-IV-I": ((0, False), (7, False), (9, True), (4, True), (5, False), (0, False)),
    "ii-V-I": ((2, True), (7, False), (0, False)),
    "ii-V-i": ((2, True), (7, False), (0, True)),
    "i-bVI-bIII-bVII": ((0, True), (8, False), (3, False), (10, False)),
    "i-bVII-bVI-V": ((0, True), (10, False), (8, False), (7, False)),
    "i-iv-V-i": ((0, True), (5, True), (7, False), (0, True)),
}
BLUES = tuple((step, False) for step in (0, 0, 0, 0, 5, 5, 0, 0, 7, 5, 0))  # eleven bars; the twelfth is I or V


def harmonic_analysis(sheet: theory.LeadSheet) -> dict[str, Any]:
    """The record's `harmonic_analysis` of the chords of `sheet` in its first key."""
    spans = [span for span in sheet.chords if span.chord.root is not None]
    key = sheet.key
    romans = [theory.roman_of(span.chord, key) for span in spans]
    return {
        "roman_numerals": romans,
        "functional_harmony": [theory.function_of(span.chord, key) for span in spans],
        "common_patterns": common_patterns(sheet),
        "cadences": [
            {
                "type": cadence.type,
                "subtype": cadence.subtype,
                "strength": cadence.strength,
                "at_beat": float(cadence.at_beat),
                "at_s": round(float(sheet.grid.time_at(cadence.at_beat)), 4),
            }
            for cadence in theory.cadences(sheet)
        ],
        "voice_leading": voice_leading([span.chord for span in spans]),
        "modulations": None,
        "progression_complexity": progression_complexity(sheet, romans),
    }


def common_patterns(sheet: theory.LeadSheet) -> list[dict[str, Any]]:
    """Named progressions with the beat of the first and the number of occurrences (without overlap), the most
    frequent first.

    Compared by root degree and by whether the third is minor; a chord that only changes its quality or bass counts
    as held.
    """
    steps: list[tuple[int, bool]] = []
    starts: list[float] = []
    for span in sheet.chords:
        if span.chord.root is None:
            continue
        step = _step(span.chord, sheet.key)
        if not steps or steps[-1] != step:
            steps.append(step)
            starts.append(float(span.start))
    found = []
    for name, pattern in PATTERNS.items():
        at = _occurrences(steps, pattern)
        if at:
            found.append({"name": name, "start_beat": starts[at[0]], "occurrences": len(at)})
    found += _blues(sheet)
    return sorted(found, key=lambda row: (-row["occurrences"], row["start_beat"]))


def _step(chord: theory.Chord, key: theory.Key) -> tuple[int, bool]:
    assert chord.root_pc is not None
    return theory.scale_degree(chord, key), (chord.root_pc + 3) % 12 in chord.pitch_classes


def _occurrences(steps: list[tuple[int, bool]], pattern: tuple[tuple[int, bool], ...]) -> list[int]:
    at, here = [], 0
    while here <= len(steps) - len(pattern):
        if tuple(steps[here : here + len(pattern)]) == pattern:
            at.append(here)
            here += len(pattern)
        else:
            here += 1
    return at


def _blues(sheet: theory.LeadSheet) -> list[dict[str, Any]]:
    """Twelve-bar blues, by the chord on each bar line; the quick change to IV in bar 2 is allowed."""
    bar = sheet.meter.beats_per_bar
    lines = [
        float(sheet.first_downbeat) + bar * number
        for number in range(int((sheet.length - sheet.first_downbeat) // bar))
    ]
    chords = [sheet.chord_at(line) for line in lines]
    steps = [
        _step(chord, sheet.key) if chord is not None and chord.root is not None else (12, False) for chord in chords
    ]
    quick = (BLUES[0], (5, False), *BLUES[2:])
    at = sorted({start for pattern in (BLUES, quick) for start in _occurrences(steps, pattern)})
    return [{"name": "12-bar blues", "start_beat": lines[at[0]], "occurrences": len(at)}] if at else []


def voice_leading(chords: list[theory.Chord]) -> dict[str, Any] | None:
    """Between successive chords: mean size of the smallest voice leading in semitones (taxicab, Tymoczko, A
    Geometry of Music, 2011, ch. 2), mean number of common tones, and smoothness = 1 − mean size / 6, 6 semitones
    being about the largest smallest motion between two triads. None for fewer than two chords."""
    pairs = [(a, b) for a, b in pairwise(chords) if a.pitch_classes != b.pitch_classes]
    if not pairs:
        return None
    motion = float(
        np.mean([smallest_motion(tuple(sorted(a.pitch_classes)), tuple(sorted(b.pitch_classes))) for a, b in pairs])
    )
    common = float(np.mean([len(set(a.pitch_classes) & set(b.pitch_classes)) for a, b in pairs]))
    return {
        "mean_motion_semitones": round(motion, 3),
        "parallel_fifths": None,
        "parallel_octaves": None,
        "common_tones": round(common, 3),
        "smoothness": round(max(0.0, 1 - motion / 6), 3),
    }


@lru_cache(maxsize=4096)
def smallest_motion(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    """Semitones that voices move in all, at least, from one pitch-class set to another; the smaller set doubles the note that costs least."""
    if len(first) > len(second):
        first, second = second, first
    best = 12 * len(second)
    for order in permutations(range(len(second)), len(first)):
        total = sum(_apart(note, second[place]) for note, place in zip(first, order, strict=True))
        total += sum(
            min(_apart(note, other) for note in first) for place, other in enumerate(second) if place not in order
        )
        best = min(best, total)
    return best


def _apart(a: int, b: int) -> int:
    return min((a - b) % 12, (b - a) % 12)


def progression_complexity(sheet: theory.LeadSheet, romans: list[str]) -> float | None:
    """0…1, our own measure: the mean of (a) the entropy of the Roman numerals over log2 12, at most 1, (b) the
    share of chords with a note outside the key's scale, (c) the share with four or more notes. None without chords."""
    chords = [span.chord for span in sheet.chords if span.chord.root is not None]
    if not chords:
        return None
    share = np.array(list(Counter(romans).values())) / len(romans)
    entropy = min(1.0, float(-(share * np.log2(share)).sum()) / np.log2(12))
    scale = (0, 2, 4, 5, 7, 9, 11) if sheet.key.mode == "major" else (0, 2, 3, 5, 7, 8, 10, 11)
    notes = {(sheet.key.tonic_pc + step) % 12 for step in scale}
    outside = float(np.mean([not set(chord.pitch_classes) <= notes for chord in chords]))
    rich = float(np.mean([len(chord.pitch_classes) >= 4 for chord in chords]))
    return round((entropy + outside + rich) / 3, 3)
