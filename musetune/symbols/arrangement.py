"""Notes per stem, in beats: what players read and a synthesiser plays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pretty_midi

    from musetune.symbols.beat_grid import BeatGrid


@dataclass(frozen=True)
class StemNote:
    """One note: onset and length in beats, MIDI pitch 0–127, velocity 1–127."""

    start: float
    beats: float
    pitch: int
    velocity: int = 90


STEMS = ("drums", "bass", "guitar", "keys", "lead")  # in the order in which they are written
SOURCES = ("model", "rule", "given")


@dataclass(frozen=True)
class Stem:
    """The notes of one player; ``program`` is a General MIDI program (0–127), ignored for drums.

    source: who wrote them: "model" (a stem transformer), "rule" (a rule-made pattern), "given" (the user). Raises
    ValueError for another.
    """

    program: int
    notes: tuple[StemNote, ...]
    is_drum: bool = False
    source: str = "rule"

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ValueError(f"source={self.source!r} is not one of {', '.join(SOURCES)}")


@dataclass(frozen=True)
class Arrangement:
    """Stems by name ("drums", "bass", "guitar", "keys", "lead") on one beat grid."""

    grid: BeatGrid
    stems: dict[str, Stem] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The stems as plain values, each note [start, beats, pitch, velocity] to 1e-4 beats.

        The grid is the lead sheet's.
        """
        return {
            name: {
                "program": stem.program,
                "is_drum": stem.is_drum,
                "source": stem.source,
                "notes": [[round(n.start, 4), round(n.beats, 4), n.pitch, n.velocity] for n in stem.notes],
            }
            for name, stem in self.stems.items()
        }

    @staticmethod
    def from_json(data: dict[str, Any], grid: BeatGrid) -> Arrangement:
        """What ``to_json`` gave, on ``grid``."""
        stems = {
            name: Stem(s["program"], tuple(StemNote(*n) for n in s["notes"]), s["is_drum"], s["source"])
            for name, s in data.items()
        }
        return Arrangement(grid, stems)

    def transpose(self, semitones: int) -> Arrangement:
        """All but the drums ``semitones`` higher. Raises ValueError where a note would leave 0–127."""
        return replace(self, stems={name: _moved(stem, semitones) for name, stem in self.stems.items()})

    def shift(self, seconds: float) -> Arrangement:
        """Return the notes ``seconds`` later; what then lies before 0 stays, at negative times."""
        return replace(self, grid=self.grid.shift(seconds))

    def crop(self, start_s: float, duration_s: float, grid: BeatGrid) -> Arrangement:
        """What sounds from ``start_s`` for ``duration_s`` seconds, its beats counted on ``grid``, whose time 0 is
        ``start_s``.

        A note that sounds already keeps its onset, before beat 0.
        """

        def moved(stem: Stem) -> Stem:
            notes = []
            for note in stem.notes:
                start, end = (float(self.grid.time_at(b)) - start_s for b in (note.start, note.start + note.beats))
                if end > 0 and start < duration_s:
                    first, last = float(grid.beat_at(start)), float(grid.beat_at(end))
                    notes.append(replace(note, start=first, beats=last - first))
            return replace(stem, notes=tuple(notes))

        return Arrangement(grid, {name: moved(stem) for name, stem in self.stems.items()})

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


def _moved(stem: Stem, semitones: int) -> Stem:
    if stem.is_drum:
        return stem
    notes = tuple(replace(note, pitch=note.pitch + semitones) for note in stem.notes)
    if wrong := [note.pitch for note in notes if not 0 <= note.pitch <= 127]:
        raise ValueError(f"semitones={semitones} takes notes to pitch {wrong[0]}, outside 0–127")
    return replace(stem, notes=notes)
