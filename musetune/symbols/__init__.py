"""Chords, keys, meters, beats, lead sheets, scores, arrangements: plain immutable values. Needs numpy only."""

from musetune.symbols.arrangement import Arrangement, Stem, StemNote, Writer
from musetune.symbols.beat_grid import BPM_RANGE, BeatGrid
from musetune.symbols.chord import NO_CHORD, Chord
from musetune.symbols.expression import Expression
from musetune.symbols.key import Key
from musetune.symbols.lead_sheet import GENRES, LeadSheet
from musetune.symbols.meter import Meter
from musetune.symbols.qualities import QUALITIES
from musetune.symbols.score import Score
from musetune.symbols.spans import ChordSpan, KeySpan, MeterSpan, Note, Section, SectionPurpose

__all__ = [
    "BPM_RANGE",
    "GENRES",
    "NO_CHORD",
    "QUALITIES",
    "Arrangement",
    "BeatGrid",
    "Chord",
    "ChordSpan",
    "Expression",
    "Key",
    "KeySpan",
    "LeadSheet",
    "Meter",
    "MeterSpan",
    "Note",
    "Score",
    "Section",
    "SectionPurpose",
    "Stem",
    "StemNote",
    "Writer",
]
