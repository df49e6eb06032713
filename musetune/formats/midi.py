"""LeadSheet ↔ MIDI: chords as markers in Harte's spelling and as voiced notes, key, meter, a tempo map that keeps
rubato.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from musetune.formats.chord_marks import UNREAD, chords_of
from musetune.formats.exact_sheet import FIELD, embed, exact, like
from musetune.symbols.beat_grid import BeatGrid
from musetune.symbols.chord import Chord
from musetune.symbols.key import Key
from musetune.symbols.lead_sheet import GENRES, LeadSheet
from musetune.symbols.limits import BEATS, MARKS, check_count, fraction, shorten
from musetune.symbols.meter import Meter
from musetune.symbols.remarks import remark
from musetune.symbols.spans import ChordSpan, KeySpan, MeterSpan, Note, Section
from musetune.symbols.timeline import beats_of, in_force, quarters_of, tempo_grid, until_next

if TYPE_CHECKING:
    import mido

Ticks = Callable[[Fraction], int]
TICKS = 480  # a quarter note
SLOWEST = 0xFFFFFF  # microseconds a quarter, what a tempo event holds
MELODY, CHORDS = "melody", "chords"
MELODIES = (MELODY, "lead", "vocals")  # tracks that are read as the melody, by name; the first that there is


def to_midi(sheet: LeadSheet) -> mido.MidiFile:
    """A type 1 file with the exact sheet in a text event; its time 0 is the sheet's beat 0.

    Raises ValueError for a beat longer than MIDI's tempo holds, 16.7 s a quarter.
    """
    import mido

    file, ticks = mido.MidiFile(ticks_per_beat=TICKS), ticks_of(sheet)
    file.tracks.append(conductor(sheet))
    chords = [(s.start, s.beats, p, 70) for s in sheet.chords for p in voicing(s.chord)]
    file.tracks.append(_note_track(CHORDS, 0, chords, ticks))
    if sheet.melody:
        notes = [(n.start, n.beats, n.pitch, n.velocity) for n in sheet.melody]
        file.tracks.append(_note_track(MELODY, 1, notes, ticks))
    return file


def conductor(sheet: LeadSheet, more: Sequence[mido.MetaMessage] = ()) -> mido.MidiTrack:
    """The first track: the exact sheet, meters, keys, genre, the tempo map, markers of chords and sections, and
    ``more`` at its beginning.
    """
    ticks = ticks_of(sheet)
    return track_of([*((0, message) for message in more), *_meta(sheet, ticks)], ticks(sheet.length))


def _meta(sheet: LeadSheet, ticks: Ticks) -> list[tuple[int, mido.MetaMessage]]:
    """(tick, message): the exact sheet, meters, keys, genre, the tempo map, the chords' markers, the sections' in
    brackets.
    """
    import mido

    meta = [(0, mido.MetaMessage("text", text=f"{FIELD}={embed(sheet)}"))]
    for meter in sheet.meters:
        m = meter.meter
        meta.append(
            (ticks(meter.start), mido.MetaMessage("time_signature", numerator=m.numerator, denominator=m.denominator))
        )
    for span in sheet.keys:
        meta.append((ticks(span.start), mido.MetaMessage("key_signature", key=_key_name(span.key))))
        meta.append((ticks(span.start), mido.MetaMessage("text", text=f"key={span.key}")))
    if sheet.genre:
        meta.append((0, mido.MetaMessage("text", text=f"genre={sheet.genre}")))
    meta.append((0, mido.MetaMessage("text", text=f"first_downbeat={sheet.first_downbeat}")))
    meta.extend((ticks(s.start), mido.MetaMessage("marker", text=f"[{_latin(s.label)}]")) for s in sheet.sections)
    meta.extend(_tempi(sheet, ticks))
    meta.extend((ticks(s.start), mido.MetaMessage("marker", text=s.chord.harte)) for s in sheet.chords)
    meta.extend((ticks(s.end), mido.MetaMessage("marker", text="N")) for s in _before_gaps(sheet))
    return meta


def _tempi(sheet: LeadSheet, ticks: Ticks) -> Iterator[tuple[int, mido.MetaMessage]]:
    """(tick, message) wherever a beat is longer or shorter than the one before."""
    import mido

    last, quarters = None, quarters_of(sheet.meters)
    for beat, seconds in enumerate(np.diff(sheet.grid.times_s)[: math.ceil(sheet.length)]):
        tempo = round(seconds * 1e6 / float(quarters(Fraction(beat + 1)) - quarters(Fraction(beat))))
        if tempo > SLOWEST:
            raise ValueError(f"beat {beat} lasts {seconds:.1f} s, MIDI holds up to 16.7 s a quarter; save as .json")
        if tempo != last:
            yield ticks(Fraction(beat)), mido.MetaMessage("set_tempo", tempo=tempo)
            last = tempo


def _latin(text: str) -> str:
    """What a MIDI text holds."""
    return text.encode("latin-1", "replace").decode("latin-1")


def from_midi(file: mido.MidiFile) -> LeadSheet:
    """A sheet from a file's markers that are chord symbols or, in brackets, sections, its keys, meters and tempi, and
    a track named "melody", "lead" or "vocals"; exactly the sheet that ``to_midi`` wrote where they still say what it
    did.

    Markers that are no chords are sections. What cannot be read is remarked; see ``musetune.symbols.remarks``.
    """
    read = _plain(file)
    return exact(texts_of(events_of(file)).get(FIELD), read, lambda sheet: _plain(to_midi(like(read, sheet))))


def _plain(file: mido.MidiFile) -> LeadSheet:
    """What the file says to any program."""
    events = sorted(events_of(file), key=lambda e: e[0])
    if not events:
        raise ValueError("it has no events")
    quarter = Fraction(1, file.ticks_per_beat)
    end = events[-1][0] * quarter
    if end <= 0:
        raise ValueError("it lasts 0 quarters: nothing in it has a length")
    check_count("quarters of music", end, BEATS)
    signatures = signatures_of(events, quarter, end)
    beats = beats_of(signatures)
    at = lambda tick: beats(tick * quarter)  # noqa: E731
    length = beats(end)
    check_count("beats of music", length, BEATS)
    meters = tuple(MeterSpan(beats(q), m) for q, m in signatures)
    marks, parts = _marks(file, events, at)
    texts = texts_of(events)
    return LeadSheet(
        chords=tuple(ChordSpan(a, stop - a, c) for a, stop, c in until_next(marks, length) if c is not UNREAD),
        keys=tuple(KeySpan(a, k) for a, k in in_force([(at(t), k) for t, k in _keys(events)], Key("C"), length)),
        meters=meters,
        grid=_grid(events, file.ticks_per_beat, quarters_of(meters), math.ceil(length)),
        length=length,
        sections=tuple(Section(a, stop - a, shorten(label)) for a, stop, label in until_next(parts, length)),
        genre=texts["genre"] if texts.get("genre") in GENRES else None,
        melody=_melody(file, at),
        first_downbeat=first_downbeat_of(texts, meters[0].meter),
    )


def first_downbeat_of(texts: dict[str, str], meter: Meter) -> Fraction:
    """The beat of the first bar line, 0 where our text event does not say it."""
    try:
        first = fraction(texts.get("first_downbeat", "0"))
    except ValueError as error:
        remark(f"its text first_downbeat is left out: {error}")
        return Fraction(0)
    return first if -meter.beats_per_bar < first <= BEATS else Fraction(0)


def _marks(file: mido.MidiFile, events, at) -> tuple[list, list]:  # type: ignore[no-untyped-def,type-arg]
    """(beat, chord) of the chord symbols, and (beat, label) of the sections: markers first, then cue points, texts and
    lyrics.
    """
    onsets = sorted((t, m.note % 12) for t, m in events if m.type == "note_on" and m.velocity and m.channel != 9)
    ticks = [tick for tick, _ in onsets]

    def agrees(beat: Fraction, chord: Chord) -> bool | None:
        """Whether the chord's root and another of its tones are struck in the beat from ``beat`` on."""
        if not onsets:
            return None
        low, high = bisect_left(beats, beat), bisect_left(beats, beat + 1)
        pitches = {pitch for _, pitch in onsets[low:high]}
        return chord.root_pc in pitches and len(pitches & set(chord.pitch_classes)) > 1

    beats = [at(tick) for tick in ticks]
    sections: list[tuple[Fraction, str]] = []
    for kind in ("marker", "cue_marker", "text", "lyrics"):
        own = [(t, m.text.strip()) for t, m in events if m.type == kind]
        check_count(f"events of type {kind}", len(own), MARKS)
        texts = [(at(t), text) for t, text in own]
        labels = [(beat, text[1:-1]) for beat, text in texts if text[:1] + text[-1:] == "[]" and len(text) > 2]
        plain = [(beat, text) for beat, text in texts if text and text[:1] + text[-1:] != "[]"]
        chords = chords_of(plain, agrees, kind.replace("_", " "))
        if kind in ("text", "lyrics") and 2 * len(chords) < len(plain):
            continue
        if kind in ("marker", "cue_marker"):
            places = {beat for beat, _ in chords}
            sections = sections or labels or [mark for mark in plain if mark[0] not in places]
        if chords:
            return chords, sections
    return [], sections


def signatures_of(events, quarter: Fraction, end: Fraction) -> list[tuple[Fraction, Meter]]:  # type: ignore[no-untyped-def]
    """(quarters, meter) of the time signatures; 4/4 before the first, as the standard has it."""
    meters = [(t * quarter, Meter(m.numerator, m.denominator)) for t, m in events if m.type == "time_signature"]
    return in_force([(Fraction(0), Meter(4, 4)), *meters], Meter(4, 4), end)


def ticks_of(sheet: LeadSheet) -> Ticks:
    """Beats → ticks."""
    quarters = quarters_of(sheet.meters)
    return lambda beat: round(quarters(beat) * TICKS)


def _before_gaps(sheet: LeadSheet) -> list[ChordSpan]:
    """Chords after which nothing sounds for a while."""
    starts = {s.start for s in sheet.chords}
    return [s for s in sheet.chords if s.end not in starts and s.end < sheet.length]


def track_of(events, end: int) -> mido.MidiTrack:  # type: ignore[no-untyped-def]
    """Absolute ticks → a track of delta times, its end at ``end``."""
    import mido

    track, now = mido.MidiTrack(), 0
    for tick, message in sorted(events, key=lambda e: e[0]):
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=max(0, end - now)))
    return track


def _note_track(name: str, channel: int, notes, ticks):  # type: ignore[no-untyped-def]
    import mido

    events = [(0, mido.MetaMessage("track_name", name=name))]
    for start, beats, pitch, velocity in notes:
        events.append((ticks(start + beats), mido.Message("note_off", note=pitch, channel=channel)))
        events.append((ticks(start), mido.Message("note_on", note=pitch, velocity=velocity, channel=channel)))
    return track_of(sorted(events, key=lambda e: (e[0], e[1].type == "note_on")), 0)


def voicing(chord: Chord) -> list[int]:
    """Bass below C3 and the chord's tones from C3 up."""
    if chord.bass_pc is None:
        return []
    return [36 + chord.bass_pc, *sorted(48 + pc for pc in set(chord.pitch_classes))]


def _key_name(key: Key) -> str:
    """The name that MIDI's key signature knows; an enharmonic one for keys beyond seven accidentals."""
    from musetune.symbols.names import FLATS, SHARPS

    names = [key.tonic, FLATS[key.tonic_pc], SHARPS[key.tonic_pc]]
    from mido.midifiles.meta import _key_signature_encode

    minor = "m" if key.mode == "minor" else ""
    return next(n + minor for n in names if n + minor in _key_signature_encode)


def _keys(events) -> list[tuple[int, Key]]:  # type: ignore[no-untyped-def]
    """(tick, key) of the signatures, spelled as our text beside one says where it means the same signature."""
    exact = {t: m.text[4:] for t, m in events if m.type == "text" and m.text.startswith("key=")}
    keys = []
    for tick, message in events:
        if message.type == "key_signature":
            plain = Key(message.key.rstrip("m"), "minor" if message.key.endswith("m") else "major")
            try:
                near = Key.parse(exact.get(tick, str(plain)))
            except ValueError as error:
                remark(f"its text key={shorten(exact[tick])} is left out: {error}")
                near = plain
            keys.append((tick, near if _key_name(near) == message.key else plain))
    return keys


def texts_of(events) -> dict[str, str]:  # type: ignore[no-untyped-def]
    """The text events that read name=value."""
    return dict(m.text.split("=", 1) for _, m in events if m.type == "text" and "=" in m.text)


def events_of(file: mido.MidiFile):  # type: ignore[no-untyped-def]
    """(tick, message) of all tracks."""
    for track in file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            yield tick, message


def _grid(events, ticks_per_quarter: int, quarters, count: int) -> BeatGrid:  # type: ignore[no-untyped-def]
    """Times of beats 0 to ``count`` by the tempo map; 120 quarters a minute before its first tempo."""
    tempi = [(Fraction(t, ticks_per_quarter), m.tempo / 1e6) for t, m in events if m.type == "set_tempo" and t >= 0]
    return tempo_grid([(Fraction(0), 0.5), *tempi], quarters, count)


def _melody(file: mido.MidiFile, at) -> tuple[Note, ...]:  # type: ignore[no-untyped-def]
    tracks = {track.name.lower(): track for track in reversed(file.tracks)}
    track = next((tracks[name] for name in MELODIES if name in tracks), ())
    return tuple(sorted(_notes(track, at), key=lambda note: (note.start, note.pitch)))


def _notes(track, at):  # type: ignore[no-untyped-def]
    tick, sounding = 0, {}
    for message in track:
        tick += message.time
        if message.type == "note_on" and message.velocity:
            sounding[message.note] = (tick, message.velocity)
        elif message.type in ("note_off", "note_on") and message.note in sounding:
            start, velocity = sounding.pop(message.note)
            if tick > start:
                yield Note(at(start), at(tick) - at(start), message.note, velocity)
