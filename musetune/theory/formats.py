"""Lead sheets as files, by suffix."""

from __future__ import annotations

import json
from pathlib import Path

from musetune.theory.leadsheet import LeadSheet

SUFFIXES = (".json", ".mid", ".midi", ".musicxml", ".xml", ".mxl", ".jams")


def save(sheet: LeadSheet, path: str | Path) -> Path:
    """Write ``sheet`` as the suffix says. Raises ValueError for a suffix that is not one of .json, .mid, .musicxml, .jams."""
    path = Path(path)
    kind = path.suffix.lower()
    if kind == ".json":
        path.write_text(json.dumps(sheet.to_json(), indent=1))
    elif kind in (".mid", ".midi"):
        from musetune.theory.midi import to_midi

        to_midi(sheet).save(str(path))
    elif kind in (".musicxml", ".xml"):
        from musetune.theory.musicxml import to_stream

        to_stream(sheet).write("musicxml", fp=str(path))
    elif kind == ".jams":
        from musetune.theory.jamsform import to_jams

        to_jams(sheet).save(str(path))
    else:
        raise ValueError(f"{path.name}: suffix {kind!r} is not one of .json, .mid, .musicxml, .jams")
    return path


def load(path: str | Path) -> LeadSheet:
    """Read a lead sheet. Raises FileNotFoundError, and ValueError for another suffix or what cannot be read as the suffix says."""
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise ValueError(f"{path.name}: suffix {kind!r} is not one of {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise FileNotFoundError(f"no such lead sheet: {path}")
    if kind == ".json":
        return LeadSheet.from_json(json.loads(path.read_text()))
    if kind in (".mid", ".midi"):
        import mido

        from musetune.theory.midi import from_midi

        return from_midi(mido.MidiFile(str(path)))
    if kind == ".jams":
        import jams

        from musetune.theory.jamsform import from_jams

        return from_jams(jams.load(str(path), validate=False))
    from music21 import converter

    from musetune.theory.musicxml import from_stream

    return from_stream(converter.parse(str(path)))
