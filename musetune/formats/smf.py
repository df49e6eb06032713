"""The bytes of a standard MIDI file → tracks. What a file says wrongly is passed over or mended and remarked; what it
says rightly is kept.

After "Standard MIDI Files 1.0" (MIDI Manufacturers Association, 1988): unknown chunks are skipped, tempo is 120 and
the meter 4/4 until the file says otherwise, the tracks of a type 2 file are sequences of their own."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musetune.symbols import limits
from musetune.symbols.remarks import remark

if TYPE_CHECKING:
    import mido

TEXTS = {1: "text", 3: "track_name", 5: "lyrics", 6: "marker", 7: "cue_marker"}
CHANNEL = {
    0x8: ("note_off", 2),
    0x9: ("note_on", 2),
    0xA: ("", 2),
    0xB: ("", 2),
    0xC: ("program_change", 1),
    0xD: ("", 1),
    0xE: ("", 2),
}
SYSTEM = {0xF1: 1, 0xF2: 2, 0xF3: 1}  # data bytes of system messages, which no file should hold
FIFTHS = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
MINORS = ("Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "D#", "A#")

_Message = tuple[str, dict[str, Any]]  # type and values of a message
_Event = tuple[str, dict[str, Any], int]  # and the ticks since the one before


def read_midi(path: Path) -> mido.MidiFile:
    """The file at ``path`` with its tracks: notes, programs, tempi, meters, keys and texts; whatever else sounds is
    left out.

    Raises ValueError for what has no header or no track, counts no ticks a quarter, or lies beyond the limits.
    """
    return parse_midi(limits.read_bytes(path, limits.MIDI_BYTES))


def parse_midi(data: bytes) -> mido.MidiFile:
    """The file that ``data`` holds, as ``read_midi`` says."""
    import mido

    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        data = data[data.find(b"MThd") :] if b"MThd" in data else b""
    start = data.find(b"MThd", 0, 1 << 16)
    if start < 0 or len(data) < start + 14:
        raise ValueError("it has no MThd header, with which MIDI files begin")
    if start:
        remark(f"{start} bytes before the header were passed over")
    kind, count, division = (int.from_bytes(data[start + i : start + i + 2], "big") for i in (8, 10, 12))
    film, division = _film_time(division) if division >= 0x8000 else (None, division)
    if division == 0:
        raise ValueError("it counts 0 ticks a quarter, so its notes have no places; save it anew from its program")
    file = mido.MidiFile(type=1, ticks_per_beat=division)
    size = int.from_bytes(data[start + 4 : start + 8], "big")
    at, remaining = start + 8 + (size if 6 <= size < 256 else 6), limits.EVENTS
    while (chunk := _next_chunk(data, at)) is not None:
        low, high, at = chunk
        limits.check_count("tracks", len(file.tracks) + 1, limits.MEMBERS)
        track = _Track(data, low, high, len(file.tracks) + 1, division, remaining).read()
        remaining -= len(track)
        file.tracks.append(track)
    if not file.tracks:
        raise ValueError("it has no track")
    if len(file.tracks) != count:
        remark(f"the header speaks of {count} tracks, the file has {len(file.tracks)}")
    if kind == 2 and len(file.tracks) > 1:
        remark(f"it is of type 2: its {len(file.tracks)} sequences are read one after another")
        _in_order(file)
    if film is not None:
        for track in file.tracks:
            track[:] = [mido.MetaMessage("text", time=m.time) if m.type == "set_tempo" else m for m in track]
        file.tracks[0].insert(0, mido.MetaMessage("set_tempo", tempo=film))
    return file


def _film_time(division: int) -> tuple[int, int]:
    """Microseconds and ticks of a beat, about half a second, in a file that counts frames of film.

    Raises ValueError for what are no frames.
    """
    frames, ticks = 256 - (division >> 8), division & 0xFF
    if frames not in (24, 25, 29, 30) or not ticks:
        raise ValueError(f"it counts {ticks} ticks in each of {frames} frames a second; frames are 24, 25, 29 or 30")
    a_second = Fraction(30_000, 1001) * ticks if frames == 29 else Fraction(frames * ticks)  # 29 stands for 29.97
    beat = max(round(a_second / 2), 1)
    remark(f"it counts frames of film ({frames} a second) and no beats; it is read with a beat every half second")
    return round(beat / a_second * 1_000_000), beat


def _next_chunk(data: bytes, at: int) -> tuple[int, int, int] | None:
    """Where the next track's bytes begin and end, and where to look on; other chunks are skipped."""
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "big")
        low, high = at + 8, at + 8 + size
        sound = high >= len(data) or re.fullmatch(rb"[\x20-\x7e]{4}", data[high : high + 4]) is not None
        if name == b"MTrk":
            if not sound or (high > len(data) and b"MTrk" in data[low:]):
                following = data.find(b"MTrk", low)
                high = following if following > 0 else len(data)
                remark(f"the track at byte {at} states a wrong length ({size})")
            return low, min(high, len(data)), high
        following = data.find(b"MTrk", at + 1)
        if following < 0:
            return None
        at = high if sound and high <= following else following
    return None


def _in_order(file: mido.MidiFile) -> None:
    """The sequences of a type 2 file one after another: each begins where the one before ended, at 120 and 4/4."""
    import mido

    start = 0
    for track in file.tracks:
        length = sum(message.time for message in track)
        begin = [
            mido.MetaMessage("set_tempo", tempo=500_000, time=start),
            mido.MetaMessage("time_signature", numerator=4, denominator=4),
        ]
        track[:0] = begin if start else []
        start += -(-length // file.ticks_per_beat) * file.ticks_per_beat  # a sequence begins on a beat
        limits.check_count("quarters of music", start / file.ticks_per_beat, limits.BEATS)


class _Track:
    """One track's bytes being read, from ``at`` to ``stop``."""

    def __init__(self, data: bytes, at: int, stop: int, number: int, division: int, most: int) -> None:
        self.data, self.at, self.stop, self.number, self.most = data, at, stop, number, most
        self.furthest = limits.BEATS * division
        self.pending = self.tick = 0  # ticks since the last kept message, and since the start

    def read(self) -> mido.MidiTrack:
        """The messages that are kept."""
        import mido

        events: list[_Event] = []
        status, ended = 0, False
        try:
            while self.at < self.stop and not ended:
                delta = self._number()
                self.pending += delta
                self.tick += delta
                if self.tick > self.furthest:
                    raise _TooLong
                byte = self.data[self.at] if self.at < self.stop else self._cut()
                if byte >= 0x80:
                    self.at += 1
                    status = byte if byte < 0xF0 else status
                elif status:
                    byte = status
                else:
                    self._say(f"byte {self.at} belongs to no message; the rest of the track is left out")
                    break
                event = self._meta() if byte == 0xFF else self._system(byte) if byte >= 0xF0 else self._channel(byte)
                if event is not None:
                    events.append((*event, self.pending))
                    self.pending = 0
                    ended = event[0] == "end_of_track"
                    limits.check_count("events in a MIDI file", len(events), self.most)
            if not ended:
                self._say("has no end; what stands in it is read")
        except _TooLong:
            raise ValueError(
                f"track {self.number}: its times add up to more than {limits.BEATS} quarters; cut it into pieces"
            ) from None
        except EOFError:
            self._say(f"breaks off at byte {self.stop}; what stands before is read")
        if not ended:
            events.append(("end_of_track", {}, min(self.pending, self.furthest)))
        kinds = {True: mido.Message, False: mido.MetaMessage}
        return mido.MidiTrack(kinds["channel" in values](name, **values, time=time) for name, values, time in events)

    def _cut(self) -> int:
        raise EOFError

    def _say(self, text: str) -> None:
        remark(f"track {self.number} {text}" if not text.startswith("byte") else f"track {self.number}: {text}")

    def _number(self) -> int:
        """A number of variable length, four bytes at most."""
        value = 0
        for _ in range(4):
            if self.at >= self.stop:
                self._cut()
            byte = self.data[self.at]
            self.at += 1
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        self._say(f"holds a number of more than four bytes at byte {self.at}; the rest of it is left out")
        self.stop = self.at
        return 0

    def _bytes(self, count: int) -> bytes:
        if self.at + count > self.stop:
            self._cut()
        self.at += count
        return self.data[self.at - count : self.at]

    def _system(self, byte: int) -> _Message | None:
        """System exclusive and its like, passed over."""
        self._bytes(self._number() if byte in (0xF0, 0xF7) else SYSTEM.get(byte, 0))
        return None

    def _channel(self, byte: int) -> _Message | None:
        name, count = CHANNEL[byte >> 4]
        values = self._bytes(count)
        if max(values) > 127:
            self._say(f"says {max(values)} where at most 127 is allowed (byte {self.at - 1}); it counts as 127")
            values = bytes(min(value, 127) for value in values)
        if name == "program_change":
            return name, {"channel": byte & 15, "program": values[0]}
        if not name:
            return None
        return name, {"channel": byte & 15, "note": values[0], "velocity": values[1]}

    def _meta(self) -> _Message | None:
        kind = self._bytes(1)[0]
        body = self._bytes(self._number())
        if kind in TEXTS:
            field = "name" if kind == 3 else "text"
            return TEXTS[kind], {field: _text(body)}
        if kind == 0x2F:
            return "end_of_track", {}
        if kind == 0x51 and len(body) >= 3 and any(body[:3]):
            return "set_tempo", {"tempo": int.from_bytes(body[:3], "big")}
        if kind == 0x58 and len(body) >= 2 and body[0] and body[1] <= 7:
            return "time_signature", {"numerator": body[0], "denominator": 1 << body[1]}
        if kind == 0x59 and len(body) >= 2:
            sharps = int.from_bytes(body[:1], "big", signed=True)
            if -7 <= sharps <= 7 and body[1] <= 1:
                name = MINORS[sharps + 7] + "m" if body[1] else FIFTHS[sharps + 7]
                return "key_signature", {"key": name}
        if kind in (0x51, 0x58, 0x59):
            what = {0x51: "tempo", 0x58: "time signature", 0x59: "key signature"}[kind]
            self._say(f"has a {what} that is none ({body[:6].hex(' ') or 'empty'}, tick {self.tick}); it is left out")
        return None


class _TooLong(Exception):
    """The times of a track add up to more than a piece may last."""


def _text(body: bytes) -> str:
    """UTF-8 where it is, as most programs write today, else Latin 1, as the standard had it."""
    try:
        return body.decode("utf-8").strip("\0")
    except UnicodeDecodeError:
        return body.decode("latin-1").strip("\0")
