"""LeadSheet ↔ MIDI: chords as markers in Harte's spelling and as voiced notes, key, metre, a tempo map that keeps rubato."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from musetune.theory.chord import Chord
from musetune.theory.grid import BeatGrid
from musetune.theory.key import Key
from musetune.theory.leadsheet import ChordSpan, KeySpan, LeadSheet, MeterSpan, Note
from musetune.theory.meter import Meter

if TYPE_CHECKING:
    import mido

TICKS = 480  # a quarter note
MELODY, CHORDS = "melody", "chords"


def to_midi(sheet: LeadSheet) -> mido.MidiFile:
    """A type 1 file; its time 0 is the sheet's beat 0, so an offset of the grid is not kept."""
    import mido

    file = mido.MidiFile(ticks_per_beat=TICKS)
    ticks = _ticks(sheet)
    meta: list[tuple[int, mido.MetaMessage]] = []
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
    last = None
    for beat, seconds in enumerate(np.diff(sheet.grid.times_s)):
        tempo = round(seconds * 1e6 / float(sheet.meter.beat_quarters))
        if tempo != last and beat < sheet.length:
            meta.append((ticks(Fraction(beat)), mido.MetaMessage("set_tempo", tempo=tempo)))
            last = tempo
    meta.extend((ticks(s.start), mido.MetaMessage("marker", text=s.chord.harte)) for s in sheet.chords)
    meta.extend((ticks(s.end), mido.MetaMessage("marker", text="N")) for s in _before_gaps(sheet))
    file.tracks.append(_track(meta, ticks(sheet.length)))
    file.tracks.append(
        _note_track(CHORDS, 0, [(s.start, s.beats, p, 70) for s in sheet.chords for p in _voicing(s.chord)], ticks)
    )
    if sheet.melody:
        file.tracks.append(
            _note_track(MELODY, 1, [(n.start, n.beats, n.pitch, n.velocity) for n in sheet.melody], ticks)
        )
    return file


def from_midi(file: mido.MidiFile) -> LeadSheet:
    """A sheet from markers that read as chords, key and time signatures, the tempo map, and a track named "melody" where there is one."""
    events = sorted(_events(file), key=lambda e: e[0])
    meters = [(t, Meter(m.numerator, m.denominator)) for t, m in events if m.type == "time_signature"] or [
        (0, Meter(4, 4))
    ]
    scale = Fraction(1) / (file.ticks_per_beat * meters[0][1].beat_quarters)
    end = max(t for t, _ in events)
    length = Fraction(end) * scale
    texts = dict(m.text.split("=", 1) for _, m in events if m.type == "text" and "=" in m.text)
    marks = [(t * scale, Chord.parse(m.text)) for t, m in events if m.type == "marker" and _is_chord(m.text)]
    bounds = [at for at, _ in marks[1:]] + [length]
    chords = tuple(
        ChordSpan(at, stop - at, c)
        for (at, c), stop in zip(marks, bounds, strict=False)
        if stop > at and c.root is not None
    )
    signatures = [(t, _read_key(m)) for t, m in events if m.type == "key_signature"]
    exact = [(t, Key.parse(m.text[4:])) for t, m in events if m.type == "text" and m.text.startswith("key=")]
    keys = tuple(KeySpan(t * scale, k) for t, k in (exact or signatures or [(0, Key("C"))]))
    return LeadSheet(
        chords=chords,
        keys=keys,
        meters=tuple(MeterSpan(t * scale, m) for t, m in meters),
        grid=_grid(events, scale, length, float(meters[0][1].beat_quarters)),
        length=length,
        genre=texts.get("genre"),
        melody=_melody(file, scale),
        first_downbeat=Fraction(texts.get("first_downbeat", "0")),
    )


def _ticks(sheet: LeadSheet):  # type: ignore[no-untyped-def]
    """Beats → ticks, by the first metre's beat."""
    return lambda beat: round(beat * sheet.meter.beat_quarters * TICKS)


def _before_gaps(sheet: LeadSheet) -> list[ChordSpan]:
    """Chords after which nothing sounds for a while."""
    starts = {s.start for s in sheet.chords}
    return [s for s in sheet.chords if s.end not in starts and s.end < sheet.length]


def _track(events, end: int):  # type: ignore[no-untyped-def]
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
    return _track(sorted(events, key=lambda e: (e[0], e[1].type == "note_on")), 0)


def _voicing(chord: Chord) -> list[int]:
    """Bass below C3 and the chord's tones from C3 up."""
    if chord.bass_pc is None:
        return []
    return [36 + chord.bass_pc, *sorted(48 + pc for pc in set(chord.pitch_classes))]


def _key_name(key: Key) -> str:
    """The name that MIDI's key signature knows; an enharmonic one for keys beyond seven accidentals."""
    from musetune.theory.names import FLATS, SHARPS

    names = [key.tonic, FLATS[key.tonic_pc], SHARPS[key.tonic_pc]]
    from mido.midifiles.meta import _key_signature_encode

    minor = "m" if key.mode == "minor" else ""
    return next(n + minor for n in names if n + minor in _key_signature_encode)


def _read_key(message: mido.MetaMessage) -> Key:
    return Key(message.key.rstrip("m"), "minor" if message.key.endswith("m") else "major")


def _events(file: mido.MidiFile):  # type: ignore[no-untyped-def]
    """(tick, message) of all tracks."""
    for track in file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            yield tick, message


def _is_chord(text: str) -> bool:
    try:
        Chord.parse(text)
    except ValueError:
        return False
    return True


def _grid(events, scale: Fraction, length: Fraction, quarters: float) -> BeatGrid:  # type: ignore[no-untyped-def]
    """Beat times from the tempo map, microseconds a quarter."""
    tempi = [(t * scale, m.tempo) for t, m in events if m.type == "set_tempo"] or [(Fraction(0), 500000)]
    times, now = [0.0], 0.0
    for beat in range(max(1, -(-length.numerator // length.denominator))):
        tempo = [v for at, v in tempi if at <= beat] or [500000]
        now += tempo[-1] * quarters / 1e6
        times.append(now)
    return BeatGrid(tuple(times))


def _melody(file: mido.MidiFile, scale: Fraction) -> tuple[Note, ...]:
    for track in file.tracks:
        if track.name.lower() == MELODY:
            return tuple(_notes(track, scale))
    return ()


def _notes(track, scale: Fraction):  # type: ignore[no-untyped-def]
    tick, sounding = 0, {}
    for message in track:
        tick += message.time
        if message.type == "note_on" and message.velocity:
            sounding[message.note] = (tick, message.velocity)
        elif message.type in ("note_off", "note_on") and message.note in sounding:
            start, velocity = sounding.pop(message.note)
            yield Note(start * scale, (tick - start) * scale, message.note, velocity)
