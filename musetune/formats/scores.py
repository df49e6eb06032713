"""Notes on paper: the voices of a MIDI or MusicXML file with meters, key signatures, tempo and pick-up, in beats."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from musetune.formats.reading import reading
from musetune.formats.score_events import Event, score_of
from musetune.symbols.remarks import remark
from musetune.symbols.score import Score
from musetune.symbols.timeline import in_force, quarters_of, tempo_grid

if TYPE_CHECKING:
    import mido

SUFFIXES = (".mid", ".midi", ".musicxml", ".xml", ".mxl")
DRUMS = 9  # the General MIDI channel of percussion, counted from 0
HANGING = Fraction(4)  # quarters that a note without an end sounds at most
LEAP = 12  # semitones that a voice of a MIDI track leaps at most before another voice takes the note


def read_score(path: str | Path, *, repeats: bool = True) -> Score:
    """Read notes on paper.

    Ties are joined, grace notes dropped. Chords are split into voices from the top; transposing instruments are read as
    they sound. A score without a tempo gets 120 quarters a minute.

    Args:
        path: A .mid, .midi, .musicxml, .xml or .mxl file.
        repeats: Whether the repeats of MusicXML are played out; else each bar stands once, as it is written.

    Returns:
        The score, in beats.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: For another suffix, for what is not such a file, and where there are no notes.

    Example:
        >>> from musetune.symbols import LeadSheet
        >>> sheet = LeadSheet.from_progression("C F", duration_seconds=4)
        >>> from musetune.formats import save_song
        >>> from musetune.symbols.arrangement import Arrangement, Stem, StemNote
        >>> song = Arrangement(sheet.grid, {"bass": Stem(33, (StemNote(0.0, 4.0, 36, 90),))})
        >>> [note.pitch for note in read_score(save_song(sheet, song, "song.mid")).voices[0]]
        [36]
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path.name}: suffix {path.suffix!r} is not one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise FileNotFoundError(f"no such score: {path}")
    midi = path.suffix.lower() in (".mid", ".midi")
    kind = "a standard MIDI file" if midi else "a MusicXML score"
    with reading(path, f"{kind} with notes"):
        return _from_midi(path) if midi else _from_musicxml(path, repeats)


def _from_musicxml(path: Path, repeats: bool) -> Score:
    from musetune.formats.musicxml_reader import read_notation

    notation = read_notation(path, repeats=repeats)
    tempi = in_force(notation.tempi, 0.5, notation.end)
    grid = lambda meters, count: tempo_grid(tempi, quarters_of(meters), count)  # noqa: E731
    lines = [(staff.name, line) for staff in notation.staves for line in staff.lines]
    return score_of(lines, notation.drums, notation.meters, notation.keys, notation.end, grid, notation.pickup)


def _from_midi(path: Path) -> Score:
    from musetune.formats import midi
    from musetune.formats.smf import read_midi

    file = read_midi(path)
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
    grid = lambda meters, count: midi._grid(events, file.ticks_per_beat, quarters_of(meters), count)  # noqa: E731
    keys = [(t * quarter, k) for t, k in midi._keys(events)]
    signatures = midi.signatures_of(events, quarter, end)
    pickup = midi.first_downbeat_of(midi.texts_of(events), signatures[0][1])
    return score_of(lines, drums, signatures, keys, end, grid, pickup * signatures[0][1].beat_quarters)


def midi_notes(track: mido.MidiTrack, quarter: Fraction) -> Iterator[tuple[int, Event]]:
    """(channel, note) of a track; a note that is struck again ends there, one that is never ended after ``HANGING``."""
    tick = 0
    sounding: dict[tuple[int, int], tuple[int, int]] = {}
    for message in track:
        tick += message.time
        if message.type not in ("note_on", "note_off"):
            continue
        key = (message.channel, message.note)
        if key in sounding:
            start, velocity = sounding.pop(key)
            if tick > start:
                yield message.channel, (start * quarter, tick * quarter, message.note, velocity, None)
        if message.type == "note_on" and message.velocity:
            sounding[key] = (tick, message.velocity)
    endless = {key: note for key, note in sounding.items() if note[0] < tick}
    for (channel, pitch), (start, velocity) in endless.items():
        yield channel, (start * quarter, min(tick * quarter, start * quarter + HANGING), pitch, velocity, None)
    if endless:
        remark(
            f"{len(endless)} notes of {track.name.strip() or 'a track'!r} have no end; they sound 4 quarters at most"
        )


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
