"""Symbols: chords, keys, metres, beats, lead sheets. numpy and music21; no torch, no audio."""

from musetune.theory.chord import NO_CHORD, QUALITIES, Chord
from musetune.theory.function import CADENCES, FUNCTIONS, Cadence, cadences, function_of
from musetune.theory.grid import BPM_RANGE, BeatGrid
from musetune.theory.key import Key
from musetune.theory.leadsheet import GENRES, ChordSpan, KeySpan, LeadSheet, MeterSpan, Note, Section
from musetune.theory.meter import Meter
from musetune.theory.roman import resolve_roman, roman_of, scale_degree

__all__ = [
    "BPM_RANGE", "CADENCES", "FUNCTIONS", "GENRES", "NO_CHORD", "QUALITIES", "BeatGrid", "Cadence", "Chord", "ChordSpan", "Key", "KeySpan",
    "LeadSheet", "Meter", "MeterSpan", "Note", "Section", "cadences", "function_of", "resolve_roman", "roman_of", "scale_degree",
]  # fmt: skip
