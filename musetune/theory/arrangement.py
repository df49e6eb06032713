"""Notes per stem, in beats: what players read and a synthesiser plays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pretty_midi

    from musetune.theory.grid import BeatGrid


@dataclass(frozen=True)
class StemNote:
    """One note: onset and length in beats, MIDI pitch 0–127, velocity 1–127."""

    start: float
    beats: float
    pitch: int
    velocity: int = 90


@dataclass(frozen=True)
class Stem:
    """The notes of one player; ``program`` is a General MIDI program (0–127), ignored for drums."""

    program: int
    notes: tuple[StemNote, ...]
    is_drum: bool = False


@dataclass(frozen=True)
class Arrangement:
    """Stems by name ("drums", "bass", "guitar", "keys", "lead") on one beat grid."""

    grid: BeatGrid
    stems: dict[str, Stem] = field(default_factory=dict)

    def to_pretty_midi(self) -> pretty_midi.PrettyMIDI:
        """Return a PrettyMIDI object with one instrument a stem; note times in seconds."""
        import pretty_midi

        midi = pretty_midi.PrettyMIDI(initial_tempo=self.grid.bpm)
        for name, stem in self.stems.items():
            instrument = pretty_midi.Instrument(stem.program, is_drum=stem.is_drum, name=name)
            for note in stem.notes:
                start = max(0.0, float(self.grid.time_at(note.start)))
                end = float(self.grid.time_at(note.start + note.beats))
                if end > start:
                    instrument.notes.append(pretty_midi.Note(note.velocity, note.pitch, start, end))
            midi.instruments.append(instrument)
        return midi
