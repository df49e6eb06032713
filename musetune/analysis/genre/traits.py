"""What a piece does, in the terms that tell genres apart: numbers for the conventions and the classifier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from musetune.analysis.listening.timbre import TIMBRE_NAMES
from musetune.symbols import Chord, Key, LeadSheet
from musetune.symbols.json_values import JsonObject
from musetune.symbols.key import SCALES
from musetune.symbols.qualities import QUALITY_INTERVALS
from musetune.theory.numerals import scale_degree

DOMINANTS = ("7", "9")
CHORD_KINDS: dict[str, Callable[[Chord, Key], bool]] = {  # shares of the time in which chords sound
    "triads": lambda chord, key: chord.quality in ("maj", "min"),
    "four notes": lambda chord, key: len(QUALITY_INTERVALS[chord.quality]) >= 4,
    "dominant sevenths": lambda chord, key: chord.quality in DOMINANTS,
    "dominant sevenths on I or IV": lambda chord, key: (
        chord.quality in DOMINANTS and scale_degree(chord, key) in (0, 5)
    ),
    "major sevenths": lambda chord, key: chord.quality in ("maj7", "maj9"),
    "minor sevenths": lambda chord, key: chord.quality in ("min7", "min9"),
    "minor": lambda chord, key: chord.quality.startswith("min"),
    "diminished": lambda chord, key: "dim" in chord.quality,
    "augmented": lambda chord, key: chord.quality == "aug",
    "suspended": lambda chord, key: chord.quality.startswith("sus"),
    "power chords": lambda chord, key: chord.quality == "5",
    "inverted": lambda chord, key: chord.bass != "1",
    "outside the key": lambda chord, key: not {(pc - key.tonic_pc) % 12 for pc in chord.pitch_classes} <= _scale(key),
}
SOUND_WORDS: dict[str, tuple[str, float, float]] = {  # word → (feature of timbre.py, lowest, highest)
    "drums": ("broad attacks", 0.6, 50.0),
    "busy drums": ("broad attacks", 3.5, 50.0),
    "no drums": ("broad attacks", 0.0, 0.3),
    "bright": ("brightness", 0.29, 1.0),
    "mellow": ("brightness", 0.0, 0.26),
    "wide dynamics": ("dynamics", 0.15, 5.0),
    "even loudness": ("dynamics", 0.0, 0.15),
}
MOTIONS = {
    "down a fifth": (5,),
    "up a fifth": (7,),
    "by step": (1, 2, 10, 11),
    "by third": (3, 4, 8, 9),
    "by tritone": (6,),
}
LOOP_BARS = (1, 2, 4, 8, 12)
HARMONY_NAMES = (
    *CHORD_KINDS,
    *(f"degree {degree}" for degree in range(12)),
    *(f"root moves {name}" for name in MOTIONS),
    "dominant seventh resolved", "ii-V motion", "minor key", "chords a bar", "different chords", "no chord",
    *(f"same as {bars} bars before" for bars in LOOP_BARS),
)  # fmt: skip
RHYTHM_NAMES = (
    "log tempo",
    "in three",
    "compound",
    "odd metre",
    "swing",
    "syncopation",
    "complexity",
    "tempo stability",
)
FEATURE_NAMES = (*HARMONY_NAMES, *RHYTHM_NAMES, *TIMBRE_NAMES)


def _scale(key: Key) -> set[int]:
    """Steps above the tonic; in minor with both sevenths."""
    return set(SCALES["major"]) if key.mode == "major" else {*SCALES["minor"], 11}


@dataclass(frozen=True)
class GenreTraits:
    """`bpm`; `meter` as in 4/4; `patterns` names found; `chords` share by CHORD_KINDS, empty without chords; `swing`
    and `syncopation` of the record's rhythm, None where not told; `sound` by TIMBRE_NAMES, empty without sound.
    """

    bpm: float
    meter: str
    patterns: tuple[str, ...]
    chords: dict[str, float]
    swing: float | None
    syncopation: float | None
    sound: dict[str, float]


def traits(sheet: LeadSheet, rhythm: JsonObject, timbre: np.ndarray | None) -> GenreTraits:
    """The traits of a lead sheet with the record's `rhythmic_analysis` and, where there is a sound, its timbre."""
    from musetune.theory.harmony.patterns import find_patterns

    shares = chord_shares(sheet)
    return GenreTraits(
        sheet.bpm,
        str(sheet.meter),
        tuple(dict.fromkeys(match.pattern.name for match in find_patterns(sheet))) if shares else (),
        shares,
        rhythm.get("swing_ratio"),
        rhythm.get("syncopation_index"),
        {} if timbre is None else dict(zip(TIMBRE_NAMES, map(float, timbre), strict=True)),
    )


def chord_shares(sheet: LeadSheet) -> dict[str, float]:
    """Share, 0…1, of the time of sounding chords that each of CHORD_KINDS takes, each chord in its local key; empty
    without chords."""
    spans = [(span.chord, sheet.key_at(span.start), float(span.beats)) for span in sheet.chords if span.chord.root]
    total = sum(beats for _, _, beats in spans)
    if not total:
        return {}
    return {
        name: sum(beats for chord, key, beats in spans if holds(chord, key)) / total
        for name, holds in CHORD_KINDS.items()
    }


def features(sheet: LeadSheet, rhythm: JsonObject, timbre: np.ndarray | None) -> np.ndarray:
    """(len(FEATURE_NAMES),) floats, NaN where not known."""
    sound = np.full(len(TIMBRE_NAMES), np.nan) if timbre is None else np.asarray(timbre, float)
    return np.concatenate([_harmony(sheet), _rhythm(sheet, rhythm), sound])


def _harmony(sheet: LeadSheet) -> np.ndarray:
    """(len(HARMONY_NAMES),), all NaN without chords."""
    shares = chord_shares(sheet)
    if not shares:
        return np.full(len(HARMONY_NAMES), np.nan)
    spans = [span for span in sheet.chords if span.chord.root is not None]
    beats = np.array([float(span.beats) for span in spans])
    degrees = np.array([scale_degree(span.chord, sheet.key_at(span.start)) for span in spans])
    roots = np.array([span.chord.root_pc for span in spans])
    moves = np.diff(roots) % 12
    moved = max(1, int((moves != 0).sum()))
    dominant = np.array([span.chord.quality in DOMINANTS for span in spans])
    twos = np.array([span.chord.quality in ("min", "min7", "min9", "hdim7") for span in spans])
    minor = [sheet.key_at(span.start).mode != "major" for span in spans]
    share = np.bincount(degrees, beats, 12) / beats.sum()
    values = [
        *shares.values(),
        *share,
        *(np.isin(moves, steps).sum() / moved for steps in MOTIONS.values()),
        (dominant[:-1] & (moves == 5)).sum() / max(1, dominant[:-1].sum()),
        (twos[:-1] & (moves == 5)).sum() / moved,
        np.average(minor, weights=beats),
        moved / max(1.0, beats.sum() / sheet.meter.beats_per_bar),
        -(share[share > 0] * np.log2(share[share > 0])).sum(),
        1 - beats.sum() / float(sheet.length),
        *_loops(sheet),
    ]
    return np.array(values, float)


def _loops(sheet: LeadSheet) -> list[float]:
    """Share of half bars whose root is that of the place LOOP_BARS earlier; NaN in pieces that are too short."""
    half = sheet.meter.beats_per_bar / 2
    at = np.arange(float(sheet.first_downbeat), float(sheet.length), half)
    starts = np.array([float(span.start) for span in sheet.chords])
    index = np.searchsorted(starts, at + half / 2, side="right") - 1
    roots = np.array([-1 if sheet.chords[i].chord.root_pc is None else sheet.chords[i].chord.root_pc for i in index])
    return [
        float((roots[2 * bars :] == roots[: -2 * bars]).mean()) if len(roots) > 3 * bars else np.nan
        for bars in LOOP_BARS
    ]


def _rhythm(sheet: LeadSheet, rhythm: JsonObject) -> np.ndarray:
    meter = sheet.meter
    figures = [rhythm.get(name) for name in ("swing_ratio", "syncopation_index", "complexity_score", "tempo_stability")]
    values = [
        np.log2(sheet.bpm),
        meter.numerator % 3 == 0 and not meter.compound,
        meter.compound,
        meter.numerator in (5, 7),
        *(np.nan if value is None else value for value in figures),
    ]
    return np.array(values, float)
