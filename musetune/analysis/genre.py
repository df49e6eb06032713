"""Whose conventions a lead sheet follows. Harmony, tempo and swing only: the colour of the sound is not looked at,
so this is a score of conventions, not a genre classifier. Each genre is one row; a new row is a new genre."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from musetune import theory


@dataclass(frozen=True)
class Convention:
    """`tempo` bpm range that is usual; `patterns` named progressions at home; `four_note_share` usual share of
    chords with four notes or more; `dominant_share` usual share of dominant sevenths; `swing` usual swing ratio
    range; `cadence` usual types."""

    tempo: tuple[float, float]
    patterns: tuple[str, ...]
    four_note_share: tuple[float, float]
    dominant_share: tuple[float, float]
    swing: tuple[float, float]


CONVENTIONS = {
    "pop": Convention(
        (90, 130),
        ("I-V-vi-IV", "vi-IV-I-V", "I-vi-IV-V", "IV-V-iii-vi", "I-V-vi-iii-IV-I"),
        (0.0, 0.3),
        (0.0, 0.1),
        (0.85, 1.25),
    ),
    "rock": Convention(
        (110, 160), ("I-bVII-IV-I", "I-IV-V-IV", "i-bVI-bIII-bVII"), (0.0, 0.15), (0.0, 0.1), (0.85, 1.25)
    ),
    "jazz": Convention((100, 240), ("ii-V-I", "ii-V-i", "I-vi-ii-V"), (0.5, 1.0), (0.15, 0.6), (1.35, 2.5)),
    "blues": Convention((60, 130), ("12-bar blues",), (0.4, 1.0), (0.4, 1.0), (1.35, 2.5)),
    "classical": Convention((50, 130), ("i-iv-V-i", "i-bVII-bVI-V"), (0.0, 0.35), (0.05, 0.3), (0.85, 1.2)),
    "electronic": Convention((118, 150), ("vi-IV-I-V", "i-bVI-bIII-bVII"), (0.0, 0.3), (0.0, 0.05), (0.9, 1.15)),
}


def genre_analysis(sheet: theory.LeadSheet, rhythm: dict[str, Any]) -> dict[str, Any]:
    """The record's `genre_analysis`: softmax of how many conventions hold, `confidence` the winner's share, and the
    true reasons for the winner. `primary_genre` is null without chords, and where two genres fit equally well."""
    from .harmony import common_patterns

    chords = [span.chord for span in sheet.chords if span.chord.root is not None]
    if not chords:
        return {"primary_genre": None, "confidence": 0.0, "scores": {}, "reasons": ["no chords heard"]}
    patterns = {row["name"] for row in common_patterns(sheet)}
    four = float(np.mean([len(chord.pitch_classes) >= 4 for chord in chords]))
    dominant = float(np.mean([chord.quality in ("7", "9") for chord in chords]))
    judged = {
        name: _judge(name, row, sheet.bpm, patterns, four, dominant, rhythm["swing_ratio"])
        for name, row in CONVENTIONS.items()
    }
    weight = np.exp([points for points, _ in judged.values()])
    scores = {name: round(float(share), 3) for name, share in zip(judged, weight / weight.sum(), strict=True)}
    first, second = sorted(scores, key=lambda name: -scores[name])[:2]
    if scores[first] - scores[second] < 0.01:
        reasons = [f"{first} and {second} fit equally well"]
        return {"primary_genre": None, "confidence": 0.0, "scores": scores, "reasons": reasons}
    return {"primary_genre": first, "confidence": scores[first], "scores": scores, "reasons": judged[first][1]}


def _judge(
    name: str, row: Convention, bpm: float, patterns: set[str], four: float, dominant: float, swing: float | None
) -> tuple[float, list[str]]:
    """Points (a convention kept adds, one broken takes away) and the reasons in words for those kept."""
    points, reasons = 0.0, []
    percent: Callable[[float], str] = "{:.0%}".format
    tests: list[tuple[float | None, tuple[float, float], float, str]] = [
        (bpm, row.tempo, 0.5, f"{bpm:.0f} bpm lies in {name}'s {row.tempo[0]:.0f}–{row.tempo[1]:.0f}"),
        (four, row.four_note_share, 0.7, f"{percent(four)} of the chords have four notes or more"),
        (dominant, row.dominant_share, 0.5, f"{percent(dominant)} of the chords are dominant sevenths"),
        (swing, row.swing, 0.4, f"swing ratio {swing}"),
    ]
    for value, (low, high), worth, reason in tests:
        if value is None:
            continue
        kept = low <= value <= high
        points += worth if kept else -worth
        if kept:
            reasons.append(reason)
    at_home = sorted(patterns & set(row.patterns))
    points += 1.0 if at_home else 0.0
    return points, [f"uses {pattern}" for pattern in at_home] + reasons
