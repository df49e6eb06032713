"""Notes on paper: the voices of a MIDI or MusicXML file with metres, key signatures, tempo and pick-up, in beats."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from musetune.theory.formats import beats_of, in_force, quarters_of
from musetune.theory.grid import BeatGrid
from musetune.theory.key import Key
from musetune.theory.meter import Meter
from musetune.theory.spans import KeySpan, MeterSpan, Note

if TYPE_CHECKING:
    import mido

SUFFIXES = (".mid", ".midi", ".musicxml", ".xml", ".mxl")
DRUMS = 9  # the General MIDI channel of percussion, counted from 0
LEAP = 12  # semitones that a voice of a MIDI track leaps at most before another voice takes the note


@dataclass(frozen=True)
class Score:
    """The notes of a piece. Places are beats (rational), which ``grid`` maps to seconds.

    ``voices``: one tuple of notes a voice, in order, no two of a voice at once; ``names``: the part's name of each voice.
    ``percussion``: unpitched notes, pitch by General MIDI. ``signatures``: keys as written, major where no mode is written.
    ``meters`` start at bar lines; one of the same metre as before restarts the count after an irregular bar.
    ``first_downbeat``: beats before the first full bar. ``fifths``: places of the notes' names on the line of fifths
    (C 0, G 1, F −1, B♭ −2, F♯ 6), one tuple a voice; empty where the file has no note names (MIDI).
    """

    voices: tuple[tuple[Note, ...], ...]
    names: tuple[str, ...]
    percussion: tuple[Note, ...]
    meters: tuple[MeterSpan, ...]
    signatures: tuple[KeySpan, ...]
    grid: BeatGrid
    length: Fraction
    first_downbeat: Fraction = Fraction(0)
    fifths: tuple[tuple[int, ...], ...] = ()

    def downbeats(self) -> list[Fraction]:
        """Beats of the bar lines."""
        out: list[Fraction] = []
        for i, span in enumerate(self.meters):
            at = self.first_downbeat if i == 0 else span.start
            end = self.meters[i + 1].start if i + 1 < len(self.meters) else self.length
            count = max(0, math.ceil((end - at) / span.meter.beats_per_bar))
            out += [at + n * span.meter.beats_per_bar for n in range(count)]
        return out


def read_score(path: str | Path) -> Score:
    """The score in ``path``: .mid, .midi, .musicxml, .xml, .mxl. Ties are joined, grace notes dropped, repeats not expanded.

    Chords are split into voices from the top; transposing instruments are read as they sound. A score without a tempo gets
    120 quarters a minute. Raises FileNotFoundError, and ValueError for another suffix, what is not such a file, or no notes.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path.name}: suffix {path.suffix!r} is not one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise FileNotFoundError(f"no such score: {path}")
    midi = path.suffix.lower() in (".mid", ".midi")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # music21 and mido remark on what they pass over
            if midi:
                return _from_midi(path)
            from musetune.theory.numeral_notation import from_musicxml

            return from_musicxml(path)
    except Exception as error:  # the libraries have errors of their own
        kind = "a standard MIDI file" if midi else "a MusicXML score"
        raise ValueError(f"{path.name} is not {kind} with notes: {str(error) or type(error).__name__}") from error


# -- what both need ----------------------------------------------------------------------------------------------------


Event = tuple[Fraction, Fraction, int, int, int | None]  # start and stop in quarters, pitch, velocity, place in fifths


def score_of(
    lines: list[tuple[str, list[Event]]],
    drums: list[Event],
    signatures: list[tuple[Fraction, Meter]],
    keys: list[tuple[Fraction, Key]],
    end: Fraction,
    times: Callable[[tuple[MeterSpan, ...], int], BeatGrid],
    pickup: Fraction,
) -> Score:
    """The score of what a file says in quarters. Raises ValueError where no note sounds."""
    lines = [(name, events) for name, events in lines if events]
    if not lines and not drums:
        raise ValueError("it has no notes")
    at = beats_of(signatures)
    meters = tuple(MeterSpan(at(q), m) for q, m in signatures)
    note = lambda e: Note(at(e[0]), at(e[1]) - at(e[0]), e[2], e[3])  # noqa: E731
    length = at(end)
    spelled = all(e[4] is not None for _, events in lines for e in events)
    return Score(
        voices=tuple(tuple(map(note, events)) for _, events in lines),
        names=tuple(name for name, _ in lines),
        percussion=tuple(map(note, sorted(drums, key=lambda e: e[:3]))),
        meters=meters,
        signatures=tuple(KeySpan(at(q), k) for q, k in in_force(keys, Key("C"), end)),
        grid=times(meters, math.ceil(length)),
        length=length,
        first_downbeat=at(pickup),
        fifths=tuple(tuple(e[4] or 0 for e in events) for _, events in lines) if spelled else (),
    )


# -- MIDI --------------------------------------------------------------------------------------------------------------


def _from_midi(path: Path) -> Score:
    import mido

    from musetune.theory import midi

    file = mido.MidiFile(str(path), clip=True)
    if file.ticks_per_beat <= 0:
        raise ValueError(f"it counts {file.ticks_per_beat} ticks a quarter; only musical time is read")
    events = sorted(midi.events_of(file), key=lambda e: e[0])
    quarter = Fraction(1, file.ticks_per_beat)
    tracks = [list(midi_notes(track, quarter)) for track in file.tracks]
    end = max((note[1] for notes in tracks for _, note in notes), default=Fraction(0))
    lines, drums = [], []
    for number, (track, notes) in enumerate(zip(file.tracks, tracks), start=1):
        drums += [note for channel, note in notes if channel == DRUMS]
        for channel, group in groupby(sorted(notes, key=lambda n: n[0]), key=lambda n: n[0]):
            if channel != DRUMS:
                name = track.name.strip() or f"track {number}"
                lines += [(name, voice) for voice in _voices([note for _, note in group])]
    pickup = Fraction(midi.texts_of(events).get("first_downbeat", "0"))
    grid = lambda meters, count: midi._grid(events, file.ticks_per_beat, quarters_of(meters), count)  # noqa: E731
    keys = [(t * quarter, k) for t, k in midi._keys(events)]
    signatures = midi.signatures_of(events, quarter, end)
    return score_of(lines, drums, signatures, keys, end, grid, pickup * signatures[0][1].beat_quarters)


def midi_notes(track: mido.MidiTrack, quarter: Fraction) -> Iterator[tuple[int, Event]]:
    """(channel, note) of a track; a note that is struck again ends there."""
    tick = 0
    sounding: dict[tuple[int, int], tuple[int, int]] = {}
    for message in track:
        tick += message.time
        if message.type not in ("note_on", "note_off"):
            continue
        place = (message.channel, message.note)
        if place in sounding:
            start, velocity = sounding.pop(place)
            if tick > start:
                yield message.channel, (start * quarter, tick * quarter, message.note, velocity, None)
        if message.type == "note_on" and message.velocity:
            sounding[place] = (tick, message.velocity)


def _voices(notes: list[Event]) -> list[list[Event]]:
    """Lines in which no two notes sound at once: a note, the highest first, goes on the nearest line that is silent."""
    lines: list[list[Event]] = []
    for event in sorted(notes, key=lambda e: (e[0], -e[2])):
        free = [line for line in lines if line[-1][1] <= event[0] and abs(line[-1][2] - event[2]) <= LEAP]
        if free:
            min(free, key=lambda line: abs(line[-1][2] - event[2])).append(event)
        else:
            lines.append([event])
    return lines
