"""What the chords do, put together for the record from `musetune.theory`. Symbols only, no sound."""

from __future__ import annotations

from collections.abc import Sequence

from musetune.symbols import LeadSheet, Note
from musetune.symbols.json_values import JsonObject
from musetune.theory.harmony.cadence import cadences
from musetune.theory.harmony.complexity import progression_complexity
from musetune.theory.harmony.function import functions
from musetune.theory.harmony.patterns import find_patterns
from musetune.theory.harmony.voice_leading import voice_leading
from musetune.theory.numerals.context import romans


def harmonic_analysis(
    sheet: LeadSheet,
    voices: Sequence[tuple[Note, ...]] | None = None,
    numerals: list[str] | None = None,
) -> JsonObject:
    """The record's `harmonic_analysis` of the chords of `sheet` in its local keys; numerals and functions are one a
    sounding chord. `voices`, where known, tell the top voice of cadences and the voice leading; `numerals` are those
    that the notes told, where they did.
    """
    from musetune.theory.harmony.modulation import modulations

    numerals = romans(sheet) if numerals is None else numerals
    return {
        "roman_numerals": numerals,
        "functional_harmony": functions(sheet),
        "common_patterns": common_patterns(sheet),
        "cadences": [
            {
                "type": cadence.type,
                "subtype": cadence.subtype,
                "strength": cadence.strength,
                "at_beat": float(cadence.at_beat),
                "at_s": round(float(sheet.grid.time_at(cadence.at_beat)), 4),
            }
            for cadence in cadences(sheet, voices)
        ],
        "voice_leading": voice_leading(sheet, voices),
        "modulations": [
            {"at_beat": float(change.at_beat), "to_key": str(change.to_key), "pivot": change.pivot}
            for change in modulations(sheet)
        ],
        "progression_complexity": progression_complexity(sheet, numerals),
    }


def common_patterns(sheet: LeadSheet) -> list[JsonObject]:
    """Named progressions with the beat of the first and the number of occurrences (without overlap), the most
    frequent first; `known_as` where it has another name, `rotation` where a loop begins that many chords late."""
    rows = []
    for occurrence in find_patterns(sheet):
        row: JsonObject = {
            "name": occurrence.pattern.name,
            "start_beat": occurrence.start_beat,
            "occurrences": occurrence.occurrences,
        }
        if occurrence.pattern.known_as:
            row["known_as"] = occurrence.pattern.known_as
        if occurrence.rotation:
            row["rotation"] = occurrence.rotation
        rows.append(row)
    return rows
