"""Notes per stem, in beats: what players read and a synthesiser plays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from musetune.symbols.json_values import JsonObject

if TYPE_CHECKING:
    import pretty_midi

    from musetune.symbols.beat_grid import BeatGrid


@dataclass(frozen=True)
class StemNote:
    """Note of a player.

    Args:
        start: Onset in beats.
        beats: Length in beats.
        pitch: MIDI pitch, 0–127; for drums the General MIDI key of the instrument.
        velocity: MIDI velocity, 1–127.

    Example:
        >>> StemNote(start=0, beats=1.5, pitch=60).velocity
        90
    """

    start: float
    beats: float
    pitch: int
    velocity: int = 90


STEMS = ("drums", "bass", "guitar", "keys", "lead")  # in the order in which they are written
SOURCES = ("model", "rule", "given")
CREDITS = {"model": "by the model", "rule": "by a rule", "given": "as given"}
SILENCE = "none"  # the rule of a player who rests


@dataclass(frozen=True)
class Writer:
    """Who wrote a player's part from a beat on.

    Args:
        start: Beat from which it holds.
        section: Label of the section that begins there, "" where it has none.
        source: One of SOURCES.
        rule: Name of the rule where ``source`` is "rule", "none" where the player rests; "" otherwise.

    Raises:
        ValueError: For another ``source``.

    Example:
        >>> str(Writer(0, "verse", "rule", "one_drop"))
        'by rule one_drop'
    """

    start: float
    section: str
    source: str
    rule: str = ""

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ValueError(f"source={self.source!r} is not one of {', '.join(SOURCES)}")

    def __str__(self) -> str:
        return "rests" if self.rule == SILENCE else f"by rule {self.rule}" if self.rule else CREDITS[self.source]


@dataclass(frozen=True)
class Stem:
    """Part of one player.

    Args:
        program: General MIDI program, 0–127; ignored for drums.
        notes: Notes in order of onset.
        is_drum: Whether pitches name drums.
        source: Who wrote the notes: "model" (a stem transformer), "rule" (a rule-made pattern) or "given" (the user).
        writers: Who wrote each section, in order; empty where all is ``source``'s and nothing more is known.

    Raises:
        ValueError: For another ``source``.

    Example:
        >>> bass = Stem(program=33, notes=(StemNote(0, 2, 36), StemNote(2, 2, 43)), source="given")
        >>> [note.pitch for note in bass.notes]
        [36, 43]
    """

    program: int
    notes: tuple[StemNote, ...]
    is_drum: bool = False
    source: str = "rule"
    writers: tuple[Writer, ...] = ()

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise ValueError(f"source={self.source!r} is not one of {', '.join(SOURCES)}")

    @property
    def credit(self) -> str:
        """Who wrote the part, in few words: "by the model", "by rule one_drop; rests in intro"."""
        if not self.writers:
            return CREDITS[self.source]
        by = dict.fromkeys(str(writer) for writer in self.writers if writer.rule != SILENCE)
        silent = dict.fromkeys(writer.section for writer in self.writers if writer.rule == SILENCE)
        if not by:
            return "rests"
        return ", ".join(by) + (f"; rests in {', '.join(silent)}" if any(silent) else "")


@dataclass(frozen=True)
class Arrangement:
    """Parts of all players on one beat grid: what a synthesiser plays.

    Args:
        grid: Seconds of the beats that the notes count in.
        stems: Part of each player by name: "drums", "bass", "guitar", "keys", "lead".

    Example:
        >>> from musetune.symbols import BeatGrid
        >>> bass = Stem(program=33, notes=(StemNote(0, 2, 36),))
        >>> band = Arrangement(BeatGrid.constant(bpm=120, n_beats=4), {"bass": bass})
        >>> band.transpose(2).stems["bass"].notes[0].pitch
        38
    """

    grid: BeatGrid
    stems: dict[str, Stem] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """Write the stems as plain values, each note [start, beats, pitch, velocity] to 1e-4 beats.

        Returns:
            One dictionary a stem, by name; ``writers`` as [beat, section, source, rule]. The grid is not among them:
            it is the lead sheet's.
        """
        return {
            name: {
                "program": stem.program,
                "is_drum": stem.is_drum,
                "source": stem.source,
                **({"writers": [[w.start, w.section, w.source, w.rule] for w in stem.writers]} if stem.writers else {}),
                "notes": [[round(n.start, 4), round(n.beats, 4), n.pitch, n.velocity] for n in stem.notes],
            }
            for name, stem in self.stems.items()
        }

    @staticmethod
    def from_json(data: JsonObject, grid: BeatGrid) -> Arrangement:
        """Read what ``to_json`` wrote, on ``grid``."""
        stems = {
            name: Stem(
                s["program"],
                tuple(StemNote(*n) for n in s["notes"]),
                s["is_drum"],
                s["source"],
                tuple(Writer(*w) for w in s.get("writers", ())),
            )
            for name, s in data.items()
        }
        return Arrangement(grid, stems)

    def transpose(self, semitones: int) -> Arrangement:
        """Move all but the drums ``semitones`` up.

        Raises:
            ValueError: Where a note would leave 0–127.
        """
        return replace(self, stems={name: _transpose(stem, semitones) for name, stem in self.stems.items()})

    def shift(self, seconds: float) -> Arrangement:
        """Return the notes ``seconds`` later; what then lies before 0 stays, at negative times."""
        return replace(self, grid=self.grid.shift(seconds))

    def crop(self, start_s: float, duration_s: float, grid: BeatGrid) -> Arrangement:
        """Cut out what sounds from ``start_s`` on.

        Args:
            start_s: First second to keep.
            duration_s: Seconds to keep.
            grid: Grid that the cut notes' beats are counted on; its time 0 is ``start_s``.

        Returns:
            The notes that sound in between. One that sounds already at ``start_s`` keeps its onset, before beat 0.
        """

        def moved(stem: Stem) -> Stem:
            notes = []
            for note in stem.notes:
                start, end = (float(self.grid.time_at(b)) - start_s for b in (note.start, note.start + note.beats))
                if end > 0 and start < duration_s:
                    first, last = float(grid.beat_at(start)), float(grid.beat_at(end))
                    notes.append(replace(note, start=first, beats=last - first))
            return replace(stem, notes=tuple(notes), writers=tuple(writers_inside(stem)))

        def writers_inside(stem: Stem) -> Iterator[Writer]:
            starts = [float(self.grid.time_at(writer.start)) - start_s for writer in stem.writers]
            for writer, start, end in zip(stem.writers, starts, [*starts[1:], float("inf")]):
                if end > 1e-6 and start < duration_s:
                    yield replace(writer, start=max(float(grid.beat_at(max(start, 0.0))), 0.0))

        return Arrangement(grid, {name: moved(stem) for name, stem in self.stems.items()})

    def to_pretty_midi(self) -> pretty_midi.PrettyMIDI:
        """Write a PrettyMIDI object with one instrument a stem; note times in seconds."""
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


def _transpose(stem: Stem, semitones: int) -> Stem:
    if stem.is_drum:
        return stem
    notes = tuple(replace(note, pitch=note.pitch + semitones) for note in stem.notes)
    if wrong := [note.pitch for note in notes if not 0 <= note.pitch <= 127]:
        raise ValueError(f"semitones={semitones} takes notes to pitch {wrong[0]}, outside 0–127")
    return replace(stem, notes=notes)
