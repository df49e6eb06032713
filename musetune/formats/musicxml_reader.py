"""MusicXML → what it says in quarter notes: bars, keys, tempi, chord symbols, rehearsal marks, voices. Read by
ourselves, so that work is bounded and nothing is lost in silence.

After MusicXML 4.0 (W3C Music Notation Community Group, 2021). Repeats and endings are played out, jumps (D.C., D.S.)
are not; grace and cue notes do not sound."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from musetune.formats.key_names import key_of_fifths
from musetune.formats.score_events import Event
from musetune.formats.xml_harmony import Symbol, symbol_of
from musetune.formats.xml_repeats import play_order
from musetune.symbols import limits
from musetune.symbols.key import Key
from musetune.symbols.limits import BEATS, CHORDS, EVENTS, XML_BYTES, check_count, fraction, shorten
from musetune.symbols.meter import Meter
from musetune.symbols.remarks import remark

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FINEST = 96  # places are read to this part of a quarter note; programs round tuplets
UNITS: dict[str, int | Fraction] = {
    "maxima": 32,
    "long": 16,
    "breve": 8,
    "whole": 4,
    "half": 2,
    "quarter": 1,
    "eighth": Fraction(1, 2),
    "16th": Fraction(1, 4),
    "32nd": Fraction(1, 8),
    "64th": Fraction(1, 16),
}
STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
LETTERS = "CDEFGAB"
SNARE = 38


@dataclass(frozen=True)
class Staff:
    """One staff of a part: its voices, each a list of notes in order, none of which overlap."""

    name: str
    lines: list[list[Event]]


@dataclass
class Notation:
    """What a score says, places in quarters.

    ``meters`` restart at the bars after irregular ones; ``pickup``: before the first full bar.
    """

    staves: list[Staff] = field(default_factory=list)
    drums: list[Event] = field(default_factory=list)
    meters: list[tuple[Fraction, Meter]] = field(default_factory=list)
    pickup: Fraction = Fraction(0)
    end: Fraction = Fraction(0)
    keys: list[tuple[Fraction, Key]] = field(default_factory=list)
    tempi: list[tuple[Fraction, float]] = field(default_factory=list)
    symbols: list[tuple[Fraction, Symbol]] = field(default_factory=list)
    rehearsals: list[tuple[Fraction, str]] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)


def read_notation(path: Path, *, repeats: bool = True) -> Notation:
    """What the score in a .musicxml, .xml or .mxl file says; without ``repeats`` each bar once, as it is written.

    Raises ValueError for what is no score or lies beyond the limits.
    """
    return parse_notation(notation_bytes(path), repeats=repeats)


def notation_bytes(path: Path) -> bytes:
    """The XML in the file.

    In a compressed one: of the first member that its container names, else the first outside META-INF.
    """
    with path.open("rb") as file:
        packed = file.read(4) == b"PK\3\4"
    if not packed:
        return limits.read_bytes(path, XML_BYTES)
    with limits.open_archive(path) as pack:
        names = pack.namelist()
        scores = [n for n in names if not n.startswith("META-INF") and n.lower().endswith((".xml", ".musicxml"))]
        rooted = _rootfile(limits.read_member(pack, CONTAINER, 1 << 16)) if CONTAINER in names else None
        if rooted is not None and rooted not in names:
            remark(
                f"its container names {shorten(rooted)!r}, which is not in the archive; the first score in it is read"
            )
        if rooted not in names and not scores:
            raise ValueError("the archive holds no MusicXML")
        return limits.read_member(pack, rooted if rooted in names and rooted else scores[0], XML_BYTES)


CONTAINER = "META-INF/container.xml"


def _rootfile(data: bytes) -> str | None:
    """The name of the score in a container.xml."""
    files = [file for file in limits.parse_xml(data).iter("rootfile") if file.get("full-path")]
    scores = [file for file in files if "musicxml" in file.get("media-type", "musicxml")]
    return (scores or files)[0].get("full-path") if files else None


def parse_notation(data: bytes, *, repeats: bool = True) -> Notation:
    """What the XML ``data`` says; without ``repeats`` each bar once, as it is written."""
    root = limits.parse_xml(data)
    if root.tag not in ("score-partwise", "score-timewise"):
        raise ValueError(f"its root is <{shorten(root.tag)}>, not <score-partwise> or <score-timewise>")
    parts = _parts(root)
    if not parts:
        raise ValueError("it has no parts")
    out = Notation()
    for item in root.iterfind("identification/miscellaneous/miscellaneous-field"):
        out.fields[item.get("name", "")] = item.text or ""
    readers = [_Part(number, entry, bars).read() for number, (entry, bars) in enumerate(parts, start=1)]
    check_count("notes", sum(part.count for part in readers), EVENTS)
    order = play_order([bars for _, bars in parts]) if repeats else list(range(max(len(bars) for _, bars in parts)))
    for part in readers:
        part.unfold(order)
    check_count("notes with their repeats", sum(len(bar.notes) for part in readers for bar in part.bars), EVENTS)
    starts = _lay_out(out, readers, order)
    leader = next((part for part in readers if any(bar.notes for bar in part.bars)), readers[0])
    keys: list[tuple[Fraction, tuple[int, str | None]]] = [
        (starts[i] + start, key) for i, bar in enumerate(leader.bars) for start, key in bar.keys
    ]
    out.keys = [(start, key) for start, signature in keys if (key := key_of_fifths(*signature)) is not None]
    tempi = {
        starts[i] + at: pace for part in reversed(readers) for i, bar in enumerate(part.bars) for at, pace in bar.tempi
    }
    out.tempi = sorted(tempi.items())
    for part in readers:
        out.rehearsals += [(starts[i] + at, text) for i, bar in enumerate(part.bars) for at, text in bar.rehearsals]
        part.voices(starts, out)
    out.rehearsals = sorted(dict(reversed(out.rehearsals)).items())
    _gather_symbols(out, readers, starts, order)
    return out


def _parts(root: Element) -> list[tuple[Element | None, list[Element]]]:
    """(entry in the part list, measures) of each part."""
    entries = {entry.get("id"): entry for entry in root.iterfind("part-list/score-part")}
    if root.tag == "score-partwise":
        return [(entries.get(part.get("id")), part.findall("measure")) for part in root.findall("part")]
    parts: dict[str | None, list[Element]] = {}
    for measure in root.findall("measure"):
        for part in measure.findall("part"):
            parts.setdefault(part.get("id"), []).append(part)
    return [(entries.get(name), bars) for name, bars in parts.items()]


def _lay_out(out: Notation, parts: list[_Part], order: list[int]) -> list[Fraction]:
    """Where each bar begins; sets the score's meters, pickup and end. order: the bars' numbers as written."""
    meter, due, at, starts = Meter(4, 4), Fraction(0), Fraction(0), []
    count = max(len(part.bars) for part in parts)
    for number in range(count):
        bars = [part.bars[number] for part in parts if number < len(part.bars)]
        sign = next((bar.meter for bar in bars if bar.meter is not None), None)
        meter = sign or meter
        full = meter.beats_per_bar * meter.beat_quarters
        length = _near(max(bar.held for bar in bars)) or full
        first, last = number == 0, number == count - 1
        if first and length < full and count > 1:
            out.pickup = length
        longer = meter.numerator * length / full
        own = (
            Meter(int(longer), meter.denominator)
            if length > full and longer.denominator == 1 and longer < 256
            else meter
        )
        before = out.meters[-1][1] if out.meters else None
        if first or before != own or (at != due and length > 0):
            out.meters.append((at, own))
        starts.append(at)
        if length < full and not first and not last and not any(bar.implicit for bar in bars):
            remark(f"bar {order[number] + 1} lasts {length} of the {full} quarters of {meter}; it is read as it stands")
        due = at + (length if (first and out.pickup) or own != meter else full)
        at += length
        check_count("quarters of music", at, BEATS)
    out.end = at
    if at <= 0:
        raise ValueError("it has no bar that lasts")
    return starts


def _gather_symbols(out: Notation, parts: list[_Part], starts: list[Fraction], order: list[int]) -> None:
    """The chord symbols of all parts; of two at one place the first counts."""
    symbols: dict[Fraction, Symbol] = {}
    for part in parts:
        for i, bar in enumerate(part.bars):
            for offset, symbol in bar.symbols:
                at = starts[i] + offset
                near = symbols.setdefault(at, symbol)
                if near is not symbol and not near.same_as(symbol):
                    remark(f"bar {order[i] + 1} of {part.name!r}: {symbol} stands where {near} does; the first is read")
    check_count("chord symbols", len(symbols), CHORDS)
    out.symbols = sorted(symbols.items(), key=lambda pair: pair[0])


@dataclass
class _Bar:
    """One measure of one part, places in quarters from its start."""

    held: Fraction = Fraction(0)
    meter: Meter | None = None
    implicit: bool = False
    keys: list[tuple[Fraction, tuple[int, str | None]]] = field(default_factory=list)
    tempi: list[tuple[Fraction, float]] = field(default_factory=list)
    symbols: list[tuple[Fraction, Symbol]] = field(default_factory=list)
    rehearsals: list[tuple[Fraction, str]] = field(default_factory=list)
    notes: list[tuple[int, str, Event, bool]] = field(default_factory=list)  # staff, voice, note, tied from before
    drums: list[Event] = field(default_factory=list)


class _Part:
    """One part being read, measure by measure."""

    def __init__(self, number: int, entry: Element | None, measures: list[Element]) -> None:
        text = "" if entry is None else entry.findtext("part-name", "")
        self.name = shorten(text) or f"part {number}"
        self.measures = measures
        self.bars: list[_Bar] = []
        self.count = 0
        self.divisions = Fraction(1)
        self.moves: dict[
            int | None, tuple[int, int]
        ] = {}  # staff (None: all) → semitones, fifths from written to sounding
        self.percussion: set[int] = set()  # staves without pitches
        self.drum_numbers = {}
        channels = []
        for item in [] if entry is None else entry.iterfind("midi-instrument"):
            unpitched, channel = item.findtext("midi-unpitched"), item.findtext("midi-channel")
            channels.append((channel or "").strip())
            if unpitched:
                self.drum_numbers[item.get("id")] = min(max(int(fraction(unpitched)) - 1, 0), 127)
        self.all_drums = bool(channels) and set(channels) == {"10"}

    def read(self) -> _Part:
        """Fill ``bars``."""
        for number, measure in enumerate(self.measures, start=1):
            try:
                self.bars.append(self._bar(number, measure))
            except ValueError as error:
                raise ValueError(f"bar {number} of {self.name!r}: {error}") from error
        return self

    def unfold(self, order: list[int]) -> None:
        """Put ``bars`` into the order in which they are played; after a jump meter, key and tempo are said anew."""
        if order == list(range(len(self.bars))):
            return
        meter: Meter | None = None
        key: tuple[int, str | None] | None = None
        pace: float | None = None
        entries: list[_Bar] = []  # each bar as one that is jumped to
        for bar in self.bars:
            meter = bar.meter or meter
            keys, tempi = list(bar.keys), list(bar.tempi)
            if key is not None and all(at > 0 for at, _ in keys):
                keys.insert(0, (Fraction(0), key))
            if pace is not None and all(at > 0 for at, _ in tempi):
                tempi.insert(0, (Fraction(0), pace))
            entries.append(replace(bar, meter=meter, keys=keys, tempi=tempi))
            key = keys[-1][1] if keys else None
            pace = tempi[-1][1] if tempi else None
        unfolded, before = [], -1
        for number in order:
            source = self.bars if number == before + 1 else entries
            unfolded.append(source[number] if number < len(source) else _Bar())
            before = number
        self.bars = unfolded

    def _quarters(self, text: str | None) -> Fraction:
        """A duration of the file in quarters."""
        value = fraction((text or "0").strip() or "0") / self.divisions
        check_count("quarters of a duration", abs(value), BEATS)
        return value

    def _bar(self, number: int, measure: Element) -> _Bar:
        bar = _Bar(implicit=measure.get("implicit") == "yes")
        now = last = Fraction(0)
        for item in measure:
            if item.tag == "note":
                now, last = self._note(bar, item, now, last)
            elif item.tag in ("backup", "forward"):
                step = self._quarters(item.findtext("duration"))
                now = max(now + (step if item.tag == "forward" else -step), Fraction(0))
            elif item.tag == "attributes":
                self._attributes(number, bar, item, now)
            elif item.tag in ("direction", "sound"):
                self._direction(number, bar, item, now)
            elif item.tag == "harmony":
                at = _near(max(now + self._quarters(item.findtext("offset")), Fraction(0)))
                staff = _whole(item.findtext("staff"), 1)
                where = f"bar {number} of {self.name!r}"
                bar.symbols.append((at, symbol_of(item, self._move(staff)[0], where)))
            bar.held = max(bar.held, now)
            if bar.held > BEATS:  # before the rest of a bar without end is read
                check_count("quarters of a bar", bar.held, BEATS)
        return bar

    def _move(self, staff: int) -> tuple[int, int]:
        return self.moves.get(staff, self.moves.get(None, (0, 0)))

    def _attributes(self, number: int, bar: _Bar, item: Element, now: Fraction) -> None:
        divisions = item.findtext("divisions")
        if divisions is not None:
            value = fraction(divisions)
            if value <= 0:
                raise ValueError(f"its divisions are {shorten(divisions)}; they must be above 0")
            self.divisions = value
        for move in item.iterfind("transpose"):
            staff = _whole(move.get("number"), 0) or None
            self.moves[staff] = _transposition(move)
        for clef in item.iterfind("clef"):
            staff = _whole(clef.get("number"), 1)
            change = (
                self.percussion.add
                if (clef.findtext("sign") or "").strip() == "percussion"
                else self.percussion.discard
            )
            change(staff)
        for key in item.findall("key")[:1]:
            self._key(number, bar, key, now)
        for time in item.findall("time")[:1]:
            meter = _meter(time, f"bar {number} of {self.name!r}")
            bar.meter = meter or bar.meter

    def _key(self, number: int, bar: _Bar, key: Element, now: Fraction) -> None:
        fifths = key.findtext("fifths")
        try:
            value = int(fraction(fifths)) if fifths is not None else 99
        except ValueError:
            value = 99
        if abs(value) > 11:
            what = f"fifths {shorten(fifths)!r}" if fifths is not None else "a signature of single accidentals"
            remark(f"bar {number} of {self.name!r}: a key with {what} is none that is known; it is left out")
            return
        sounding = value + self._move(1)[1]
        sounding += 12 * ((sounding < -11) - (sounding > 11))
        bar.keys.append((_near(now), (sounding, key.findtext("mode"))))

    def _direction(self, number: int, bar: _Bar, item: Element, now: Fraction) -> None:
        at = _near(max(now + self._quarters(item.findtext("offset")), Fraction(0)))
        for mark in item.iterfind("direction-type/rehearsal"):
            if mark.text and mark.text.strip():
                bar.rehearsals.append((at, shorten(mark.text)))
        sound = item if item.tag == "sound" else item.find("sound")
        tempo = None if sound is None else sound.get("tempo")
        paces: list[float | None] = [
            pace for mark in item.iterfind("direction-type/metronome") if (pace := _metronome(mark)) is not None
        ]
        if not paces and tempo is not None:
            paces = [_pace(tempo)]
        if paces and paces[0] is None:
            remark(f"bar {number} of {self.name!r}: the tempo {shorten(tempo)!r} is none; it is left out")
        elif paces and paces[0] is not None:
            bar.tempi.append((at, paces[0]))

    def _note(self, bar: _Bar, item: Element, now: Fraction, last: Fraction) -> tuple[Fraction, Fraction]:
        """Add a note; where the next begins, and where this one began."""
        self.count += 1
        if item.find("grace") is not None:
            return now, last
        length = self._quarters(item.findtext("duration"))
        if length < 0:
            raise ValueError(f"a note lasts {length} quarters; it must last 0 or more")
        chord = item.find("chord") is not None
        start = last if chord else now
        after = now if chord else now + length
        begin, stop = _near(start), _near(start + length)
        if item.find("rest") is None and item.find("cue") is None and stop > begin:
            staff = _whole(item.findtext("staff"), 1)
            velocity = _velocity(item.get("dynamics"))
            pitch = item.find("pitch")
            if pitch is None or staff in self.percussion or self.all_drums:
                bar.drums.append((begin, stop, self._drum(item), velocity, None))
            elif (sounding := self._pitch(pitch, staff)) is not None:
                tied = any(tie.get("type") == "stop" for tie in item.iterfind("tie"))
                tied = tied or any(tie.get("type") in ("stop", "continue") for tie in item.iterfind("notations/tied"))
                event = (begin, stop, sounding[0], velocity, sounding[1])
                bar.notes.append((staff, (item.findtext("voice") or "1").strip(), event, tied))
        return after, start

    def _pitch(self, pitch: Element, staff: int) -> tuple[int, int] | None:
        """The sounding pitch and its place in fifths; None outside MIDI's range."""
        step, octave = (pitch.findtext("step") or "").strip(), _whole(pitch.findtext("octave"), 4)
        if step not in STEPS:
            raise ValueError(f"a pitch has the step {shorten(step)!r}; it must be A–G")
        alter = round(float(fraction(pitch.findtext("alter") or "0")))
        semitones, fifths = self._move(staff)
        midi = 12 * (octave + 1) + STEPS[step] + alter + semitones
        if not 0 <= midi <= 127:
            remark(f"in {self.name!r} notes lie outside MIDI's range; they are left out")
            return None
        return midi, "FCGDAEB".index(step) - 1 + 7 * alter + fifths

    def _drum(self, item: Element) -> int:
        """General MIDI's number of an unpitched note: its instrument's, else that of the line it is written on."""
        instrument = item.find("instrument")
        if instrument is not None and instrument.get("id") in self.drum_numbers:
            return self.drum_numbers[instrument.get("id")]
        if len(set(self.drum_numbers.values())) == 1:
            return next(iter(self.drum_numbers.values()))
        step = (item.findtext("unpitched/display-step") or item.findtext("pitch/step") or "").strip()
        octave = item.findtext("unpitched/display-octave") or item.findtext("pitch/octave")
        return min(max(12 * (_whole(octave, 4) + 1) + STEPS[step], 0), 127) if step in STEPS and octave else SNARE

    def voices(self, starts: list[Fraction], out: Notation) -> None:
        """Add the part's staves and drums to ``out``, ties joined, chords split from the top."""
        voices: dict[tuple[int, int], list[Event]] = {}
        sounding: dict[tuple[int, int, int, Fraction], int] = {}  # staff, line, pitch, where it stops → its place
        for start, bar in zip(starts, self.bars):
            for event in bar.drums:
                out.drums.append((event[0] + start, event[1] + start, *event[2:]))
            named = {
                staff: sorted({v for s, v, *_ in bar.notes if s == staff}, key=_voice_order) for staff, *_ in bar.notes
            }
            for staff, voice, (low, high, pitch, velocity, fifths), tied in bar.notes:
                number = named[staff].index(voice)
                notes = voices.setdefault((staff, number), [])
                before = sounding.pop((staff, number, pitch, start + low), None) if tied else None
                if before is not None:
                    notes[before] = (notes[before][0], start + high, *notes[before][2:])
                else:
                    before = len(notes)
                    notes.append((start + low, start + high, pitch, velocity, fifths))
                sounding[staff, number, pitch, start + high] = before
        staves: dict[int, list[list[Event]]] = {}
        for staff, number in sorted(voices):
            staves.setdefault(staff, []).extend(stack(voices[staff, number]))
        out.staves += [Staff(self.name, lines) for _, lines in sorted(staves.items())]


def stack(notes: list[Event]) -> list[list[Event]]:
    """Lines in which no two notes sound at once: each note, the highest of a chord first, goes on the first silent
    line.
    """
    lines: list[list[Event]] = []
    for event in sorted(notes, key=lambda e: (e[0], -e[2])):
        free = next((line for line in lines if line[-1][1] <= event[0]), None)
        if free is not None:
            free.append(event)
        elif len(lines) < 64:
            lines.append([event])
    return lines


def _voice_order(name: str) -> tuple[int, str]:
    return (int(name) if name.isdecimal() and len(name) < 6 else 10**6, name)


def _near(quarters: Fraction) -> Fraction:
    return quarters.limit_denominator(FINEST)


def _whole(text: str | None, otherwise: int) -> int:
    """A small whole number of the file, ``otherwise`` where there is none."""
    try:
        return int(fraction(text)) if text is not None else otherwise
    except ValueError:
        return otherwise


def _velocity(dynamics: str | None) -> int:
    """MIDI's velocity of a note's dynamics, percent of 90."""
    try:
        return min(max(round(float(fraction(dynamics)) * 0.9), 1), 127) if dynamics else 90
    except ValueError:
        return 90


def _transposition(move: Element) -> tuple[int, int]:
    """Semitones from written to sounding pitch, and places on the line of fifths."""
    chromatic, octaves = _whole(move.findtext("chromatic"), 0), _whole(move.findtext("octave-change"), 0)
    steps = _whole(move.findtext("diatonic"), 99)
    near = [f for f in range(-14, 15) if (7 * f - chromatic) % 12 == 0 and (steps == 99 or (4 * f - steps) % 7 == 0)]
    return chromatic + 12 * octaves, min(near or [(7 * chromatic + 5) % 12 - 5], key=abs)


def _meter(time: Element, where: str) -> Meter | None:
    """The time signature; None for one without numbers (senza misura)."""
    tops, bottoms = ([item.text or "" for item in time.findall(tag)] for tag in ("beats", "beat-type"))
    if not tops:
        return None
    try:
        pairs = [
            (sum(int(fraction(n)) for n in top.split("+")), int(fraction(bottom))) for top, bottom in zip(tops, bottoms)
        ]
        below = max((bottom for _, bottom in pairs), default=0)
        if any(bottom < 1 or below % bottom for _, bottom in pairs):
            raise ValueError(f"{', '.join(bottoms)} do not fit one another")
        return Meter(sum(top * (below // bottom) for top, bottom in pairs), below)
    except ValueError as error:
        remark(f"{where}: the time signature is left out: {error}")
        return None


def _metronome(mark: Element) -> float | None:
    """Seconds a quarter by a metronome mark; None where it gives no number."""
    unit, per_minute = (mark.findtext("beat-unit") or "").strip(), mark.findtext("per-minute")
    if unit not in UNITS or per_minute is None:
        return None
    dots = 0
    for item in mark:
        if item.tag == "per-minute":
            break
        dots += item.tag == "beat-unit-dot"
    length = Fraction(UNITS[unit]) * (2 - Fraction(1, 2 ** min(dots, 4)))
    number = "".join(c for c in per_minute.strip().lstrip("ca. =") if c in "0123456789.")
    pace = _pace(number)
    return None if pace is None else pace / float(length)


def _pace(text: str) -> float | None:
    """Seconds a quarter at so many quarters a minute; None outside 1–10 000."""
    try:
        value = fraction(text)
    except ValueError:
        return None
    return float(60 / value) if 1 <= value <= 10_000 else None
