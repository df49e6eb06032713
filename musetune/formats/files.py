"""Lead sheets as files, by suffix; and what the notations share.

Beats and quarter notes, and the exact sheet inside a file.
"""

from __future__ import annotations

import json
import re
import shutil
import warnings
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

from musetune.symbols.lead_sheet import LeadSheet

if TYPE_CHECKING:
    import jams
    from music21 import stream

T = TypeVar("T")
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
        from musetune.formats.musicxml import to_stream

        write_score(to_stream(sheet), path)
    return path


def write_jams(data: jams.JAMS, path: Path) -> None:
    """``data`` as a file, checked against the schema."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # jams calls jsonschema the old way
        data.save(str(path), fmt="jams")


def write_score(score: stream.Score, path: Path) -> None:
    """``score``, whose notation is made (music21 would take tuplets apart), as MusicXML, compressed where the suffix is
    .mxl.
    """
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
    """Chord symbols without the natural signs that music21 gives a root after a sharp or flat of its letter.

    F after F#m is not F♮.
    """
    return re.sub(r"\s*<(root|bass)-alter>0</\1-alter>", "", text)


def load(path: str | Path) -> LeadSheet:
    """Read a lead sheet: exactly what ``save`` wrote, or, where the file was edited since or is not ours, what it
    plainly says.

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

        from musetune.formats.midi import from_midi

        return from_midi(mido.MidiFile(str(path)))
    if kind == ".jams":
        import jams

        from musetune.formats.jams_file import from_jams

        return from_jams(jams.load(str(path), validate=False, fmt="jams"))
    from music21 import converter

    from musetune.formats.musicxml import from_stream

    with TemporaryDirectory() as folder:  # music21 goes by the suffix, in lower case
        copy = Path(folder) / ("sheet.mxl" if zipfile.is_zipfile(path) else "sheet.musicxml")
        shutil.copyfile(path, copy)
        return from_stream(converter.parse(str(copy), format="musicxml", forceSource=True))


# -- what MIDI, MusicXML and JAMS share
# ------------------------------------------------------------------------------------
