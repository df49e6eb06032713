"""Pieces of rhythm → staves through music21: lead sheet, melodic parts, piano parts on two staves, percussion."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from musetune.formats.note_values import Bar, Piece, Sound, notate, notate_hits
from musetune.symbols.key import Key
from musetune.symbols.meter import Meter

if TYPE_CHECKING:
    from music21 import stream
    from music21.base import Music21Object
    from music21.instrument import Instrument
    from music21.note import GeneralNote, Note

MIDDLE = 60  # the lowest pitch of a piano's upper staff
CLEFS = {"bass": "Bass8vbClef", "guitar": "Treble8vbClef"}  # both sound an octave below what a treble or bass clef says
DRUMS = 9  # the General MIDI channel of percussion, counted from 0
OTHER = ("C5", "diamond", "Percussion")
# General MIDI's percussion as drum set notation: where it is written, its head, its name
KIT = {
    35: ("F4", "normal", "Acoustic Bass Drum"),
    36: ("F4", "normal", "Bass Drum"),
    37: ("C5", "x", "Side Stick"),
    38: ("C5", "normal", "Snare"),
    39: ("C5", "triangle", "Hand Clap"),
    40: ("C5", "slash", "Electric Snare"),
    41: ("G4", "normal", "Low Floor Tom"),
    42: ("G5", "x", "Closed Hi-Hat"),
    43: ("A4", "normal", "High Floor Tom"),
    44: ("D4", "x", "Pedal Hi-Hat"),
    45: ("B4", "normal", "Low Tom"),
    46: ("G5", "circle-x", "Open Hi-Hat"),
    47: ("D5", "normal", "Low-Mid Tom"),
    48: ("E5", "normal", "High-Mid Tom"),
    49: ("A5", "x", "Crash Cymbal"),
    50: ("E5", "diamond", "High Tom"),
    51: ("F5", "x", "Ride Cymbal"),
    52: ("B5", "diamond", "China Cymbal"),
    53: ("F5", "diamond", "Ride Bell"),
    54: ("B5", "triangle", "Tambourine"),
    55: ("B5", "x", "Splash Cymbal"),
    56: ("E5", "triangle", "Cowbell"),
    57: ("A5", "circle-x", "Crash Cymbal 2"),
    59: ("F5", "circle-x", "Ride Cymbal 2"),
    70: ("C6", "x", "Maracas"),
}


@dataclass(frozen=True)
class EngravedPage:
    """What all staves of a score share: bars, and (quarters, key) of the key signatures."""

    bars: tuple[Bar, ...]
    keys: tuple[tuple[Fraction, Key], ...]

    def key_at(self, start: Fraction) -> Key:
        """Key at a place in quarters; C major before the first."""
        return next((key for at, key in reversed(self.keys) if at <= start), Key("C"))


def staff(
    part: stream.Part,
    sign: str,
    page: EngravedPage,
    content: list[list[Piece]],
    draw: Callable[[Piece, Key], GeneralNote],
    above: Sequence[tuple[Fraction, Music21Object]] = (),
) -> stream.Part:
    """``part`` filled with measures of ``content``, one list a bar, with what is ``above`` at its quarters.

    A short first bar is number 0.

    sign: music21's name of the clef.
    """
    from music21 import clef, key, note

    signs = [(at, key.Key(flat(k.tonic), k.mode)) for at, k in page.keys]
    marks = deque(sorted([*signs, *above], key=lambda mark: mark[0]))
    first, before = page.bars[0], None
    pickup = len(page.bars) > 1 and first[1] - first[0] < _full(first[2])
    for number, ((start, stop, meter), pieces) in enumerate(
        zip(page.bars, content, strict=True), start=0 if pickup else 1
    ):
        bar = _measure(number, stop - start, meter)
        while marks and marks[0][0] < stop:
            offset, mark = marks.popleft()
            if offset >= start:
                bar.insert(offset - start, mark)
        for piece in pieces:
            item = draw(piece, page.key_at(piece.start))
            if isinstance(item, note.Rest):  # else music21 looks for the meter of each rest among all bars
                item.fullMeasure = piece.length == _full(meter)
            bar.insert(piece.start - start, item)
        bar.insert(0, getattr(clef, sign)())
        bar.makeBeams(inPlace=True)  # in a bar with clef and meter: music21 would look for them among all bars
        if before is not None:
            bar.removeByClass("Clef")
        if meter == before:
            bar.removeByClass("TimeSignature")
        part.append(bar)
        before = meter
    part.makeAccidentals(inPlace=True)
    return part


def _full(meter: Meter) -> Fraction:
    return meter.beats_per_bar * meter.beat_quarters


def flat(name: str) -> str:
    """music21 writes flats as '-'."""
    return name[0] + name[1:].replace("b", "-")


def _measure(number: int, quarters: Fraction, meter: Meter) -> stream.Measure:
    """An empty bar, of fewer ``quarters`` than its ``meter`` where it is a pickup."""
    from music21 import stream
    from music21.meter import TimeSignature

    bar = stream.Measure(number=number)
    bar.insert(0, TimeSignature(str(meter)))
    if quarters < _full(meter):
        bar.paddingLeft, bar.showNumber = _full(meter) - quarters, stream.enums.ShowNumber.NEVER
    return bar


def draw_pitched(piece: Piece, key: Key) -> GeneralNote:
    """A rest, a note or a chord, spelled in ``key``."""
    from music21 import chord, note

    item: GeneralNote
    if not piece.heads:
        item = note.Rest(quarterLength=piece.length)
    else:
        heads = [_head(*head, key) for head in piece.heads]
        item = heads[0] if len(heads) == 1 else chord.Chord(heads)
        item.quarterLength = piece.length
    return _in_tuplet(item, piece)


def _head(midi: int, velocity: int, left: bool, right: bool, key: Key) -> Note:
    from music21 import note, tie

    name = key.name_of(midi % 12)
    octave = (midi - name.count("#") + name.count("b")) // 12 - 1
    head = note.Note(flat(name), octave=octave)
    head.volume.velocity = velocity
    if left or right:
        head.tie = tie.Tie("continue" if left and right else "stop" if left else "start")
    return head


def _in_tuplet(item: GeneralNote, piece: Piece) -> GeneralNote:
    """``item`` with the bracket that begins or ends at it."""
    if piece.tuplet in ("start", "stop"):
        item.duration.tuplets[0].type = "start" if piece.tuplet == "start" else "stop"
    return item


def melodic(name: str, program: int, sounds: Iterable[Sound], page: EngravedPage) -> list[stream.Part]:
    """The staves of a stem with pitches.

    Two for keys, split at middle C, else one; bass and guitar in the clefs that they read.
    """
    from music21 import stream

    sounds = list(sounds)
    halves = (
        [sounds] if name != "keys" else [[s for s in sounds if (s[2] >= MIDDLE) is upper] for upper in (True, False)]
    )
    clefs = ["TrebleClef", "BassClef"] if name == "keys" else [CLEFS.get(name, "TrebleClef")]
    staves = []
    for half, sign in zip(halves, clefs, strict=True):
        part = staff(
            stream.PartStaff() if len(halves) > 1 else stream.Part(), sign, page, notate(half, page.bars), draw_pitched
        )
        staves.append(part)
    return _name_staves(staves, name, instruments=[_player(name, program)])


def percussion(name: str, sounds: Iterable[Sound], page: EngravedPage) -> list[stream.Part]:
    """A percussion staff: each instrument of the kit on its line with its head, hits written up to the next one."""
    from music21 import stream

    sounds = list(sounds)
    kit = {pitch: _drum(pitch) for pitch in sorted({s[2] for s in sounds})}
    part = staff(
        stream.Part(),
        "PercussionClef",
        replace(page, keys=()),
        notate_hits(sounds, page.bars),
        lambda piece, _: _hit(piece, kit),
    )
    return _name_staves([part], name, instruments=list(kit.values()) or [_drum(38)])


def _hit(piece: Piece, kit: dict[int, Instrument]) -> GeneralNote:
    from music21 import note, percussion

    heads = []
    for midi, velocity, _, _ in piece.heads:
        line, shape, _ = KIT.get(midi, OTHER)
        head = note.Unpitched(displayName=line)
        head.notehead, head.storedInstrument, head.volume.velocity = shape, kit[midi], velocity
        heads.append(head)
    item = note.Rest() if not heads else heads[0] if len(heads) == 1 else percussion.PercussionChord(heads)
    item.quarterLength = piece.length
    return _in_tuplet(item, piece)


def _drum(midi: int) -> Instrument:
    """An instrument of the kit; a class of its own, because music21 writes one instrument of a class."""
    from music21 import instrument

    player = type(f"Percussion{midi}", (instrument.UnpitchedPercussion,), {})()
    player.percMapPitch, player.midiChannel, player.instrumentId = midi, DRUMS, f"percussion-{midi}"
    player.instrumentName = KIT.get(midi, (*OTHER[:2], f"Percussion {midi}"))[2]
    return player


def _player(name: str, program: int) -> Instrument:
    from music21 import instrument

    player = instrument.Instrument(name.capitalize())
    player.midiProgram, player.instrumentName = program, name.capitalize()
    return player


def _name_staves(staves: list[stream.Part], name: str, instruments: list[Instrument]) -> list[stream.Part]:
    """The staves with their name and who plays them."""
    for number, part in enumerate(staves):
        part.id, part.partName = f"{name}-{number + 1}" if len(staves) > 1 else name, name.capitalize()
    for player in instruments:
        player.partName = name.capitalize()
        staves[0].insert(0, player)
    return staves


def join_staves(staves: list[list[stream.Part]]) -> stream.Score:
    """A score of the parts, two staves of one under a brace."""
    from music21 import layout, stream

    score = stream.Score([part for parts in staves for part in parts])
    for parts in staves:
        if len(parts) > 1:
            score.insert(0, layout.StaffGroup(parts, name=parts[0].partName, symbol="brace"))
    return score
