"""LeadSheet ↔ MusicXML through music21: chord symbols, key, time and tempo, the melody."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from musetune.formats.engraving import Page, flat, pitched, staff
from musetune.formats.exact_sheet import FIELD, embedded, exact, like
from musetune.formats.note_values import GRID, written
from musetune.symbols.beat_grid import BeatGrid
from musetune.symbols.chord import NO_CHORD, Chord
from musetune.symbols.key import Key
from musetune.symbols.lead_sheet import ChordSpan, KeySpan, LeadSheet, MeterSpan, Note, Section
from musetune.symbols.meter import Meter
from musetune.symbols.names import spell
from musetune.symbols.timeline import beats_of, in_force, quarters_of, until_next

if TYPE_CHECKING:
    from music21 import harmony, stream
    from music21.base import Music21Object

KINDS = {
    "maj": "major",
    "min": "minor",
    "dim": "diminished",
    "aug": "augmented",
    "sus2": "suspended-second",
    "sus4": "suspended-fourth",
    "7": "dominant-seventh",
    "maj7": "major-seventh",
    "min7": "minor-seventh",
    "minmaj7": "minor-major-seventh",
    "dim7": "diminished-seventh",
    "hdim7": "half-diminished-seventh",
    "maj6": "major-sixth",
    "min6": "minor-sixth",
    "9": "dominant-ninth",
    "maj9": "major-ninth",
    "min9": "minor-ninth",
    "5": "power",
}
QUALITY_OF = {kind: quality for quality, kind in KINDS.items()} | {
    "augmented-seventh": "7",
    "dominant-11th": "9",
    "major-11th": "maj9",
    "minor-11th": "min9",
    "dominant-13th": "9",
    "major-13th": "maj9",
    "minor-13th": "min9",
    "augmented-major-seventh": "maj7",
    "Neapolitan": "maj",
    "pedal": "maj",
}


FINEST = (
    96  # positions are read to this part of a quarter; music21 cuts the offset of a chord to a whole division, 1e-4
)


def to_stream(sheet: LeadSheet) -> stream.Score:
    """A score of one part, the ``lead_part``, with the exact sheet in a miscellaneous field."""
    from music21 import stream

    return with_field(stream.Score([lead_part(sheet)]), sheet)


def with_field(score: stream.Score, sheet: LeadSheet, title: str = "Lead sheet") -> stream.Score:
    """``score`` with its ``title`` and the exact ``sheet`` in a miscellaneous field."""
    from music21 import metadata

    score.metadata = metadata.Metadata(title=title, composer="MuseTune")  # else music21 signs for both
    score.metadata.addCustom(FIELD, embedded(sheet))
    return score


def lead_part(sheet: LeadSheet) -> stream.Part:
    """Chord symbols, sections as rehearsal marks and the tempo over one voice of melody or rests.

    What comes before the first downbeat is a pickup; a last bar that is cut is filled with rests.
    """
    from music21 import duration, expressions, stream, tempo

    page, at, marks = page_of(sheet), _place(sheet), _marks(sheet)
    above: list[tuple[Fraction, Music21Object]] = [(place, _symbol(chord)) for place, chord in marks.items()]
    above += [(at(part.start), expressions.RehearsalMark(part.label)) for part in sheet.sections]
    beat = duration.Duration(sheet.meter.beat_quarters)
    above.append((Fraction(0), tempo.MetronomeMark(number=round(sheet.bpm, 2), referent=beat)))
    quarters = quarters_of(sheet.meters)
    end = quarters(sheet.length)
    sounds = [(quarters(n.start), min(quarters(n.start + n.beats), end), n.pitch, n.velocity) for n in sheet.melody]
    return staff(stream.Part(), "TrebleClef", page, written(sounds, page.bars, marks, single=True), pitched, above)


def page_of(sheet: LeadSheet) -> Page:
    """The bars and key signatures that every staff of the sheet has."""
    at = _place(sheet)
    return Page(tuple(_bars(sheet, at)), tuple((at(span.start), span.key) for span in sheet.keys))


def _place(sheet: LeadSheet) -> Callable[[Fraction], Fraction]:
    """Beats → quarters, to what can be written."""
    quarters = quarters_of(sheet.meters)
    return lambda beat: Fraction(round(quarters(beat) * GRID), GRID)


def _bars(sheet: LeadSheet, at: Callable[[Fraction], Fraction]) -> list[tuple[Fraction, Fraction, Meter]]:
    """(start, stop, metre) of each bar, in quarters from 0 to the end of the last one."""
    first, bar = sheet.first_downbeat, sheet.meter.beats_per_bar
    pickup = [first - n * bar for n in range(1, math.ceil(first / bar))]
    lines = sorted({min(first, Fraction(0)), *pickup, *sheet.downbeats()})
    metres = [[s.meter for s in sheet.meters if s.start <= max(line, sheet.meters[0].start)][-1] for line in lines]
    end = first if lines[-1] < first else lines[-1] + metres[-1].beats_per_bar
    places = [at(max(line, Fraction(0))) for line in (*lines, end)]
    return [(a, b, metre) for a, b, metre in zip(places, places[1:], metres) if b > a]


def _marks(sheet: LeadSheet) -> dict[Fraction, Chord]:
    """Chord symbols by their place in quarters; N.C. where a chord ends and none follows."""
    at = _place(sheet)
    stops = {at(s.end): NO_CHORD for s in sheet.chords if s.end < sheet.length}
    return dict(sorted((stops | {at(s.start): s.chord for s in sheet.chords}).items()))


def _symbol(chord: Chord) -> harmony.Harmony:
    """music21's chord symbol, written and not voiced."""
    from music21 import harmony

    if chord.root is None or chord.bass_pc is None:
        symbol: harmony.Harmony = harmony.NoChord()
    else:
        bass = spell(chord.root, int(chord.bass.lstrip("b#")) - 1, chord.bass_pc)
        symbol = harmony.ChordSymbol(root=flat(chord.root), bass=flat(bass), kind=KINDS[chord.quality])
    symbol.writeAsChord = False
    return symbol


def from_stream(score: stream.Stream) -> LeadSheet:
    """The first part's chord symbols, keys, metres, tempo and notes.

    Exactly the sheet that ``to_stream`` wrote where they still say what it did. A score without a tempo mark gets 120
    quarters a minute.
    """
    texts, read = score.metadata.getCustom(FIELD) if score.metadata else (), _plain(score)
    return exact(str(texts[0]) if texts else None, read, lambda sheet: _plain(to_stream(like(read, sheet))))


def _plain(score: stream.Stream) -> LeadSheet:
    """What the notation says."""
    staves = score.getElementsByClass("Part")
    part = staves[0] if staves else score
    flat = part.flatten()
    end = _fraction(flat.highestTime)
    signatures = [(_fraction(m.offset), Meter(m.numerator, m.denominator)) for m in flat["TimeSignature"]]
    signatures = in_force(signatures, Meter(4, 4), end)
    at = beats_of(signatures)
    length, meters = at(end), tuple(MeterSpan(at(q), m) for q, m in signatures)
    marks = [(at(_fraction(s.offset)), _chord(s)) for s in flat["ChordSymbol"]]
    parts = [(at(_fraction(m.offset)), str(m.content)) for m in flat["RehearsalMark"]]
    keys = in_force([(at(_fraction(s.offset)), _key(s)) for s in flat["KeySignature"]], Key("C"), length)
    tempi = [m for m in flat["MetronomeMark"] if m.number]
    pace, quarters = 60 / (tempi[0].getQuarterBPM() if tempi else 120), quarters_of(meters)
    return LeadSheet(
        chords=tuple(ChordSpan(a, stop - a, c) for a, stop, c in until_next(marks, length)),
        sections=tuple(Section(a, stop - a, label) for a, stop, label in until_next(parts, length)),
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
