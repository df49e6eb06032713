"""Lead sheets as files, by suffix; and what the notations share: beats and quarter notes, and the exact sheet inside a file."""

from __future__ import annotations

import json
import re
import shutil
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from musetune.theory.leadsheet import LeadSheet, MeterSpan
from musetune.theory.meter import Meter

if TYPE_CHECKING:
    import jams
    from music21 import stream

T = TypeVar("T")
FIELD = "musetune"  # the name under which a file of another format carries the exact sheet
KINDS = {
    ".json": "a lead sheet that musetune wrote as JSON", ".mid": "a standard MIDI file", ".midi": "a standard MIDI file",
    ".musicxml": "a MusicXML score", ".xml": "a MusicXML score", ".mxl": "a compressed MusicXML score", ".jams": "a JAMS file",
}  # fmt: skip
SUFFIXES = tuple(KINDS)


def save(sheet: LeadSheet, path: str | Path) -> Path:
    """Write ``sheet`` as the suffix says, in either case; ``load`` gives back an equal sheet.

    Raises ValueError for a suffix that is not one of .json, .mid, .midi, .musicxml, .xml, .mxl, .jams.
    """
    path = Path(path)
    kind = _kind(path)
    if kind == ".json":
        path.write_text(json.dumps(sheet.to_json(), indent=1))
    elif kind in (".mid", ".midi"):
        from musetune.theory.midi import to_midi

        to_midi(sheet).save(str(path))
    elif kind == ".jams":
        from musetune.theory.jamsform import to_jams

        write_jams(to_jams(sheet), path)
    else:
        from musetune.theory.musicxml import to_stream

        write_score(to_stream(sheet), path)
    return path


def write_jams(data: jams.JAMS, path: Path) -> None:
    """``data`` as a file, checked against the schema."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # jams calls jsonschema the old way
        data.save(str(path), fmt="jams")


def write_score(score: stream.Score, path: Path) -> None:
    """``score``, whose notation is made (music21 would take tuplets apart), as MusicXML, compressed where the suffix is .mxl."""
    from music21.musicxml.archiveTools import compressXML

    with TemporaryDirectory() as folder:  # music21 compresses beside the file, over a .musicxml of the same name
        made = Path(folder) / "sheet.musicxml"
        score.write("musicxml", fp=str(made), makeNotation=False)
        made.write_text(_without_naturals(_with_players(made.read_text("utf-8"), score)), "utf-8")
        if path.suffix.lower() == ".mxl":
            compressXML(str(made))
            made = made.with_suffix(".mxl")
        shutil.copyfile(made, path)


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
    """Chord symbols without the natural signs that music21 gives a root after a sharp or flat of its letter: F after F#m is not F♮."""
    return re.sub(r"\s*<(root|bass)-alter>0</\1-alter>", "", text)


def load(path: str | Path) -> LeadSheet:
    """Read a lead sheet: exactly what ``save`` wrote, or, where the file was edited since or is not ours, what it plainly says.

    Raises FileNotFoundError, and ValueError for another suffix or what cannot be read as the suffix says.
    """
    path = Path(path)
    kind = _kind(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such lead sheet: {path}")
    try:
        return _read(path, kind)
    except Exception as error:  # every library has errors of its own
        why = str(error) or type(error).__name__
        raise ValueError(f"{path.name} is not {KINDS[kind]} that gives a lead sheet: {why}") from error


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise ValueError(f"{path.name}: suffix {kind!r} is not one of {', '.join(SUFFIXES)}")
    return kind


def _read(path: Path, kind: str) -> LeadSheet:
    if kind == ".json":
        return LeadSheet.from_json(json.loads(path.read_text()))
    if kind in (".mid", ".midi"):
        import mido

        from musetune.theory.midi import from_midi

        return from_midi(mido.MidiFile(str(path)))
    if kind == ".jams":
        import jams

        from musetune.theory.jamsform import from_jams

        return from_jams(jams.load(str(path), validate=False, fmt="jams"))
    from music21 import converter

    from musetune.theory.musicxml import from_stream

    with TemporaryDirectory() as folder:  # music21 goes by the suffix, in lower case
        copy = Path(folder) / ("sheet.mxl" if zipfile.is_zipfile(path) else "sheet.musicxml")
        shutil.copyfile(path, copy)
        return from_stream(converter.parse(str(copy), format="musicxml", forceSource=True))


# -- what MIDI, MusicXML and JAMS share ------------------------------------------------------------------------------------


def embedded(sheet: LeadSheet) -> str:
    """The text, ASCII, that a file carries beside what it plainly says."""
    return json.dumps(sheet.to_json(), separators=(",", ":"))


def exact(text: str | None, read: LeadSheet, written: Callable[[LeadSheet], LeadSheet]) -> LeadSheet:
    """The sheet ``embedded`` as ``text`` where a file ``written`` of it says what was ``read``; else ``read``: the file was edited."""
    try:
        sheet = LeadSheet.from_json(json.loads(text or "null"))
        return sheet if _agree(written(sheet), read) else read
    except ValueError:
        return read


def like(read: LeadSheet, sheet: LeadSheet) -> LeadSheet:
    """``sheet`` as a file says it that shows no sections: those of older versions carried them in the exact sheet alone."""
    return sheet if read.sections else replace(sheet, sections=())


def _agree(a: LeadSheet, b: LeadSheet) -> bool:
    """Equal, but for beat times within 0.05 % and velocities: programs round both."""
    if len(a.grid.times_s) != len(b.grid.times_s) or not np.allclose(
        a.grid.times_s, b.grid.times_s, rtol=5e-4, atol=2e-3
    ):
        return False
    even = lambda sheet: tuple(replace(n, velocity=1) for n in sheet.melody)  # noqa: E731
    return replace(a, grid=b.grid, melody=even(a)) == replace(b, melody=even(b))


def in_force(found: Sequence[tuple[Fraction, T]], default: T, length: Fraction) -> list[tuple[Fraction, T]]:
    """What holds from where on: the first found (else ``default``) from 0, the last found at each place before ``length``."""
    holds = {Fraction(0): found[0][1] if found else default} | dict(found[1:])
    return sorted(((at, value) for at, value in holds.items() if at < length or at == 0), key=lambda pair: pair[0])


def until_next(found: Sequence[tuple[Fraction, T]], length: Fraction) -> list[tuple[Fraction, Fraction, T]]:
    """(start, stop, value) of what holds until the next begins, the last to ``length``; what the next replaces at once is left out."""
    stops = [start for start, _ in found[1:]] + [length]
    return [(start, stop, value) for (start, value), stop in zip(found, stops) if stop > start]


def quarters_of(meters: Sequence[MeterSpan]) -> Callable[[Fraction], Fraction]:
    """Beats → quarter notes; every metre's beats have their own length."""
    knots = [(span.start, span.meter.beat_quarters) for span in meters]
    return lambda beat: _travel(knots, beat)


def beats_of(meters: Sequence[tuple[Fraction, Meter]]) -> Callable[[Fraction], Fraction]:
    """Quarter notes → beats, given where in quarter notes each metre begins."""
    knots = [(at, 1 / meter.beat_quarters) for at, meter in meters]
    return lambda quarter: _travel(knots, quarter)


def _travel(knots: list[tuple[Fraction, Fraction]], to: Fraction) -> Fraction:
    """The way from 0 to ``to`` where each (start, rate) gives the speed up to the next."""
    stops = [start for start, _ in knots[1:]] + [to]
    ways = ((min(stop, to) - start) * rate for (start, rate), stop in zip(knots, stops) if start < to)
    return sum(ways, Fraction(0))
