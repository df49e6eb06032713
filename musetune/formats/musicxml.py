"""LeadSheet ↔ MusicXML through music21: chord symbols, key, time and tempo, the melody."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from musetune.formats.engraving import EngravedPage, draw_pitched, flat, staff
from musetune.formats.exact_sheet import FIELD, embed, exact, like
from musetune.formats.musicxml_reader import Notation, parse_notation
from musetune.formats.note_values import GRID, notate
from musetune.formats.xml_harmony import degrees_of
from musetune.symbols.chord import NO_CHORD, Chord
from musetune.symbols.key import Key
from musetune.symbols.lead_sheet import LeadSheet
from musetune.symbols.meter import Meter
from musetune.symbols.names import spell
from musetune.symbols.spans import ChordSpan, KeySpan, MeterSpan, Note, Section
from musetune.symbols.timeline import beats_of, in_force, quarters_of, tempo_grid, until_next

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


def to_stream(sheet: LeadSheet) -> stream.Score:
    """A score of one part, the ``lead_part``, with the exact sheet in a miscellaneous field."""
    from music21 import stream

    return with_field(stream.Score([lead_part(sheet)]), sheet)


def with_field(score: stream.Score, sheet: LeadSheet, title: str = "Lead sheet") -> stream.Score:
    """``score`` with its ``title`` and the exact ``sheet`` in a miscellaneous field."""
    from music21 import metadata

    score.metadata = metadata.Metadata(title=title, composer="MuseTune")  # else music21 signs for both
    score.metadata.addCustom(FIELD, embed(sheet))
    return score


def lead_part(sheet: LeadSheet) -> stream.Part:
    """Chord symbols, sections as rehearsal marks and the tempo over one voice of melody or rests.

    What comes before the first downbeat is a pickup; a last bar that is cut is filled with rests.
    """
    from music21 import duration, expressions, stream, tempo

    page, at, marks = page_of(sheet), _positions(sheet), _marks(sheet)
    above: list[tuple[Fraction, Music21Object]] = [(start, _symbol(chord)) for start, chord in marks.items()]
    above += [(at(part.start), expressions.RehearsalMark(part.label)) for part in sheet.sections]
    beat = duration.Duration(sheet.meter.beat_quarters)
    above.append((Fraction(0), tempo.MetronomeMark(number=round(sheet.bpm, 2), referent=beat)))
    quarters = quarters_of(sheet.meters)
    end = quarters(sheet.length)
    sounds = [(quarters(n.start), min(quarters(n.start + n.beats), end), n.pitch, n.velocity) for n in sheet.melody]
    return staff(stream.Part(), "TrebleClef", page, notate(sounds, page.bars, marks, single=True), draw_pitched, above)


def page_of(sheet: LeadSheet) -> EngravedPage:
    """The bars and key signatures that every staff of the sheet has."""
    at = _positions(sheet)
    return EngravedPage(tuple(_bars(sheet, at)), tuple((at(span.start), span.key) for span in sheet.keys))


def _positions(sheet: LeadSheet) -> Callable[[Fraction], Fraction]:
    """Beats → quarters, to what can be written."""
    quarters = quarters_of(sheet.meters)
    return lambda beat: Fraction(round(quarters(beat) * GRID), GRID)


def _bars(sheet: LeadSheet, at: Callable[[Fraction], Fraction]) -> list[tuple[Fraction, Fraction, Meter]]:
    """(start, stop, meter) of each bar, in quarters from 0 to the end of the last one."""
    first, bar = sheet.first_downbeat, sheet.meter.beats_per_bar
    pickup = [first - n * bar for n in range(1, math.ceil(first / bar))]
    lines = sorted({min(first, Fraction(0)), *pickup, *sheet.downbeats()})
    meters = [[s.meter for s in sheet.meters if s.start <= max(line, sheet.meters[0].start)][-1] for line in lines]
    end = first if lines[-1] < first else lines[-1] + meters[-1].beats_per_bar
    places = [at(max(line, Fraction(0))) for line in (*lines, end)]
    return [(a, b, meter) for a, b, meter in zip(places, places[1:], meters) if b > a]


def _marks(sheet: LeadSheet) -> dict[Fraction, Chord]:
    """Chord symbols by their place in quarters; N.C. where a chord ends and none follows."""
    at = _positions(sheet)
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
        for change, degree, alter in degrees_of(chord, KINDS[chord.quality]):
            step = harmony.ChordStepModification(change, degree, alter)
            symbol.addChordStepModification(step, updatePitches=False)
    symbol.writeAsChord = False
    return symbol


def write_score(score: stream.Score, path: Path) -> None:
    """``score``, whose notation is made (music21 would take tuplets apart), as MusicXML, compressed where the suffix
    is .mxl.
    """
    from music21.musicxml.archiveTools import compressXML

    with TemporaryDirectory() as folder:  # music21 compresses beside the file, over a .musicxml of the same name
        plain = Path(folder) / "sheet.musicxml"
        plain.write_bytes(score_bytes(score))
        if path.suffix.lower() == ".mxl":
            compressXML(str(plain))
            plain = plain.with_suffix(".mxl")
        shutil.copyfile(plain, path)


def score_bytes(score: stream.Score) -> bytes:
    """``score`` as MusicXML."""
    from music21.musicxml.m21ToXml import GeneralObjectExporter

    exporter = GeneralObjectExporter(score)
    exporter.makeNotation = False
    text = exporter.parse().decode("utf-8")
    return _without_naturals(_with_players(text, score)).encode("utf-8")


def _with_players(text: str, score: stream.Score) -> str:
    """The notation with each hit's own instrument, where music21 writes one instrument for a whole chord of them."""
    players: list[str] = []
    for part in score.parts:
        hits = [
            hit for item in part.recurse().notes for hit in getattr(item, "notes", [item]) if "Unpitched" in hit.classes
        ]
        if len(part.getElementsByClass("Instrument")) > 1:
            players += [hit.storedInstrument.instrumentId for hit in hits]
    following = iter(players)
    return re.sub(r'(?<=<instrument id=")percussion-[^"]*(?=" />)', lambda _: next(following), text)


def _without_naturals(text: str) -> str:
    """Chord symbols without the natural signs that music21 gives a root after a sharp or flat of its letter: F after
    F#m is not F♮.
    """
    return re.sub(r"\s*<(root|bass)-alter>0</\1-alter>", "", text)


def from_notation(notation: Notation) -> LeadSheet:
    """The sheet of a score: all its chord symbols, keys, meters, tempi, and its first pitched staff as the melody.

    Exactly the sheet that ``to_stream`` wrote where the score still says what it did. Without a tempo: 120 a minute.
    """
    read = _plain(notation)
    again = lambda sheet: _plain(parse_notation(score_bytes(to_stream(like(read, sheet)))))  # noqa: E731
    return exact(notation.fields.get(FIELD), read, again)


def _plain(notation: Notation) -> LeadSheet:
    """What the notation says."""
    at = beats_of(notation.meters)
    length, meters = at(notation.end), tuple(MeterSpan(at(q), m) for q, m in notation.meters)
    keys = in_force([(at(q), key) for q, key in notation.keys], Key("C"), length)
    key_at = lambda beat: next((key for start, key in reversed(keys) if start <= beat), keys[0][1])  # noqa: E731
    marks = [(at(q), symbol.chord_in(key_at(at(q)))) for q, symbol in notation.symbols]
    parts = [(at(q), text) for q, text in notation.rehearsals]
    tempi = in_force(notation.tempi, 0.5, notation.end)
    return LeadSheet(
        chords=tuple(ChordSpan(a, stop - a, c) for a, stop, c in until_next(marks, length) if c is not None),
        sections=tuple(Section(a, stop - a, label) for a, stop, label in until_next(parts, length)),
        keys=tuple(KeySpan(start, k) for start, k in keys),
        meters=meters,
        grid=tempo_grid(tempi, quarters_of(meters), math.ceil(length)),
        length=length,
        melody=tuple(Note(at(a), at(b) - at(a), pitch, v) for a, b, pitch, v in _melody(notation)),
        first_downbeat=at(notation.pickup),
    )


def _melody(notation: Notation) -> list[tuple[Fraction, Fraction, int, int]]:
    """(start, stop, pitch, velocity) in quarters of the first staff with pitches; of a chord the highest."""
    lines = notation.staves[0].lines if notation.staves else []
    top: dict[Fraction, tuple[Fraction, Fraction, int, int]] = {}
    for start, stop, pitch, velocity, _ in sorted((e for line in lines for e in line), key=lambda e: (e[0], e[2])):
        if min(stop, notation.end) > start:
            top[start] = (start, min(stop, notation.end), pitch, velocity)
    return list(top.values())
