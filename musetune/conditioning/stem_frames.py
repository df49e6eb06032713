"""Stems as frames: what the players do at each moment, for the adapter.

A stem that is given and plays nothing is silence, not absence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from musetune.symbols.arrangement import Arrangement, StemNote

STEM_STREAMS = ("drums", "bass", "comping", "lead")
PLAYERS = {
    "drums": ("drums",),
    "bass": ("bass",),
    "comping": ("guitar", "keys"),
    "lead": ("lead",),
}  # stems of each stream
DRUM_CLASSES = {  # General MIDI percussion; what is in none of these is "other"
    "kick": (35, 36),
    "snare": (37, 38, 39, 40),
    "hat": (42, 44, 54, 69, 70, 82),
    "cymbal": (46, 49, 51, 52, 53, 55, 57, 59),
    "other": (),
}
HIDDEN = -1.0  # a value of frames that say nothing, as if the stem were not given there
OCTAVES = {"bass": range(1, 5), "lead": range(2, 8)}  # C4 = MIDI 60; lower and higher ones count as the nearest
PITCH_CLASSES = range(12)
STEM_FIELDS = (
    *(f"drums_{name}" for name in DRUM_CLASSES),
    *(f"bass_pitch_{i}" for i in PITCH_CLASSES),
    *(f"bass_octave_{i}" for i in OCTAVES["bass"]),
    "bass_onset",
    *(f"comping_pitch_{i}" for i in PITCH_CLASSES),
    "comping_onset",
    *(f"lead_pitch_{i}" for i in PITCH_CLASSES),
    *(f"lead_octave_{i}" for i in OCTAVES["lead"]),
    "lead_onset",
)
STEM_COLUMNS = {  # of STEM_FIELDS
    stream: [i for i, field in enumerate(STEM_FIELDS) if field.startswith(f"{stream}_")] for stream in STEM_STREAMS
}


def drum_class(pitch: int) -> str:
    """Return kick, snare, hat, cymbal or other, for a General MIDI percussion note."""
    return next((name for name, pitches in DRUM_CLASSES.items() if pitch in pitches), "other")


def stem_frames(arrangement: Arrangement, times_s: np.ndarray, kernel_s: float) -> np.ndarray:
    """(n, 54) float32, columns STEM_FIELDS, at ``times_s`` (n,) of the arrangement's own time.

    Hits and onsets are kernels exp(−d² / 2 kernel_s²) of the distance to the nearest, hits by their velocity; pitches
    are 1 while they sound.
    """
    out = np.zeros((len(times_s), len(STEM_FIELDS)), np.float32)
    column = {field: i for i, field in enumerate(STEM_FIELDS)}
    for stream, names in PLAYERS.items():
        notes = [note for name in names if name in arrangement.stems for note in arrangement.stems[name].notes]
        for note in notes:
            start, end = _seconds(arrangement, note)
            field = f"drums_{drum_class(note.pitch)}" if stream == "drums" else f"{stream}_onset"
            height = note.velocity / 127 if stream == "drums" else 1.0
            _strike(out[:, column[field]], times_s, start, height, kernel_s)
            if stream == "drums":
                continue
            here = slice(*np.searchsorted(times_s, (start, max(end, start + kernel_s))))
            out[here, column[f"{stream}_pitch_{note.pitch % 12}"]] = 1
            if stream in OCTAVES:
                octave = min(max(note.pitch // 12 - 1, OCTAVES[stream][0]), OCTAVES[stream][-1])
                out[here, column[f"{stream}_octave_{octave}"]] = 1
    return out


def _seconds(arrangement: Arrangement, note: StemNote) -> tuple[float, float]:
    start, end = arrangement.grid.time_at(np.array([note.start, note.start + note.beats]))
    return float(start), float(end)


def _strike(column: np.ndarray, times_s: np.ndarray, at: float, height: float, kernel_s: float) -> None:
    """Raise a column, in place, to a kernel around ``at`` where it is lower; four widths are enough."""
    near = slice(*np.searchsorted(times_s, (at - 4 * kernel_s, at + 4 * kernel_s)))
    kernel = height * np.exp(-0.5 * ((times_s[near] - at) / kernel_s) ** 2)
    column[near] = np.maximum(column[near], kernel)
