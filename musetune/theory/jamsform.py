"""LeadSheet ↔ JAMS (Humphrey et al., ISMIR 2014): chord_harte, beat, key_mode, tempo, segment_open."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction
from typing import TYPE_CHECKING

from musetune.theory.chord import Chord
from musetune.theory.grid import BeatGrid
from musetune.theory.key import Key
from musetune.theory.leadsheet import ChordSpan, KeySpan, LeadSheet, MeterSpan, Section
from musetune.theory.meter import Meter

if TYPE_CHECKING:
    import jams

GRAIN = 48  # chord positions are read to this part of a beat


def to_jams(sheet: LeadSheet) -> jams.JAMS:
    """Annotations in seconds; metre and genre in the sandbox."""
    import jams

    out = jams.JAMS()
    out.file_metadata.duration = sheet.duration_s
    out.sandbox.update(meter=str(sheet.meter), genre=sheet.genre)
    at = lambda beat: float(sheet.grid.time_at(float(beat)))  # noqa: E731
    chords, beats, keys, tempo, parts = (
        jams.Annotation(name, time=0, duration=sheet.duration_s)
        for name in ("chord", "beat", "key_mode", "tempo", "segment_open")
    )
    for span in sheet.chords:
        chords.append(
            time=at(span.start), duration=at(span.end) - at(span.start), value=span.chord.harte, confidence=1.0
        )
    bar = sheet.meter.beats_per_bar
    for beat in range(math.ceil(sheet.length) + 1):
        position = (beat - int(sheet.first_downbeat)) % bar + 1
        beats.append(time=at(beat), duration=0, value=position, confidence=1.0)
    bounds = [s.start for s in sheet.keys[1:]] + [sheet.length]
    for key, stop in zip(sheet.keys, bounds, strict=False):
        keys.append(
            time=at(key.start),
            duration=at(stop) - at(key.start),
            value=f"{key.key.tonic}:{key.key.mode}",
            confidence=1.0,
        )
    tempo.append(time=0, duration=sheet.duration_s, value=sheet.bpm, confidence=1.0)
    for part in sheet.sections:
        parts.append(
            time=at(part.start), duration=at(part.start + part.beats) - at(part.start), value=part.label, confidence=1.0
        )
    out.annotations.extend([chords, beats, keys, tempo, parts])
    return out


def from_jams(data: jams.JAMS) -> LeadSheet:
    """Read what ``to_jams`` writes, and any JAMS with chord and beat annotations. Raises ValueError where either is missing."""
    chords, beats = _rows(data, "chord", "chord_harte"), _rows(data, "beat")
    if len(beats) < 2:
        raise ValueError("this JAMS has no beat annotation; a lead sheet needs one")
    grid = BeatGrid(tuple(row.time for row in beats))
    length = Fraction(len(beats) - 1)

    def beat(seconds: float) -> Fraction:
        return min(max(Fraction(round(float(grid.beat_at(seconds)) * GRAIN), GRAIN), Fraction(0)), length)

    spans = [(beat(r.time), beat(r.time + r.duration), Chord.parse(r.value)) for r in chords]
    keys = [KeySpan(beat(r.time), Key.parse(r.value)) for r in _rows(data, "key_mode")] or [
        KeySpan(Fraction(0), Key("C"))
    ]
    positions = [row.value for row in beats]
    bar = int(max((p for p in positions if p is not None), default=4))
    first = next((i for i, p in enumerate(positions) if p == 1), 0)
    meter = Meter.parse(data.sandbox.meter) if hasattr(data.sandbox, "meter") else Meter(bar, 4)
    parts = tuple(
        Section(beat(r.time), beat(r.time + r.duration) - beat(r.time), r.value) for r in _rows(data, "segment_open")
    )
    return LeadSheet(
        chords=tuple(ChordSpan(a, b - a, c) for a, b, c in spans if b > a),
        keys=tuple(keys),
        meters=(MeterSpan(Fraction(0), meter),),
        grid=grid,
        length=length,
        sections=parts,
        genre=getattr(data.sandbox, "genre", None),
        first_downbeat=Fraction(first),
    )


def _rows(data: jams.JAMS, *names: str) -> list:
    """Observations of the first annotation in one of these namespaces, by time."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [a for name in names for a in data.annotations.search(namespace=f"^{name}$")]
    return sorted(found[0].data, key=lambda row: row.time) if found else []
