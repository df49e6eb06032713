"""LeadSheet ↔ MusicXML through music21: chord symbols, key, time and tempo, the melody."""

from __future__ import annotations

import warnings
from fractions import Fraction
from typing import TYPE_CHECKING

from musetune.theory.chord import Chord
from musetune.theory.grid import BeatGrid
from musetune.theory.key import Key
from musetune.theory.leadsheet import ChordSpan, KeySpan, LeadSheet, MeterSpan, Note
from musetune.theory.meter import Meter
from musetune.theory.names import transpose_name

if TYPE_CHECKING:
    from music21 import harmony, stream

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


def to_stream(sheet: LeadSheet) -> stream.Score:
    """A score of one part; bars, chord symbols above, melody or rests below."""
    from music21 import key, meter, note, stream, tempo

    part, beat = stream.Part(), sheet.meter.beat_quarters
    part.insert(0, tempo.MetronomeMark(number=sheet.bpm * float(beat)))
    for metre in sheet.meters:
        part.insert(metre.start * beat, meter.TimeSignature(str(metre.meter)))
    for tonality in sheet.keys:
        part.insert(tonality.start * beat, key.Key(_spell(tonality.key.tonic), tonality.key.mode))
    for span in sheet.chords:
        part.insert(span.start * beat, _symbol(span.chord))
    for item in sheet.melody:
        sounded = note.Note(item.pitch, quarterLength=item.beats * beat)
        sounded.volume.velocity = item.velocity
        part.insert(item.start * beat, sounded)
    total = sheet.length * beat
    if not sheet.melody:
        part.insert(0, note.Rest(quarterLength=total))
    score = stream.Score([part])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        part.makeRests(refStreamOrTimeRange=[0, total], fillGaps=True, inPlace=True)
        part.makeNotation(inPlace=True)
    return score


def _symbol(chord: Chord) -> harmony.Harmony:
    """music21's chord symbol, written and not voiced."""
    from music21 import harmony

    if chord.root is None or chord.root_pc is None or chord.bass_pc is None:
        symbol: harmony.Harmony = harmony.NoChord()
    else:
        bass = transpose_name(chord.root, (chord.bass_pc - chord.root_pc) % 12)
        symbol = harmony.ChordSymbol(root=_spell(chord.root), bass=_spell(bass), kind=KINDS[chord.quality])
    symbol.writeAsChord = False
    return symbol


def from_stream(score: stream.Stream) -> LeadSheet:
    """The first part's chord symbols, keys, metres, tempo and notes. A sheet without a tempo mark gets 120 quarters a minute."""
    parts = score.getElementsByClass("Part")
    part = parts[0] if parts else score
    flat = part.flatten()
    meters = [(Fraction(m.offset), Meter(m.numerator, m.denominator)) for m in flat.getElementsByClass("TimeSignature")]
    meters = meters or [(Fraction(0), Meter(4, 4))]
    beat = meters[0][1].beat_quarters
    end = Fraction(flat.highestTime).limit_denominator(960)
    marks = [(Fraction(s.offset).limit_denominator(960), _chord(s)) for s in flat.getElementsByClass("Harmony")]
    bounds = [at for at, _ in marks[1:]] + [end]
    chords = tuple(
        ChordSpan(at / beat, (stop - at) / beat, c)
        for (at, c), stop in zip(marks, bounds, strict=False)
        if c and stop > at
    )
    tempi = [m for m in flat.getElementsByClass("MetronomeMark") if m.number]
    bpm = tempi[0].getQuarterBPM() / float(beat) if tempi else 120 / float(beat)
    length = end / beat
    notes = (n for n in flat.getElementsByClass("Note") if n.isNote and n.quarterLength > 0)
    melody = tuple(
        Note(Fraction(n.offset).limit_denominator(960) / beat, Fraction(n.quarterLength).limit_denominator(960) / beat, n.pitch.midi,
             n.volume.velocity or 90)
        for n in notes
    )  # fmt: skip
    return LeadSheet(
        chords=chords,
        keys=tuple(_keys(flat, beat)) or (KeySpan(Fraction(0), Key("C")),),
        meters=tuple(MeterSpan(at / beat, m) for at, m in meters),
        grid=BeatGrid.constant(bpm, -(-length.numerator // length.denominator)),
        length=length,
        melody=melody,
    )


def _keys(flat: stream.Stream, beat: Fraction):  # type: ignore[no-untyped-def]
    for signature in flat.getElementsByClass("KeySignature"):
        found = signature if hasattr(signature, "tonic") else signature.asKey("major")
        yield KeySpan(Fraction(signature.offset) / beat, Key(found.tonic.name.replace("-", "b"), found.mode))


def _chord(symbol) -> Chord | None:  # type: ignore[no-untyped-def]
    """music21's chord symbol as ours; None for one that names no chord."""
    if symbol.chordKind == "none" or "NoChord" in symbol.classes:
        return None
    root = symbol.root().name.replace("-", "b")
    bass = symbol.bass().name.replace("-", "b") if symbol.bass() is not None else root
    quality = QUALITY_OF.get(symbol.chordKind, "maj")
    return Chord.parse(f"{root}:{quality}/{bass}") if bass != root else Chord(root, quality)


def _spell(name: str) -> str:
    """music21 writes flats as '-'."""
    return name[0] + name[1:].replace("b", "-")
