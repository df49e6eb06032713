"""Streams of music21, such as those of its corpus → Score: voices, ties, meters with their irregular bars, tempo."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from musetune.formats.musicxml_reader import notation_bytes, stack
from musetune.formats.score_events import Event, score_of
from musetune.symbols.key import Key
from musetune.symbols.meter import Meter
from musetune.symbols.score import Score
from musetune.symbols.timeline import in_force, quarters_of, tempo_grid

if TYPE_CHECKING:
    from music21 import stream

FINEST = 96  # places are read to this part of a quarter note
_HARMONY = re.compile(rb"<harmony\b[^>]*?(?:/>|>.*?</harmony>)", re.DOTALL)


def parsed_notation(path: Path) -> stream.Score:
    """What music21 reads in the file, at sounding pitch, chord symbols and analyses left aside.

    Raises ValueError without parts.
    """
    from music21 import converter, stream

    text = _HARMONY.sub(b"", notation_bytes(path))  # music21 gives up on symbols that it cannot read
    parsed = converter.parse(text, format="musicxml", forceSource=True)
    if not isinstance(parsed, stream.Score) or not parsed.parts:
        raise ValueError("it has no parts")
    if any(i.transposition for i in parsed.recurse().getElementsByClass("Instrument")):
        parsed = parsed.toSoundingPitch()
    return parsed


def from_stream(parsed: stream.Score) -> Score:
    """The score that music21 has read. Raises ValueError where no note sounds."""
    parts = list(parsed.parts)
    first = parts[0]
    end = max(_quarters(part.highestTime) for part in parts)
    lines: list[tuple[str, list[Event]]] = []
    drums: list[Event] = []
    for number, part in enumerate(parts, start=1):
        name = " ".join((part.partName or f"part {number}").split())
        lines += [(name, line) for line in _lines(part, drums)]
    meters, pickup = _meters(first)
    keys = [(_offset(s, first), _key(s)) for s in first.recurse().getElementsByClass("KeySignature")]
    tempi = [(_offset(m, first), 60 / m.getQuarterBPM()) for m in _marks(parts) if m.getQuarterBPM()]
    grid = lambda meters, count: tempo_grid(in_force(tempi, 0.5, end), quarters_of(meters), count)  # noqa: E731
    return score_of(lines, drums, meters, keys, end, grid, pickup)


def _marks(parts: list[stream.Part]) -> Iterable:  # type: ignore[type-arg]
    """Metronome marks of the part that has most; publishers write them over one."""
    return max((list(part.recurse().getElementsByClass("MetronomeMark")) for part in parts), key=len)


def _quarters(offset: float | Fraction) -> Fraction:
    return Fraction(offset).limit_denominator(FINEST)


def _offset(item, part: stream.Part) -> Fraction:  # type: ignore[no-untyped-def]
    return _quarters(item.getOffsetInHierarchy(part))


def _lines(part: stream.Part, drums: list[Event]) -> list[list[Event]]:
    """The voices of a part, each chord's notes from the top; unpitched notes go to ``drums``."""
    found: dict[int, list[Event]] = {}
    for bar in part.getElementsByClass("Measure") or [part]:
        start = _offset(bar, part) if bar is not part else Fraction(0)
        voices = list(bar.voices)
        for number, voice in enumerate(voices or [bar]):
            shift = start + (_quarters(voice.offset) if voices else 0)
            for item in voice.notes:
                _place(item, shift, found.setdefault(number, []), drums)
    return [line for number in sorted(found) for line in stack(found[number])]


def _place(item, shift: Fraction, notes: list[Event], drums: list[Event]) -> None:  # type: ignore[no-untyped-def]
    """Add a note, or the notes of a chord; one that is tied to a note before lengthens that one."""
    if item.duration.isGrace or item.quarterLength <= 0 or "Harmony" in item.classes:
        return
    start = shift + _quarters(item.offset)
    stop = start + _quarters(item.quarterLength)
    velocity = min(max(round(item.volume.velocity or 90), 1), 127)
    if not item.pitches:
        drums.append((start, stop, _drum(item), velocity, None))
        return
    for note in [item] if item.isNote else item.notes:
        pitch = round(note.pitch.ps)
        if note.tie and note.tie.type in ("stop", "continue"):
            held = next((i for i in reversed(range(len(notes))) if notes[i][1:3] == (start, pitch)), None)
            if held is not None:
                notes[held] = (notes[held][0], stop, *notes[held][2:])
                continue
        notes.append((start, stop, pitch, velocity, _fifths(note.pitch)))


def _drum(item) -> int:  # type: ignore[no-untyped-def]
    """General MIDI's number of an unpitched note: its instrument's, else that of the line it is written on."""
    number = getattr(getattr(item, "storedInstrument", None), "percMapPitch", None)
    if number is None:
        number = item.displayPitch().midi if hasattr(item, "displayPitch") else 38
    return int(number)


def _fifths(pitch) -> int:  # type: ignore[no-untyped-def]
    """Place of the note's name on the line of fifths, C 0."""
    return "FCGDAEB".index(pitch.step) - 1 + 7 * round(pitch.alter)


def _key(signature) -> Key:  # type: ignore[no-untyped-def]
    found = signature if hasattr(signature, "tonic") else signature.asKey("major")
    return Key(found.tonic.name.replace("-", "b"), found.mode if found.mode == "minor" else "major")


def _meters(part: stream.Part) -> tuple[list[tuple[Fraction, Meter]], Fraction]:
    """(quarters, meter) of the time signatures and of the bars after irregular ones, and the quarters before the first
    full bar.
    """
    meters: list[tuple[Fraction, Meter]] = []
    pickup = Fraction(0)
    due = Fraction(0)
    meter = Meter(4, 4)
    for number, bar in enumerate(part.getElementsByClass("Measure")):
        start, held = _offset(bar, part), _quarters(bar.highestTime)
        sign = next(iter(bar.getElementsByClass("TimeSignature")), None)
        if sign is not None:
            meter = Meter(sign.numerator, sign.denominator)
        full = meter.beats_per_bar * meter.beat_quarters
        if number == 0 and 0 < held < full:
            pickup = held
        if number == 0 or (sign is not None and meter != meters[-1][1]) or (start != due and held > 0):
            meters.append((start, meter))
        due = start + (held if number == 0 and pickup else full)
    return meters or [(Fraction(0), meter)], pickup
