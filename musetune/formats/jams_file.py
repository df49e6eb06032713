"""LeadSheet ↔ JAMS (Humphrey et al., ISMIR 2014): chord_harte, beat, key_mode, tempo, segment_open, note_midi."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from musetune.formats.exact_sheet import FIELD, embed, exact
from musetune.formats.json_object import parse_json
from musetune.formats.key_names import read_key
from musetune.symbols.beat_grid import BeatGrid
from musetune.symbols.chord import Chord
from musetune.symbols.json_values import JsonObject
from musetune.symbols.key import Key
from musetune.symbols.lead_sheet import GENRES, LeadSheet
from musetune.symbols.limits import BEATS, CHORDS, DURATION_S, EVENTS, check_count, shorten
from musetune.symbols.meter import Meter
from musetune.symbols.remarks import remark
from musetune.symbols.spans import ChordSpan, KeySpan, MeterSpan, Note, Section
from musetune.symbols.timeline import in_force

if TYPE_CHECKING:
    import jams

GRAIN = 48  # chord positions are read to this part of a beat


@dataclass(frozen=True)
class AnalysisOrigin:
    """What an analysis says of a sheet beside the sheet: how sure it is, and of what music.

    Attributes:
        chords: 0…1 for each chord of the sheet.
        key: 0…1.
        tempo: 0…1.
        meter: 0…1.
        file: Name of the music.
        duration_s: Its length in seconds.
    """

    chords: tuple[float, ...]
    key: float
    tempo: float
    meter: float
    file: str | None = None
    duration_s: float | None = None


def to_jams(sheet: LeadSheet, origin: AnalysisOrigin | None = None) -> jams.JAMS:
    """Annotations in seconds from 0 on, where the schema begins; meter and genre in the sandbox, and the exact sheet.

    Every annotation's metadata name MuseTune as annotator, the tool and its version.

    Args:
        sheet: The lead sheet.
        origin: The analysis that heard the sheet: chords, keys and tempo get its confidence, and beats, sections and
            notes null, of which an analysis gives none. None: the sheet is what was written, of confidence 1.

    Returns:
        What `jams.JAMS.save` writes.

    Raises:
        ValueError: The sheet ends before time 0.
    """
    import jams

    if sheet.duration_s <= 0:
        raise ValueError(f"the sheet ends at {sheet.duration_s:.3f} s, JAMS begins at 0; shift its grid")
    out = jams.JAMS()
    out.file_metadata.duration = sheet.duration_s
    out.sandbox.update(meter=str(sheet.meter), genre=sheet.genre, **{FIELD: embed(sheet)})
    if origin is not None:
        out.file_metadata.title = origin.file or ""
        out.file_metadata.duration = max(sheet.duration_s, origin.duration_s or 0.0)
        out.sandbox.update(meter_confidence=origin.meter)
    for name, rows in _observations(sheet).items():
        annotation = jams.Annotation(
            name, time=0, duration=sheet.duration_s, annotation_metadata=annotation_metadata(origin is not None)
        )
        for (start, end, value), confidence in zip(rows, _confidence(name, len(rows), origin), strict=True):
            if end > 0 or start >= 0:
                start = max(start, 0.0)
                annotation.append(time=start, duration=end - start, value=value, confidence=confidence)
        out.annotations.append(annotation)
    return out


def annotation_metadata(analysed: bool) -> jams.AnnotationMetadata:
    """Who annotates: MuseTune, by analysis of sound or score, or as what writes a lead sheet down."""
    import jams

    release = version("musetune")
    return jams.AnnotationMetadata(
        annotator={"name": "MuseTune"},
        version=release,
        annotation_tools=f"{'musetune.analysis' if analysed else 'musetune.formats'} {release}",
        data_source="program" if analysed else "lead sheet",
    )


def _confidence(name: str, count: int, origin: AnalysisOrigin | None) -> list[float | None]:
    """The confidence of each observation of an annotation."""
    if origin is None:
        return [1.0] * count
    confidences: dict[str, list[float | None]] = {
        "chord": list(origin.chords),
        "key_mode": [origin.key] * count,
        "tempo": [origin.tempo] * count,
    }
    return confidences.get(name, [None] * count)


def _observations(sheet: LeadSheet) -> dict[str, list[tuple]]:
    """(start, end, value) in seconds, the start below 0 in a cropped sheet, by namespace."""
    at = lambda beat: float(sheet.grid.time_at(float(beat)))  # noqa: E731
    stops = [s.start for s in sheet.keys[1:]] + [sheet.length]
    early = int(np.sum(np.asarray(sheet.grid.times_s) < 0))  # a reader needs two beats from 0 on
    beats = range(max(math.ceil(sheet.length) + 1, early + 2))
    lines = sorted(sheet.downbeats())
    return {
        "chord": [(at(s.start), at(s.end), s.chord.harte) for s in sheet.chords],
        "beat": [(at(b), at(b), _position(sheet, b, lines)) for b in beats],
        "key_mode": [(at(s.start), at(e), f"{s.key.tonic}:{s.key.mode}") for s, e in zip(sheet.keys, stops)],
        "tempo": [(0.0, sheet.duration_s, sheet.bpm)],
        "segment_open": [(at(s.start), at(s.start + s.beats), s.label) for s in sheet.sections],
        "note_midi": [(at(n.start), at(n.start + n.beats), n.pitch) for n in sheet.melody],
    }


def _position(sheet: LeadSheet, beat: int, lines: Sequence[Fraction]) -> int:
    """1 for the beat at a bar line or the first after it, then counted on; a pickup ends with the bar's last beat.

    ``lines`` are the sheet's downbeats in order.
    """
    before = sheet.first_downbeat - sheet.meter.beats_per_bar * max(math.ceil(sheet.first_downbeat), 0)
    line = max([before, *lines[: bisect_right(lines, beat)][-1:]])
    length = [s.meter for s in sheet.meters if s.start <= max(line, sheet.meters[0].start)][-1].beats_per_bar
    return math.floor(beat - line) % length + 1


def from_json(data: object) -> LeadSheet:
    """The sheet of the JSON of what ``to_jams`` writes, and of any JAMS with chord and beat annotations.

    What is mended or left out is remarked. Raises ValueError for what is no JAMS, and without beats.
    """
    if not isinstance(data, dict) or not isinstance(data.get("annotations"), list):
        raise ValueError("it has no list of annotations")
    sandbox = data.get("sandbox")
    sandbox = sandbox if isinstance(sandbox, dict) else {}
    text = sandbox.get(FIELD)
    read = _plain(data["annotations"], sandbox)
    again = lambda sheet: _plain(*((v := _values(to_jams(sheet)))["annotations"], v["sandbox"]))  # noqa: E731
    return exact(text if isinstance(text, str) else None, read, again)


def _values(data: jams.JAMS) -> JsonObject:
    """The plain values that the file of ``data`` holds."""
    values: JsonObject = parse_json(data.dumps())
    return values


class Observation(NamedTuple):
    """One row of an annotation: seconds and what holds there."""

    time: float
    duration: float
    value: Any


def _plain(annotations: list[Any], sandbox: JsonObject) -> LeadSheet:
    """What the annotations say; positions to ``GRAIN``."""
    beats = _rows(annotations, "beat", "beat_position", most=BEATS)
    if len(beats) < 2:
        raise ValueError("this JAMS has no beat annotation; a lead sheet needs one")
    check_count("seconds of music", max(abs(row.time) for row in beats), DURATION_S)
    grid = BeatGrid(tuple(row.time for row in beats))
    length = Fraction(len(beats) - 1)

    def beats_of(seconds: list[float]) -> list[Fraction]:
        places = np.clip(np.round(grid.beat_at(np.asarray(seconds, dtype=float)) * GRAIN), 0, int(length) * GRAIN)
        return [Fraction(int(place), GRAIN) for place in places]

    def spans(*names: str, most: int = CHORDS) -> list[tuple[Fraction, Fraction, Any, float]]:
        observed = _rows(annotations, *names, most=most)
        starts, stops = beats_of([r.time for r in observed]), beats_of([r.time + r.duration for r in observed])
        rows = [(a, b, r.value, r.time) for a, b, r in zip(starts, stops, observed, strict=True)]
        for start, stop, value, time in rows:
            if stop <= start and value not in ("N", "X"):
                remark(f"{names[0]} {shorten(value)!r} at {time:.2f} s lies outside the beats; it is left out")
        return [(start, stop - start, value, time) for start, stop, value, time in rows if stop > start]

    observed = _rows(annotations, "key_mode", most=CHORDS)
    places = beats_of([r.time for r in observed])
    keys = [(at, key) for at, r in zip(places, observed, strict=True) if (key := read_key(r.value)) is not None]
    keys = in_force(keys, Key("C"), length)
    meters, first = _meters([_place_in_bar(row.value) for row in beats], sandbox.get("meter"), length)
    chords = _chords(spans("chord", "chord_harte", "chord_roman"))
    notes = [
        Note(a, b, pitch) for a, b, value, _ in spans("note_midi", most=EVENTS) if (pitch := _pitch(value)) is not None
    ]
    return LeadSheet(
        chords=chords,
        keys=tuple(KeySpan(at, key) for at, key in keys),
        meters=meters,
        grid=grid,
        length=length,
        sections=tuple(
            Section(a, b, shorten(label)) for a, b, label, _ in spans("segment_open", "segment_salami_upper")
        ),
        genre=sandbox.get("genre") if sandbox.get("genre") in GENRES else None,
        melody=tuple(notes),
        first_downbeat=first,
    )


def _chords(spans: list[tuple[Fraction, Fraction, Any, float]]) -> tuple[ChordSpan, ...]:
    """The chords, each cut where the next begins; labels that cannot be read are remarked and leave a gap."""
    chords: list[ChordSpan] = []
    for i, (start, beats, value, time) in enumerate(spans):
        stop = min([start + beats, *(other[0] for other in spans[i + 1 : i + 2])])
        if stop < start + beats:
            remark(f"chord {shorten(_label(value))!r} at {time:.2f} s reaches into the next one; it is cut there")
        try:
            chord = _chord(value)
        except ValueError as error:
            remark(f"the chord {shorten(_label(value))!r} at {time:.2f} s could not be read; none is taken: {error}")
            continue
        if stop > start:
            chords.append(ChordSpan(start, stop - start, chord))
    return tuple(chords)


def _label(value: Any) -> str:
    return f"{value.get('chord')} in {value.get('tonic')}" if isinstance(value, dict) else str(value)


def _chord(value: Any) -> Chord:
    """The chord of a Harte label, or of a numeral with its tonic (namespace chord_roman)."""
    if isinstance(value, dict) and isinstance(value.get("chord"), str):
        return Chord.parse(value["chord"][:100], read_key(value.get("tonic")))
    if not isinstance(value, str):
        raise ValueError("a chord is a label such as C:min7")
    return Chord.parse(value)


def _pitch(value: Any) -> int | None:
    """The nearest of MIDI's pitches; None for what is none, which is remarked."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and -0.5 <= value < 127.5:
        return round(value)
    remark(f"the note {shorten(value)} is no pitch 0–127; it is left out")
    return None


def _place_in_bar(value: Any) -> tuple[int | None, Meter | None]:
    """The beat's number in its bar, and its meter where the observation says it (namespace beat_position)."""
    meter = None
    if isinstance(value, dict):
        beats, units = value.get("num_beats"), value.get("beat_units")
        if isinstance(beats, int) and isinstance(units, int):
            try:
                meter = Meter(beats, units)
            except ValueError as error:
                remark(f"a meter is left out: {error}")
        value = value.get("position")
    whole = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value and abs(value) < 1000
    return (int(value) if whole and value == int(value) else None), meter


def _meters(
    places: list[tuple[int | None, Meter | None]], stated: object, length: Fraction
) -> tuple[tuple[MeterSpan, ...], Fraction]:
    """The meters by the beats' numbers, ``stated`` (ours, in the sandbox) where it has as many beats, and the first
    downbeat.
    """
    lines = [i for i, (beat, _) in enumerate(places) if beat == 1]
    try:
        meter_stated = Meter.parse(stated) if isinstance(stated, str) else None
    except ValueError as error:
        remark(f"the meter {shorten(stated)!r} is left out: {error}")
        meter_stated = None
    gaps = [b - a for a, b in itertools.pairwise(lines)]
    numbers = [beat for beat, _ in places if beat is not None]
    if not lines or (set(gaps) == {1} and max(numbers) == 1):
        meter = meter_stated or Meter(max(numbers, default=4) if 2 <= max(numbers, default=4) <= 32 else 4, 4)
        return (MeterSpan(Fraction(0), meter),), Fraction(lines[0] if lines else 0)
    if not gaps:
        gaps = [max(numbers)]
    elif len(places) - lines[-1] > gaps[-1]:  # the last bar is longer than the one before
        gaps.append(len(places) - 1 - lines[-1])
    else:
        gaps.append(gaps[-1])
    spans: list[MeterSpan] = []
    for line, gap in zip(lines, gaps):
        own = places[line][1]
        near = (
            meter_stated
            if meter_stated is not None and meter_stated.beats_per_bar == gap
            else Meter(min(max(gap, 1), 255), 4)
        )
        meter = own if own is not None and own.beats_per_bar == gap else near
        if not spans or spans[-1].meter != meter:
            spans.append(MeterSpan(Fraction(line if spans else 0), meter))
    return tuple(span for span in spans if span.start < length), Fraction(lines[0])


def _rows(annotations: list[Any], *names: str, most: int = EVENTS) -> list[Observation]:
    """Observations of the first annotation in one of these namespaces, by time.

    Raises ValueError where there are more than ``most``.
    """
    for name in names:
        for annotation in annotations:
            if isinstance(annotation, dict) and annotation.get("namespace") == name and annotation.get("data"):
                return _observed(annotation["data"], name, most)
    return []


def _observed(data: Any, name: str, most: int) -> list[Observation]:
    """The rows of an annotation's data: a list of observations, or lists by field."""
    if isinstance(data, dict):
        columns = [data.get(field) for field in ("time", "duration", "value")]
        if not all(isinstance(column, list) for column in columns):
            raise ValueError(f"its annotation {name!r} has no lists of time, duration and value")
        rows = [dict(zip(("time", "duration", "value"), row)) for row in zip(*columns)]  # type: ignore[arg-type]
    else:
        rows = data if isinstance(data, list) else []
    check_count(f"observations of {name!r}", len(rows), most)
    out, skipped_count = [], 0
    for row in rows:
        times = [row.get(field) if isinstance(row, dict) else None for field in ("time", "duration")]
        times[1] = 0.0 if times[1] is None else times[1]
        if not all(isinstance(t, (int, float)) and not isinstance(t, bool) and abs(t) < 1e9 for t in times):
            skipped_count += 1
            continue
        out.append(Observation(float(times[0]), float(times[1]), row.get("value")))  # type: ignore[arg-type]
    if skipped_count:
        remark(f"{skipped_count} observations of {name!r} have no time in seconds; they are left out")
    return sorted(out, key=lambda row: row.time)
