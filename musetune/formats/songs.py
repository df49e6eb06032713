"""A lead sheet with its stems as files, by suffix: MIDI, MusicXML score and parts, JAMS, JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from musetune.formats.files import KINDS, SUFFIXES, write_jams
from musetune.formats.json_object import read_json
from musetune.formats.reading import reading
from musetune.symbols.arrangement import STEMS, Arrangement, Stem, StemNote
from musetune.symbols.lead_sheet import LeadSheet
from musetune.symbols.remarks import collected, remark
from musetune.symbols.spans import Note
from musetune.symbols.timeline import quarters_of

if TYPE_CHECKING:
    import jams
    from music21 import stream

    from musetune.formats.engraving import EngravedPage
    from musetune.formats.note_values import Sound

READ = (".json", ".mid", ".midi")  # what stems are read from
FINEST = 960  # parts of a beat to which a lead's places become a melody's


def save_song(sheet: LeadSheet, arrangement: Arrangement, path: str | Path, *, title: str = "Song") -> Path:
    """Write a lead sheet with the notes of its players.

    ``LeadSheet.load`` reads the file as a sheet whose melody is the lead (JSON: as the sheet itself),
    ``load_arrangement`` the stems of MIDI and JSON, exactly. In all but JSON what sounds outside the sheet is cut.

    Args:
        sheet: Chords, keys, meters, sections.
        arrangement: The players' notes, in beats of the sheet.
        path: Where to; the suffix says the format: .mid and .midi (a track a stem), .musicxml, .xml and .mxl (the lead
            sheet, then a part a stem), .jams (notes beside chords, beats, keys, sections), .json (both, exactly).
        title: Title of the notation.

    Returns:
        The file's path.

    Raises:
        ValueError: For another suffix or for notes out of range.

    Example:
        >>> from musetune.symbols.arrangement import StemNote
        >>> sheet = LeadSheet.parse("| C | F |", bpm=120)
        >>> song = Arrangement(sheet.grid, {"bass": Stem(33, (StemNote(0.0, 4.0, 36, 90),))})
        >>> load_arrangement(save_song(sheet, song, "song.mid")).stems["bass"].notes
        (StemNote(start=0.0, beats=4.0, pitch=36, velocity=90),)
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise ValueError(f"{path.name}: suffix {path.suffix!r} is not one of {', '.join(SUFFIXES)}")
    _check(arrangement)
    arrangement = replace(arrangement, stems=in_order(arrangement.stems))
    if kind == ".json":
        from musetune.formats.song_midi import stems_json

        path.write_text(json.dumps(sheet.to_json() | {"stems": stems_json(arrangement)}, indent=1))
        return path
    sheet = with_lead(sheet, arrangement)
    if kind in (".mid", ".midi"):
        from musetune.formats.song_midi import song_midi

        song_midi(sheet, arrangement).save(str(path))
    elif kind == ".jams":
        write_jams(song_jams(sheet, arrangement), path)
    else:
        from musetune.formats.musicxml import write_score

        write_score(song_score(sheet, arrangement, title), path)
    return path


def save_parts(
    sheet: LeadSheet, arrangement: Arrangement, folder: str | Path, *, title: str = "Song"
) -> dict[str, Path]:
    """Write a MusicXML file for each player, and one for the lead sheet.

    Args:
        sheet: Chords, keys, meters, sections.
        arrangement: The players' notes, in beats of the sheet.
        folder: Where to; made where there is none.
        title: Title of the notation.

    Returns:
        The files by name: "lead sheet" and the stems.

    Raises:
        ValueError: For notes out of range.

    Example:
        >>> from musetune.symbols.arrangement import StemNote
        >>> sheet = LeadSheet.parse("| C | F |", bpm=120)
        >>> song = Arrangement(sheet.grid, {"bass": Stem(33, (StemNote(0.0, 4.0, 36, 90),))})
        >>> [path.name for path in save_parts(sheet, song, "parts").values()]
        ['lead sheet.musicxml', 'bass.musicxml']
    """
    from music21 import stream

    from musetune.formats.engraving import join_staves
    from musetune.formats.musicxml import lead_part, with_field, write_score

    _check(arrangement)
    folder, sheet = Path(folder), with_lead(sheet, arrangement)
    folder.mkdir(parents=True, exist_ok=True)
    scores = {"lead sheet": with_field(stream.Score([lead_part(sheet)]), sheet, title)}
    for name, staves in _staves(sheet, arrangement):
        scores[name] = with_field(join_staves([staves]), sheet, f"{title}: {name}")
    files = {name: folder / f"{name}.musicxml" for name in scores}
    for name, score in scores.items():
        write_score(score, files[name])
    return files


def load_arrangement(path: str | Path) -> Arrangement:
    """Read the stems of a MIDI file, or of a .json that ``save_song`` wrote.

    What ``save_song`` wrote is read exactly. A MIDI file that was edited since, or that another program wrote, is read
    by its tracks: each is a stem by its channel (10: drums), its name or its program, and its ``source`` is "given".

    Args:
        path: A .json, .mid or .midi file.

    Returns:
        The players' notes, in beats.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: For another suffix, a file without notes, or a track that is none of the stems.

    Example:
        >>> from musetune.symbols.arrangement import StemNote
        >>> sheet = LeadSheet.parse("| C | F |", bpm=120)
        >>> song = Arrangement(sheet.grid, {"bass": Stem(33, (StemNote(0.0, 4.0, 36, 90),))})
        >>> load_arrangement(save_song(sheet, song, "song.json")) == song
        True
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in READ:
        raise ValueError(
            f"{path.name}: stems are read from {', '.join(READ)}, not from {path.suffix!r}; save it as .mid"
        )
    if not path.is_file():
        raise FileNotFoundError(f"no such file of stems: {path}")
    what = "a song that musetune wrote as JSON" if kind == ".json" else KINDS[kind]
    with collected() as notes, reading(path, f"{what} that gives stems"):
        arrangement = _read(path, kind)
    for text in notes:
        remark(f"{path.name}: {text}")
    return arrangement


def _read(path: Path, kind: str) -> Arrangement:
    if kind == ".json":
        data = read_json(path)
        if not isinstance(data, dict) or not data.get("stems"):
            raise ValueError("it has no stems")
        arrangement = Arrangement.from_json(data["stems"], LeadSheet.from_json(data).grid)
        _check(arrangement)
        return arrangement
    from musetune.formats.smf import read_midi
    from musetune.formats.song_midi import stems_of

    return stems_of(read_midi(path))


# -- what the formats share --------------------------------------------------------------------------------------------


def in_order(stems: dict[str, Stem]) -> dict[str, Stem]:
    """The stems in the order of ``STEMS``, others after them."""
    names = [*(name for name in STEMS if name in stems), *(name for name in stems if name not in STEMS)]
    return {name: stems[name] for name in names}


def with_lead(sheet: LeadSheet, arrangement: Arrangement) -> LeadSheet:
    """``sheet`` with the lead stem as its melody, cut to its length; as it is where there is no such stem."""
    if "lead" not in arrangement.stems:
        return sheet
    notes = []
    for note in sorted(arrangement.stems["lead"].notes, key=lambda n: (n.start, n.pitch)):
        start, end = (Fraction(beat).limit_denominator(FINEST) for beat in (note.start, note.start + note.beats))
        start, end = max(start, Fraction(0)), min(end, Fraction(sheet.length))
        if end > start:
            notes.append(Note(start, end - start, note.pitch, note.velocity))
    return replace(sheet, melody=tuple(notes))


def _check(arrangement: Arrangement) -> None:
    """Raise ValueError for what no format holds."""
    for name, stem in arrangement.stems.items():
        if not stem.is_drum and not 0 <= stem.program <= 127:
            raise ValueError(f"stem {name!r}: program={stem.program} is not a General MIDI program 0–127")
        for note in stem.notes:
            _check_note(f"stem {name!r}, note at beat {note.start}", note)


def _check_note(what: str, note: StemNote) -> None:
    if not note.beats > 0:
        raise ValueError(f"{what} lasts beats={note.beats}; it must last more than 0")
    for field, low in (("pitch", 0), ("velocity", 1)):
        value = getattr(note, field)
        if not low <= value <= 127 or value != int(value):
            raise ValueError(f"{what}: {field}={value} is not a whole number {low}–127")


# -- notation ----------------------------------------------------------------------------------------------------------


def song_score(sheet: LeadSheet, arrangement: Arrangement, title: str = "Song") -> stream.Score:
    """The lead sheet and, under it, a part a stem, all with the same bars; the exact sheet in a miscellaneous field."""
    from musetune.formats.engraving import join_staves
    from musetune.formats.musicxml import lead_part, with_field

    first = lead_part(sheet)
    first.id = first.partName = "Lead sheet"
    return with_field(join_staves([[first], *(staves for _, staves in _staves(sheet, arrangement))]), sheet, title)


def _staves(sheet: LeadSheet, arrangement: Arrangement) -> Iterator[tuple[str, list[stream.Part]]]:
    """(stem, its staves), in the order of ``STEMS``."""
    from musetune.formats.engraving import melodic, percussion
    from musetune.formats.musicxml import page_of

    page: EngravedPage = page_of(sheet)
    for name, stem in in_order(arrangement.stems).items():
        sounds = _sounds(sheet, stem)
        yield name, percussion(name, sounds, page) if stem.is_drum else melodic(name, stem.program, sounds, page)


def _sounds(sheet: LeadSheet, stem: Stem) -> list[Sound]:
    """The notes in quarters, from 0 on."""
    quarters = quarters_of(sheet.meters)
    spans = [(quarters(Fraction(n.start)), quarters(Fraction(n.start + n.beats)), n) for n in stem.notes]
    return [(max(a, Fraction(0)), b, n.pitch, n.velocity) for a, b, n in spans if b > 0]


# -- JAMS --------------------------------------------------------------------------------------------------------------


def song_jams(sheet: LeadSheet, arrangement: Arrangement) -> jams.JAMS:
    """The sheet's annotations and notes a stem (note_midi), in seconds from 0 on.

    Their sandboxes tell stem, program, source and velocities.

    The lead's are the sheet's melody, the first annotation of notes. Raises ValueError for a sheet that ends before
    time 0.
    """
    import jams

    from musetune.formats.jams_file import annotation_metadata, to_jams

    out = to_jams(sheet)
    for name, stem in arrangement.stems.items():
        if name == "lead":
            notes = out.search(namespace="note_midi")[0]
            velocities = [
                note.velocity for note in sheet.melody if sheet.grid.time_at(float(note.start + note.beats)) > 0
            ]
        else:
            about = annotation_metadata(analysed=False)
            notes = jams.Annotation("note_midi", time=0, duration=sheet.duration_s, annotation_metadata=about)
            velocities = _add(notes, sheet, stem)
            out.annotations.append(notes)
        notes.sandbox.update(
            stem=name, program=stem.program, is_drum=stem.is_drum, source=stem.source, velocities=velocities
        )
    return out


def _add(notes: jams.Annotation, sheet: LeadSheet, stem: Stem) -> list[int]:
    """The stem's notes, cut to the sheet; their velocities."""
    velocities = []
    for note in sorted(stem.notes, key=lambda n: (n.start, n.pitch)):
        start, end = (float(sheet.grid.time_at(beat)) for beat in (note.start, note.start + note.beats))
        start, end = max(start, 0.0), min(end, sheet.duration_s)
        if end > start:
            notes.append(time=start, duration=end - start, value=note.pitch, confidence=1.0)
            velocities.append(note.velocity)
    return velocities
