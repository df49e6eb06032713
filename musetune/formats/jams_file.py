"""LeadSheet ↔ JAMS (Humphrey et al., ISMIR 2014): chord_harte, beat, key_mode, tempo, segment_open, note_midi."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from musetune.formats.exact_sheet import FIELD, embedded, exact
from musetune.symbols.beat_grid import BeatGrid
from musetune.symbols.chord import Chord
from musetune.symbols.key import Key
from musetune.symbols.lead_sheet import ChordSpan, KeySpan, LeadSheet, MeterSpan, Note, Section
from musetune.symbols.meter import Meter
from musetune.symbols.timeline import in_force

if TYPE_CHECKING:
    import jams

GRAIN = 48  # chord positions are read to this part of a beat


def to_jams(sheet: LeadSheet) -> jams.JAMS:
    """Annotations in seconds from 0 on, where the schema begins; metre and genre in the sandbox, and the exact sheet.

    Raises ValueError for a sheet that ends before time 0.
    """
    import jams

    if sheet.duration_s <= 0:
        raise ValueError(f"the sheet ends at {sheet.duration_s:.3f} s, JAMS begins at 0; shift its grid")
    out = jams.JAMS()
    out.file_metadata.duration = sheet.duration_s
    out.sandbox.update(meter=str(sheet.meter), genre=sheet.genre, **{FIELD: embedded(sheet)})
    for name, rows in _observations(sheet).items():
        annotation = jams.Annotation(name, time=0, duration=sheet.duration_s)
        for start, end, value in rows:
            if end > 0 or start >= 0:
                annotation.append(time=max(start, 0.0), duration=end - max(start, 0.0), value=value, confidence=1.0)
        out.annotations.append(annotation)
    return out


def _observations(sheet: LeadSheet) -> dict[str, list[tuple]]:
    """(start, end, value) in seconds, the start below 0 in a cropped sheet, by namespace."""
    at = lambda beat: float(sheet.grid.time_at(float(beat)))  # noqa: E731
    stops = [s.start for s in sheet.keys[1:]] + [sheet.length]
    early = int(np.sum(np.asarray(sheet.grid.times_s) < 0))  # a reader needs two beats from 0 on
    beats = range(max(math.ceil(sheet.length) + 1, early + 2))
    return {
        "chord": [(at(s.start), at(s.end), s.chord.harte) for s in sheet.chords],
        "beat": [(at(b), at(b), _position(sheet, b)) for b in beats],
        "key_mode": [(at(s.start), at(e), f"{s.key.tonic}:{s.key.mode}") for s, e in zip(sheet.keys, stops)],
        "tempo": [(0.0, sheet.duration_s, sheet.bpm)],
        "segment_open": [(at(s.start), at(s.start + s.beats), s.label) for s in sheet.sections],
        "note_midi": [(at(n.start), at(n.start + n.beats), n.pitch) for n in sheet.melody],
    }


def _position(sheet: LeadSheet, beat: int) -> int:
    """1 for the beat at a bar line or the first after it, then counted on; a pickup ends with the bar's last beat."""
    before = sheet.first_downbeat - sheet.meter.beats_per_bar * max(math.ceil(sheet.first_downbeat), 0)
    line = max([before, *(d for d in sheet.downbeats() if d <= beat)])
    length = [s.meter for s in sheet.meters if s.start <= max(line, sheet.meters[0].start)][-1].beats_per_bar
    return math.floor(beat - line) % length + 1


def from_jams(data: jams.JAMS) -> LeadSheet:
    """Read what ``to_jams`` writes, and any JAMS with chord and beat annotations.

    Raises ValueError where either is missing.
    """
    return exact(getattr(data.sandbox, FIELD, None), _plain(data), lambda sheet: _plain(to_jams(sheet)))


def _plain(data: jams.JAMS) -> LeadSheet:
    """What the annotations say; positions to ``GRAIN``."""
    beats = _rows(data, "beat")
    if len(beats) < 2:
        raise ValueError("this JAMS has no beat annotation; a lead sheet needs one")
    grid = BeatGrid(tuple(row.time for row in beats))
    length = Fraction(len(beats) - 1)

    def beat(seconds: float) -> Fraction:
        return min(max(Fraction(round(float(grid.beat_at(seconds)) * GRAIN), GRAIN), Fraction(0)), length)

    def spans(*names: str) -> list[tuple]:
        found = [(beat(r.time), beat(r.time + r.duration), r.value) for r in _rows(data, *names)]
        return [(start, stop - start, value) for start, stop, value in found if stop > start]

    keys = [(beat(r.time), Key.parse(r.value)) for r in _rows(data, "key_mode")]
    positions = [row.value for row in beats]
    bar = int(max((p for p in positions if p is not None), default=4))
    meter = Meter.parse(data.sandbox.meter) if hasattr(data.sandbox, "meter") else Meter(bar, 4)
    return LeadSheet(
        chords=tuple(ChordSpan(a, b, Chord.parse(c)) for a, b, c in spans("chord", "chord_harte")),
        keys=tuple(KeySpan(at, key) for at, key in in_force(keys, Key("C"), length)),
        meters=(MeterSpan(Fraction(0), meter),),
        grid=grid,
        length=length,
        sections=tuple(Section(*part) for part in spans("segment_open")),
        genre=getattr(data.sandbox, "genre", None),
        melody=tuple(Note(a, b, round(pitch)) for a, b, pitch in spans("note_midi")),
        first_downbeat=Fraction(next((i for i, p in enumerate(positions) if p == 1), 0)),
    )


def _rows(data: jams.JAMS, *names: str) -> list:
    """Observations of the first annotation in one of these namespaces, by time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [a for name in names for a in data.annotations.search(namespace=f"^{name}$")]
    return sorted(found[0].data, key=lambda row: row.time) if found else []
