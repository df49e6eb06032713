"""Lead sheet with stems ↔ MIDI.

One named track a stem after the conductor's, drums on channel 10; and whose track is whose in other files.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from musetune.formats import midi
from musetune.formats.scores import midi_notes
from musetune.symbols.arrangement import STEMS, Arrangement, Stem, StemNote
from musetune.symbols.json_values import JsonObject
from musetune.symbols.timeline import beats_of, quarters_of

if TYPE_CHECKING:
    import mido

    from musetune.symbols.lead_sheet import LeadSheet

FIELD = "musetune_stems"  # the text event that carries the exact stems
DRUMS = 9  # the General MIDI channel of percussion, counted from 0
CHANNELS = [channel for channel in range(16) if channel != DRUMS]
# What a track's name says, the first that fits; then what its General MIDI program says, up to and with each number
NAMES = (
    ("drums", r"drum|percussion|\bperc\b|\bkit\b|beat"),
    ("bass", r"\bbass|bass\b|\bbs\b"),
    ("guitar", r"guitar|\bgtr|\bgit"),
    ("lead", r"lead|melod|vocal|\bvox\b|voice|singer|\bsing"),
    ("keys", r"key|piano|organ|rhodes|clav|synth|string|pad\b|chord|comp"),
)
PROGRAMS = ((23, "keys"), (31, "guitar"), (39, "bass"), (55, "keys"), (87, "lead"), (95, "keys"))


class Track(NamedTuple):
    """What a track plays on one channel: notes are (start, stop, pitch, velocity), in quarters."""

    name: str
    program: int
    drums: bool
    notes: tuple[tuple[Fraction, Fraction, int, int], ...]


def song_midi(sheet: LeadSheet, arrangement: Arrangement) -> mido.MidiFile:
    """A type 1 file: the conductor's track of the lead sheet with the exact sheet and stems, then a track a stem.

    What sounds outside the sheet is cut, and a pitch that is struck again ends there. Raises ValueError for more than
    15 stems with pitches.
    """
    import mido

    file, ticks = mido.MidiFile(ticks_per_beat=midi.TICKS), midi.ticks_of(sheet)
    exact = mido.MetaMessage("text", text=f"{FIELD}={json.dumps(stems_json(arrangement), separators=(',', ':'))}")
    file.tracks.append(midi.conductor(sheet, [exact]))
    pitched = [name for name, stem in arrangement.stems.items() if not stem.is_drum]
    if len(pitched) > len(CHANNELS):
        raise ValueError(
            f"{len(pitched)} stems with pitches do not fit MIDI's {len(CHANNELS)} channels; leave some out"
        )
    channels = dict(zip(pitched, CHANNELS))
    for name, stem in arrangement.stems.items():
        file.tracks.append(_track(name, stem, channels.get(name, DRUMS), ticks, ticks(sheet.length)))
    return file


def stems_json(arrangement: Arrangement) -> JsonObject:
    """``Arrangement.to_json`` with the notes' places exact."""
    rows = {name: [[n.start, n.beats, n.pitch, n.velocity] for n in s.notes] for name, s in arrangement.stems.items()}
    return {name: data | {"notes": rows[name]} for name, data in arrangement.to_json().items()}


def _track(name: str, stem: Stem, channel: int, ticks: midi.Ticks, end: int) -> mido.MidiTrack:
    import mido

    events: list[tuple[int, int, Any]] = [(0, 0, mido.MetaMessage("track_name", name=name))]
    if not stem.is_drum:
        events.append((0, 1, mido.Message("program_change", program=stem.program, channel=channel)))
    by_pitch: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for note in stem.notes:
        start, stop = (min(max(0, ticks(Fraction(beat))), end) for beat in (note.start, note.start + note.beats))
        if start < end and note.start + note.beats > 0:
            by_pitch[note.pitch].append((start, max(stop, start + 1), note.velocity))
    for pitch, notes_of_pitch in by_pitch.items():
        notes_of_pitch.sort()
        for (start, stop, velocity), following in zip(
            notes_of_pitch, [a for a, *_ in notes_of_pitch[1:]] + [notes_of_pitch[-1][1]]
        ):
            if following > start:  # of two at once one sounds
                events.append((start, 3, mido.Message("note_on", note=pitch, velocity=velocity, channel=channel)))
                events.append((min(stop, following), 2, mido.Message("note_off", note=pitch, channel=channel)))
    return midi.track_of([(tick, message) for tick, _, message in sorted(events, key=lambda e: e[:2])], 0)


# -- reading -----------------------------------------------------------------------------------------------------------


def stems_of(file: mido.MidiFile) -> Arrangement:
    """The stems that ``song_midi`` wrote, exactly, where the tracks still say what it did.

    Else what the tracks say, as given ones.

    Raises ValueError without notes, and for a track that neither its channel nor its name nor its program makes one of
    the stems.
    """
    if file.ticks_per_beat <= 0:
        raise ValueError(f"it counts {file.ticks_per_beat} ticks a quarter; only musical time is read")
    tracks = _tracks(file)
    if not tracks:
        raise ValueError("it has no notes")
    sheet = midi.from_midi(file)
    return _exact(midi.texts_of(midi.events_of(file)).get(FIELD), sheet, tracks) or _plain(file, tracks, sheet)


def _exact(text: str | None, sheet: LeadSheet, tracks: list[Track]) -> Arrangement | None:
    """The stems that a file carries as ``text``; None where there are none or the tracks say something else."""
    try:
        stems = Arrangement.from_json(json.loads(text or "{}"), sheet.grid)
        return stems if _tracks(song_midi(sheet, stems)) == tracks else None
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _plain(file: mido.MidiFile, tracks: list[Track], sheet: LeadSheet) -> Arrangement:
    """What the tracks say; tracks of one stem are joined under the first one's program."""
    events, quarter = sorted(midi.events_of(file), key=lambda e: e[0]), Fraction(1, file.ticks_per_beat)
    at = beats_of(midi.signatures_of(events, quarter, quarters_of(sheet.meters)(sheet.length)))
    programs: dict[str, int] = {}
    notes: dict[str, list[StemNote]] = defaultdict(list)
    for track in tracks:
        name = stem_name(track.name, track.program, track.drums)
        programs.setdefault(name, 0 if name == "drums" else track.program)
        notes[name] += [StemNote(float(at(a)), float(at(b) - at(a)), pitch, v) for a, b, pitch, v in track.notes]
    in_order = {name: tuple(sorted(notes[name], key=lambda n: (n.start, n.pitch))) for name in STEMS if name in notes}
    stems = {name: Stem(programs[name], own_notes, name == "drums", "given") for name, own_notes in in_order.items()}
    return Arrangement(sheet.grid, stems)


def stem_name(track: str, program: int, drums: bool) -> str:
    """The stem that a track is, by its channel, its name, its program, in this order.

    Raises ValueError where none of them tells.
    """
    if drums:
        return "drums"
    words = re.sub(r"[_\W]+", " ", track.lower())
    for name, pattern in NAMES:
        if re.search(pattern, words):
            return name
    by_program = next((name for last, name in PROGRAMS if program <= last), None)
    if by_program is None:
        raise ValueError(
            f"track {track!r} with program {program} is none of {', '.join(STEMS)}; name the track after one of them"
        )
    return by_program


def _tracks(file: mido.MidiFile) -> list[Track]:
    """Each track and channel with notes."""
    out: list[Track] = []
    for number, track in enumerate(file.tracks, start=1):
        name = track.name.strip() or f"track {number}"
        programs = {m.channel: m.program for m in reversed(track) if m.type == "program_change"}
        by_channel: dict[int, list[tuple[Fraction, Fraction, int, int]]] = defaultdict(list)
        for channel, (start, stop, pitch, velocity, _) in midi_notes(track, Fraction(1, file.ticks_per_beat)):
            by_channel[channel].append((start, stop, pitch, velocity))
        for channel, sounds in sorted(by_channel.items()):
            out.append(Track(name, programs.get(channel, 0), channel == DRUMS, tuple(sorted(sounds))))
    return out
