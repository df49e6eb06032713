"""LeadSheet ↔ plain JSON values, exact and versioned."""

from __future__ import annotations

from collections.abc import Sequence

from musetune.symbols.beat_grid import BeatGrid
from musetune.symbols.chord import NO_CHORD, Chord
from musetune.symbols.key import Key
from musetune.symbols.lead_sheet import LeadSheet
from musetune.symbols.limits import BEATS, CHORDS, EVENTS, check_count, fraction
from musetune.symbols.meter import Meter
from musetune.symbols.spans import ChordSpan, KeySpan, MeterSpan, Note, Section, SectionPurpose

SCHEMA = 1


def to_json(sheet: LeadSheet) -> dict:
    """Spans as lists [start, beats, …]; fractions as strings."""
    data = {
        "schema": SCHEMA,
        "chords": [_chord_row(span) for span in sheet.chords],
        "keys": [[str(s.start), str(s.key)] for s in sheet.keys],
        "meters": [[str(s.start), str(s.meter)] for s in sheet.meters],
        "beats_s": list(sheet.grid.times_s),
        "length": str(sheet.length),
        "sections": [_section_row(section) for section in sheet.sections],
        "genre": sheet.genre,
        "melody": [[str(n.start), str(n.beats), n.pitch, n.velocity] for n in sheet.melody],
        "first_downbeat": str(sheet.first_downbeat),
    }
    return data if sheet.style is None else data | {"style": sheet.style}


def from_json(data: dict) -> LeadSheet:
    """Inverse of ``to_json``. Raises ValueError for anything else, another schema version included."""
    if not isinstance(data, dict):
        raise ValueError(f"a lead sheet's JSON is an object as to_json writes it, not {type(data).__name__}")
    if data.get("schema") != SCHEMA:
        raise ValueError(
            f"lead sheet schema {data.get('schema')!r} is not {SCHEMA}; write it again with this version of musetune"
        )
    try:
        return _sheet(data)
    except KeyError as error:
        raise ValueError(f"a lead sheet's JSON needs the field {error}; to_json writes it") from error
    except (TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"a field of this lead sheet's JSON is not what to_json writes: {error}") from error


def _chord_row(span: ChordSpan) -> list:
    """Start, beats, root, quality, bass; then the intervals where the quality does not say them."""
    chord = span.chord
    row: list = [str(span.start), str(span.beats), chord.root, chord.quality, chord.bass]
    return [*row, list(chord.intervals)] if chord.intervals else row


def _section_row(section: Section) -> list:
    """Start, beats, label; then dynamics, density and register where the section has a purpose."""
    row: list = [str(section.start), str(section.beats), section.label]
    purpose = section.purpose
    return row if purpose is None else [*row, [purpose.dynamics, purpose.density, purpose.register]]


def _section(start: str, beats: str, label: str, purpose: Sequence[float] | None = None) -> Section:
    return Section(fraction(start), fraction(beats), label, None if purpose is None else SectionPurpose(*purpose))


def _chord(root: str, quality: str, bass: str, intervals: Sequence[int] = ()) -> Chord:
    """The exact chord; its quality is that of its intervals where they are given."""
    return Chord.from_intervals(root, intervals, bass) if intervals else Chord(root, quality, bass)


def _rows(data: dict, field: str, *sizes: int) -> list[list]:
    """The rows of a field, each a list of one of ``sizes``. Raises ValueError for another."""
    for number, row in enumerate(data[field], start=1):
        if not isinstance(row, list) or len(row) not in sizes:
            raise ValueError(f"entry {number} of {field} is not a list of {' or '.join(map(str, sizes))} values")
    rows: list[list] = data[field]
    return rows


def _sheet(data: dict) -> LeadSheet:
    for field, most in (
        ("chords", CHORDS),
        ("beats_s", BEATS + 2),
        ("melody", EVENTS),
        ("keys", CHORDS),
        ("meters", CHORDS),
    ):
        check_count(f"entries in {field}", len(data[field]), most)
    check_count("beats of length", fraction(data["length"]), BEATS)
    return LeadSheet(
        chords=tuple(
            ChordSpan(fraction(s), fraction(b), NO_CHORD if r is None else _chord(r, q, i, *notes))
            for s, b, r, q, i, *notes in _rows(data, "chords", 5, 6)
        ),
        keys=tuple(KeySpan(fraction(s), Key.parse(k)) for s, k in _rows(data, "keys", 2)),
        meters=tuple(MeterSpan(fraction(s), Meter.parse(m)) for s, m in _rows(data, "meters", 2)),
        grid=BeatGrid(tuple(data["beats_s"])),
        length=fraction(data["length"]),
        sections=tuple(_section(*row) for row in _rows(data, "sections", 3, 4)),
        genre=data["genre"],
        melody=tuple(Note(fraction(s), fraction(b), p, v) for s, b, p, v in _rows(data, "melody", 4)),
        first_downbeat=fraction(data["first_downbeat"]),
        style=data.get("style"),
    )
