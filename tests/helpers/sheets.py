"""Lead sheets of every kind for property tests."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import strategies as st

from musetune.symbols import LeadSheet, Note

METERS = ("2/4", "3/4", "4/4", "5/4", "6/8", "12/8", "7/8", "2/2")
CHORDS = (
    "C",
    "Am7",
    "F#m7b5/C",
    "Bb:maj7/3",
    "Dsus4",
    "Gsus2",
    "E:aug",
    "G7/F",
    "N.C.",
    "Cm(maj7)",
    "ii7",
    "V7",
    "N.C.",
)


@st.composite
def sheets(draw: st.DrawFn) -> LeadSheet:
    """One to five bars of N.C., suspended, slash and other chords in any of METERS, with or without a pickup."""
    bars = draw(st.lists(st.lists(st.sampled_from(CHORDS), min_size=1, max_size=3), min_size=1, max_size=5))
    text = "".join(f"| {' '.join(bar)} " for bar in bars) + "|"
    sheet = LeadSheet.parse(
        text, bpm=draw(st.sampled_from([47, 90, 120.5, 240])), time_signature=draw(st.sampled_from(METERS))
    )
    sheet = replace(sheet, first_downbeat=Fraction(draw(st.integers(0, sheet.meter.beats_per_bar - 1))))
    melody = (Note(Fraction(0), min(Fraction(1), sheet.length), 67),) if draw(st.booleans()) else ()
    return replace(sheet, melody=melody, genre=draw(st.sampled_from([None, "jazz"])))
