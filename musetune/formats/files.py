"""Lead sheets as files, by suffix."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from musetune.formats.json_object import read_json
from musetune.formats.reading import reading
from musetune.symbols.lead_sheet import LeadSheet
from musetune.symbols.remarks import collected, remark

if TYPE_CHECKING:
    import jams

KINDS = {
    ".json": "a lead sheet that musetune wrote as JSON",
    ".mid": "a standard MIDI file",
    ".midi": "a standard MIDI file",
    ".musicxml": "a MusicXML score",
    ".xml": "a MusicXML score",
    ".mxl": "a compressed MusicXML score",
    ".jams": "a JAMS file",
}
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
        from musetune.formats.midi import to_midi

        to_midi(sheet).save(str(path))
    elif kind == ".jams":
        from musetune.formats.jams_file import to_jams

        write_jams(to_jams(sheet), path)
    else:
        from musetune.formats.musicxml import to_stream, write_score

        write_score(to_stream(sheet), path)
    return path


def write_jams(data: jams.JAMS, path: Path) -> None:
    """``data`` as a file, checked against the schema."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # jams calls jsonschema the old way
        data.save(str(path), fmt="jams")


def load(path: str | Path) -> LeadSheet:
    """Read a lead sheet: exactly what ``save`` wrote, or, where the file was edited since or is not ours, what it
    plainly says.

    Raises FileNotFoundError, and ValueError for another suffix or what cannot be read as the suffix says.
    """
    path = Path(path)
    kind = _kind(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such lead sheet: {path}")
    with collected() as notes, reading(path, f"{KINDS[kind]} that gives a lead sheet"):
        sheet = _read(path, kind)
    for text in notes:
        remark(text if text.startswith(path.name) else f"{path.name}: {text}")
    return sheet


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise ValueError(f"{path.name}: suffix {kind!r} is not one of {', '.join(SUFFIXES)}")
    return kind


def _read(path: Path, kind: str) -> LeadSheet:
    if kind == ".json":
        return LeadSheet.from_json(read_json(path))
    if kind in (".mid", ".midi"):
        from musetune.formats.midi import from_midi
        from musetune.formats.smf import read_midi

        return from_midi(read_midi(path))
    if kind == ".jams":
        from musetune.formats.jams_file import from_json

        return from_json(read_json(path))
    from musetune.formats.musicxml import from_notation
    from musetune.formats.musicxml_reader import read_notation

    return from_notation(read_notation(path))
