"""A clip that plays a lead sheet plainly.

Block chords, bass and drums; and what a perfect listener would say of a sheet.
"""

from __future__ import annotations

import numpy as np
import pretty_midi

from musetune.audio import synthesize
from musetune.symbols import LeadSheet
from musetune.symbols.estimate import Estimate


def play(sheet: LeadSheet, sr: int = 16000) -> np.ndarray:
    """Mono float audio (samples,) of the sheet's length."""
    midi = pretty_midi.PrettyMIDI(initial_tempo=sheet.bpm)
    keys, bass, drums = pretty_midi.Instrument(0), pretty_midi.Instrument(33), pretty_midi.Instrument(0, is_drum=True)
    for (start, end), span in zip(sheet.chord_intervals_s, sheet.chords, strict=True):
        for pitch in (60 + pc for pc in span.chord.pitch_classes):
            keys.notes.append(pretty_midi.Note(80, pitch, start, end))
        bass.notes.append(pretty_midi.Note(90, 36 + span.chord.bass_pc, start, end))
    for time in sheet.beats_s:
        on_bar = np.abs(sheet.downbeats_s - time).min() < 1e-6
        drums.notes.append(pretty_midi.Note(110, 36 if on_bar else 38, time, time + 0.1))
        drums.notes.append(pretty_midi.Note(60, 42, time, time + 0.1))
    midi.instruments += [keys, bass, drums]
    return synthesize(midi, sr, duration_s=sheet.duration_s)


def perfect(sheet: LeadSheet) -> Estimate:
    """What a listener says who hears exactly what the sheet asks."""
    labels = list(sheet.chord_labels)
    return Estimate(
        sheet.chord_intervals_s,
        labels,
        np.ones(len(labels)),
        sheet.beats_s,
        sheet.downbeats_s,
        str(sheet.key),
        sheet.bpm,
    )
