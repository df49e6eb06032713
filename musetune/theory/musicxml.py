"""LeadSheet ↔ MusicXML through music21: chord symbols, key, time and tempo, the melody."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from musetune.theory.chord import NO_CHORD, Chord
from musetune.theory.formats import FIELD, beats_of, embedded, exact, in_force, quarters_of
from musetune.theory.grid import BeatGrid
from musetune.theory.key import Key
from musetune.theory.leadsheet import ChordSpan, KeySpan, LeadSheet, MeterSpan, Note
from musetune.theory.meter import Meter
from musetune.theory.names import spell

if TYPE_CHECKING:
    from music21 import harmony, stream
    from music21.base import Music21Object

KINDS = {
    "maj": "major", "min": "minor", "dim": "diminished", "aug": "augmented", "sus2": "suspended-second", "sus4": "suspended-fourth",
    "7": "dominant-seventh", "maj7": "major-seventh", "min7": "minor-seventh", "minmaj7": "minor-major-seventh",
    "dim7": "diminished-seventh", "hdim7": "half-diminished-seventh", "maj6": "major-sixth", "min6": "minor-sixth",
    "9": "dominant-ninth", "maj9": "major-ninth", "min9": "minor-ninth", "5": "power",
}  # fmt: skip
QUALITY_OF = {kind: quality for quality, kind in KINDS.items()} | {
    "augmented-seventh": "7", "dominant-11th": "9", "major-11th": "maj9", "minor-11th": "min9", "dominant-13th": "9", "major-13th": "maj9",
    "minor-13th": "min9", "augmented-major-seventh": "maj7", "Neapolitan": "maj", "pedal": "maj",
}  # fmt: skip


GRID = 24  # notation is written to this part of a quarter: thirty-seconds and triplets
VALUES = [Fraction(n, GRID) for n in (96, 72, 48, 36, 24, 18, 16, 12, 9, 8, 6, 4, 3, 2, 1)]  # quarters, one symbol each
FINEST = (
    96  # positions are read to this part of a quarter; music21 cuts the offset of a chord to a whole division, 1e-4
)


def to_stream(sheet: LeadSheet) -> stream.Score:
    """A score of one part with the exact sheet in a miscellaneous field: chord symbols over one voice of melody or rests, to 1/24 quarter.

    What comes before the first downbeat is a pickup; a last bar that is cut is filled with rests.
    """
    from music21 import key, metadata, stream, tempo

    quarters = quarters_of(sheet.meters)
    at = lambda beat: Fraction(round(quarters(beat) * GRID), GRID)  # noqa: E731
    marks, line = _marks(sheet, at), _line(sheet, at)
    above: list[tuple[Fraction, Music21Object]] = [
        (at(s.start), key.Key(_spell(s.key.tonic), s.key.mode)) for s in sheet.keys
    ]
    above += [(place, _symbol(chord)) for place, chord in marks.items()]
    above.append((Fraction(0), tempo.MetronomeMark(number=sheet.bpm * float(sheet.meter.beat_quarters))))
    part, before = stream.Part(), None
    for number, (start, stop, metre) in enumerate(_bars(sheet, at), start=0 if sheet.first_downbeat else 1):
        bar = _bar(number, stop - start, metre, shown=metre != before)
        for place, item in [*above, *_notation(line, start, stop, marks)]:
            if start <= place < stop:
                bar.insert(place - start, item)
        part.append(bar)
        before = metre
    score = stream.Score([part])
    score.metadata = metadata.Metadata()
    score.metadata.addCustom(FIELD, embedded(sheet))
    return score


def _bar(number: int, quarters: Fraction, metre: Meter, shown: bool) -> stream.Measure:
    """An empty bar, of fewer ``quarters`` than its ``metre`` where it is a pickup."""
    from music21 import meter, stream

    bar = stream.Measure(number=number)
    if shown:
        bar.insert(0, meter.TimeSignature(str(metre)))
    missing = metre.beats_per_bar * metre.beat_quarters - quarters
    if missing > 0:
        bar.paddingLeft, bar.showNumber = missing, stream.enums.ShowNumber.NEVER
    return bar


def _bars(sheet: LeadSheet, at) -> list[tuple[Fraction, Fraction, Meter]]:  # type: ignore[no-untyped-def]
    """(start, stop, metre) of each bar, in quarters from 0 to the end of the last one."""
    first, bar = sheet.first_downbeat, sheet.meter.beats_per_bar
    pickup = [first - n * bar for n in range(1, math.ceil(first / bar))]
    lines = sorted({min(first, Fraction(0)), *pickup, *sheet.downbeats()})
    metres = [[s.meter for s in sheet.meters if s.start <= max(line, sheet.meters[0].start)][-1] for line in lines]
    end = first if lines[-1] < first else lines[-1] + metres[-1].beats_per_bar
    places = [at(max(line, Fraction(0))) for line in (*lines, end)]
    return [(a, b, metre) for a, b, metre in zip(places, places[1:], metres) if b > a]


def _marks(sheet: LeadSheet, at) -> dict[Fraction, Chord]:  # type: ignore[no-untyped-def]
    """Chord symbols by their place in quarters; N.C. where a chord ends and none follows."""
    stops = {at(s.end): NO_CHORD for s in sheet.chords if s.end < sheet.length}
    return dict(sorted((stops | {at(s.start): s.chord for s in sheet.chords}).items()))


def _line(sheet: LeadSheet, at) -> list[tuple[Fraction, Fraction, Note]]:  # type: ignore[no-untyped-def]
    """(start, stop, note) in quarters, one at a time: a note ends where the next begins, the highest of a chord stays."""
    notes = sorted(sheet.melody, key=lambda note: (note.start, note.pitch))
    stops = [at(note.start) for note in notes[1:]] + [at(sheet.length)]
    spans = [(at(n.start), min(at(n.start + n.beats), stop), n) for n, stop in zip(notes, stops)]
    return [span for span in spans if span[1] > span[0]]


def _notation(line, start: Fraction, stop: Fraction, marks):  # type: ignore[no-untyped-def]
    """(place, note or rest) that fill the bar from ``start`` to ``stop``; rests are cut at the chords, notes tied over what cuts them."""
    from music21 import note, tie

    spans = [(a, b, n) for a, b, n in line if a < stop and b > start]
    rests = {p for p in (start, *(b for _, b, _ in spans), *marks) if not any(a <= p < b for a, b, _ in spans)}
    spans += [(place, place, None) for place in rests if start <= place < stop]
    spans.sort(key=lambda span: span[0])
    for (begin, end, sound), following in zip(spans, [*(a for a, _, _ in spans[1:]), stop]):
        at = max(begin, start)
        while at < following:
            length = next(value for value in VALUES if value <= following - at)
            if sound is None:
                yield at, note.Rest(quarterLength=length)
            else:
                item = note.Note(sound.pitch, quarterLength=length)
                item.volume.velocity = sound.velocity
                left, right = begin < at, at + length < end
                if left or right:
                    item.tie = tie.Tie("continue" if left and right else "stop" if left else "start")
                yield at, item
            at += length


def _symbol(chord: Chord) -> harmony.Harmony:
    """music21's chord symbol, written and not voiced."""
    from music21 import harmony

    if chord.root is None or chord.bass_pc is None:
        symbol: harmony.Harmony = harmony.NoChord()
    else:
        bass = spell(chord.root, int(chord.bass.lstrip("b#")) - 1, chord.bass_pc)
        symbol = harmony.ChordSymbol(root=_spell(chord.root), bass=_spell(bass), kind=KINDS[chord.quality])
    symbol.writeAsChord = False
    return symbol


def from_stream(score: stream.Stream) -> LeadSheet:
    """The first part's chord symbols, keys, metres, tempo and notes; exactly the sheet that ``to_stream`` wrote where they still say
    what it did. A score without a tempo mark gets 120 quarters a minute."""
    texts = score.metadata.getCustom(FIELD) if score.metadata else ()
    return exact(str(texts[0]) if texts else None, _plain(score), lambda sheet: _plain(to_stream(sheet)))


def _plain(score: stream.Stream) -> LeadSheet:
    """What the notation says."""
    parts = score.getElementsByClass("Part")
    part = parts[0] if parts else score
    flat = part.flatten()
    end = _fraction(flat.highestTime)
    signatures = [(_fraction(m.offset), Meter(m.numerator, m.denominator)) for m in flat["TimeSignature"]]
    signatures = in_force(signatures, Meter(4, 4), end)
    at = beats_of(signatures)
    length, meters = at(end), tuple(MeterSpan(at(q), m) for q, m in signatures)
    marks = [(at(_fraction(s.offset)), _chord(s)) for s in flat["ChordSymbol"]]
    bounds = [start for start, _ in marks[1:]] + [length]
    keys = in_force([(at(_fraction(s.offset)), _key(s)) for s in flat["KeySignature"]], Key("C"), length)
    tempi = [m for m in flat["MetronomeMark"] if m.number]
    pace, quarters = 60 / (tempi[0].getQuarterBPM() if tempi else 120), quarters_of(meters)
    return LeadSheet(
        chords=tuple(ChordSpan(a, stop - a, c) for (a, c), stop in zip(marks, bounds) if stop > a),
        keys=tuple(KeySpan(start, k) for start, k in keys),
        meters=meters,
        grid=BeatGrid(tuple(pace * float(quarters(Fraction(beat))) for beat in range(math.ceil(length) + 1))),
        length=length,
        melody=tuple(Note(at(a), at(b) - at(a), pitch, v) for a, b, pitch, v in _notes(flat, end)),
        first_downbeat=at(_pickup(part)),
    )


def _fraction(offset: float | Fraction) -> Fraction:
    """music21's offset, a float or a fraction."""
    return Fraction(offset).limit_denominator(FINEST)


def _pickup(part: stream.Stream) -> Fraction:
    """Quarters before the first downbeat: a first bar that is short of its metre."""
    bars = part.getElementsByClass("Measure")
    held = _fraction(bars[0].highestTime) if len(bars) > 1 or (bars and bars[0].paddingLeft) else Fraction(0)
    return held if held < _fraction(bars[0].barDuration.quarterLength if bars else 0) else Fraction(0)


def _notes(flat: stream.Stream, end: Fraction) -> list[tuple[Fraction, Fraction, int, int]]:
    """(start, stop, pitch, velocity), in quarters up to ``end``, ties joined."""
    notes: list[tuple[Fraction, Fraction, int, int]] = []
    for item in flat["Note"]:
        start, pitch = _fraction(item.offset), item.pitch.midi
        stop = min(start + _fraction(item.quarterLength), end)
        if stop > start and item.tie and item.tie.type != "start" and notes and notes[-1][1:3] == (start, pitch):
            notes[-1] = (notes[-1][0], stop, *notes[-1][2:])
        elif stop > start:
            notes.append((start, stop, pitch, item.volume.velocity or 90))
    return notes


def _key(signature) -> Key:  # type: ignore[no-untyped-def]
    found = signature if hasattr(signature, "tonic") else signature.asKey("major")
    return Key(found.tonic.name.replace("-", "b"), found.mode)


def _chord(symbol) -> Chord:  # type: ignore[no-untyped-def]
    """music21's chord symbol as ours."""
    if symbol.chordKind == "none" or "NoChord" in symbol.classes:
        return NO_CHORD
    root = symbol.root().name.replace("-", "b")
    bass = symbol.bass().name.replace("-", "b") if symbol.bass() is not None else root
    quality = QUALITY_OF.get(symbol.chordKind, "maj")
    return Chord.parse(f"{root}:{quality}/{bass}") if bass != root else Chord(root, quality)


def _spell(name: str) -> str:
    """music21 writes flats as '-'."""
    return name[0] + name[1:].replace("b", "-")
