"""Songs with players: lead sheet and tracks of drums, bass, guitar, keys and lead, read from POP909, OpenEWLD, MIDI
files and WAD files.

Which of them are for tests says musetune/datasets/song_split.py.
"""

from __future__ import annotations

import csv
import io
import itertools
import struct
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from musetune.datasets.rendering.songs import read_song
from musetune.planning.arranger.passages import nearest_step
from musetune.symbols import BeatGrid, Chord, ChordSpan, Key, KeySpan, LeadSheet, Meter, MeterSpan
from musetune.symbols.names import FLATS

Track = list[tuple[float, float, int]]  # start and end in beats, MIDI pitch
SPLIT_LOW = 48  # MIDI pitch: a piano's lowest notes below it are its bass
GENRES = {
    "Jazz": "jazz",
    "Rock": "rock",
    "Pop": "pop",
    "Classical": "classical",
    "Stage & Screen": "pop",
    "Latin": "jazz",
    "Funk / Soul": "pop",
    "Blues": "blues",
    "Electronic": "electronic",
    "Folk, World, & Country": "pop",
}
TEMPLATES = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "7": (0, 4, 7, 10),
    "min7": (0, 3, 7, 10),
    "maj7": (0, 4, 7, 11),
    "dim": (0, 3, 6),
    "sus4": (0, 5, 7),
    "5": (0, 7),
}
MAJOR_PROFILE = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)  # Krumhansl & Kessler 1982
MINOR_PROFILE = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


@dataclass(frozen=True)
class PlayedSong:
    """A lead sheet and what its players play; ``source`` names the collection."""

    name: str
    source: str
    sheet: LeadSheet
    tracks: dict[str, Track] = field(default_factory=dict)


def pop909(root: Path) -> Iterator[PlayedSong]:
    """Melody as lead; of the piano the lowest notes below C3 as bass, the rest as keys.

    A song is cut where its bars lengthen or shorten; one whose meter is unclear is left out.
    """
    for folder in sorted(p for p in root.iterdir() if (p / "chords.txt").is_file()):
        try:
            yield from _pop_song(folder)
        except Exception as error:  # any reader may raise anything: the other songs go on
            print(f"left out {folder.name}: {type(error).__name__}: {error}", file=sys.stderr)


def _pop_song(folder: Path) -> Iterator[PlayedSong]:
    import pretty_midi

    sheet, beats = read_song(folder), np.loadtxt(folder / "beats.txt")
    bar = sheet.meter.beats_per_bar
    corrected = pretty_midi.PrettyMIDI(str(folder / "corrected.mid")).time_signature_changes
    if any(c.numerator not in (bar, 2 * bar) for c in corrected):
        raise ValueError(f"bars of {bar} beats, corrected to {corrected[0].numerator}/{corrected[0].denominator}")
    at = lambda s: float(np.interp(s, beats[:, 0], np.arange(len(beats))))  # noqa: E731
    lines = [line.split() for line in (folder / "key.txt").read_text().splitlines() if line.strip()]
    starts = [Fraction(0)] + [Fraction(round(at(float(line[0])) / bar) * bar) for line in lines[1:]]
    keys = tuple(KeySpan(s, Key.parse(line[2].replace(":", " "))) for s, line in zip(starts, lines))
    tracks: dict[str, Track] = {"lead": [], "bass": [], "keys": []}
    for part in pretty_midi.PrettyMIDI(str(folder / "arrangement.mid")).instruments:
        notes = [(at(n.start), at(n.end), n.pitch) for n in part.notes if n.start < beats[-1, 0]]
        if part.name == "MELODY":
            tracks["lead"] = notes
        elif part.name == "PIANO":
            tracks["bass"], tracks["keys"] = split_hands(notes)
    grid = BeatGrid.constant(min(max(sheet.bpm, 30), 300), int(sheet.length))
    sheet = replace(sheet, keys=keys, grid=grid, genre="pop", melody=())
    for start, end in even_bars(np.flatnonzero(beats[:, 2] > 0), bar):
        inside = {n: [(s - start, e - start, p) for s, e, p in t if start <= s < end] for n, t in tracks.items()}
        yield PlayedSong(
            folder.name, "pop909", replace(sheet, first_downbeat=Fraction(start % bar)).slice(start, end), inside
        )


def even_bars(lines: np.ndarray, bar: int, least: int = 8) -> Iterator[tuple[int, int]]:
    """(start, end) in beats of the stretches of ``least`` bars or more in which each bar line is ``bar`` beats after
    the last.
    """
    breaks = [0, *(np.flatnonzero(np.diff(lines) != bar) + 1), len(lines)]
    for first, after in itertools.pairwise(breaks):
        if after - first > least:
            yield int(lines[first]), int(lines[after - 1])


def split_hands(notes: Track) -> tuple[Track, Track]:
    """(bass, keys): of notes struck together the lowest is bass where it lies below C3."""
    together: dict[int, Track] = defaultdict(list)
    for note in notes:
        together[round(note[0] * 12)].append(note)
    low = {min(chord, key=lambda n: n[2]) for chord in together.values()}
    bass = sorted(n for n in low if n[2] < SPLIT_LOW)
    return bass, sorted(set(notes) - set(bass))


def lead_sheets(root: Path) -> Iterator[PlayedSong]:
    """OpenEWLD: the melody as lead, the genre with most votes in index.csv."""
    with (root / "index.csv").open() as rows:
        for row in csv.DictReader(rows):
            votes = dict(v.rsplit(":", 1) for v in row["genres"].split(";") if ":" in v)
            best = max(votes, key=lambda g: int(votes[g]), default="Pop").strip()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # music21's remarks on a score's spelling
                    sheet = LeadSheet.load(root / row["path"])
            except Exception as error:
                print(f"left out {row['path']}: {type(error).__name__}: {error}", file=sys.stderr)
                continue
            lead = [(float(n.start), float(n.start + n.beats), n.pitch) for n in sheet.melody]
            if sheet.chords and lead and len(sheet.meters) == 1:
                genre = next((GENRES[name] for name in GENRES if best in name), "pop")
                yield PlayedSong(row["path"], "openewld", replace(sheet, genre=genre, melody=()), {"lead": lead})


def midi_folder(root: Path) -> Iterator[PlayedSong]:
    """MIDI files in any depth, and the MIDI music inside WAD files (lumps D_*).

    Chords and key are estimated from the notes.
    """
    for path in sorted(root.rglob("*")):
        kind = path.suffix.lower()
        files = [(path.name, path.read_bytes())] if kind in (".mid", ".midi") else []
        if kind == ".wad":
            files = [(f"{path.name}/{name}", data) for name, data in wad_music(path.read_bytes())]
        for name, data in files:
            try:
                yield midi_song(name, data, "rock" if kind == ".wad" else "pop")
            except Exception as error:
                print(f"left out {name}: {type(error).__name__}: {error}", file=sys.stderr)


def wad_music(data: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, MIDI file) of a WAD's music lumps, each content once."""
    count, directory = struct.unpack("<II", data[4:12])
    digests = set()
    for i in range(count):
        at, size, name = struct.unpack("<II8s", data[directory + 16 * i : directory + 16 * (i + 1)])
        lump = data[at : at + size]
        if name.startswith(b"D_") and lump[:4] == b"MThd" and lump not in digests:
            digests.add(lump)
            yield name.rstrip(b"\0").decode(), lump


def midi_song(name: str, data: bytes, genre: str) -> PlayedSong:
    """A MIDI file's players by their programs.

    Raises ValueError where the meter changes or the notes keep off its grid.
    """
    import pretty_midi

    file = pretty_midi.PrettyMIDI(io.BytesIO(data))
    signatures = {(s.numerator, s.denominator) for s in file.time_signature_changes} or {(4, 4)}
    if len(signatures) > 1:
        raise ValueError(f"its meter changes: {sorted(signatures)}")
    meter = Meter(*signatures.pop())
    quarter = file.resolution * float(meter.beat_quarters)
    parts = [
        (
            p.program,
            p.is_drum,
            [(file.time_to_tick(n.start) / quarter, file.time_to_tick(n.end) / quarter, n.pitch) for n in p.notes],
        )
        for p in file.instruments
    ]
    tracks = players(parts)
    onsets = [s for track in tracks.values() for s, _, _ in track]
    off = np.mean([abs(nearest_step(s, str(meter)) / 12 - s) > 0.03 for s in onsets]) if onsets else 1.0
    if off > 0.25:
        raise ValueError(f"{off:.0%} of its notes are off the grid")
    length = Fraction(
        int(max(e for t in tracks.values() for _, e, _ in t)) // meter.beats_per_bar * meter.beats_per_bar
    )
    tonal = [n for _, drum, notes in parts if not drum for n in notes]
    tempi = file.get_tempo_changes()[1]
    bpm = min(max(float(tempi[0]) / float(meter.beat_quarters), 30), 300)
    sheet = LeadSheet(
        tuple(estimate_chords(tonal, int(length))),
        (KeySpan(Fraction(0), estimate_key(tonal)),),
        (MeterSpan(Fraction(0), meter),),
        BeatGrid.constant(bpm, int(length)),
        length,
        genre=genre,
    )
    return PlayedSong(name, "midi", sheet, tracks)


def players(parts: list[tuple[int, bool, Track]]) -> dict[str, Track]:
    """Stems by General MIDI program.

    Drums, 32–39 bass, 24–31 guitar, 0–23 keys; lead is the busiest high line of single notes. A part of fewer than
    eight notes counts for nothing.
    """
    kinds: dict[str, list[Track]] = defaultdict(list)
    for program, drum, notes in parts:
        if len(notes) < 8:
            continue
        if drum:
            kinds["drums"].append(notes)
        elif 32 <= program <= 39:
            kinds["bass"].append(notes)
        else:
            single = len({round(n[0] * 12) for n in notes}) / len(notes) > 0.9
            high = np.mean([n[2] for n in notes]) >= 62
            kind = "guitar" if 24 <= program <= 31 else "keys" if program < 24 or program in range(48, 55) else "other"
            kinds["lead" if single and high else kind].append(notes)
    tracks_of = {kind: max(tracks, key=len) for kind, tracks in kinds.items() if kind != "other"}
    if "drums" in kinds:
        tracks_of["drums"] = [n for track in kinds["drums"] for n in track]
    return tracks_of


def estimate_chords(notes: Track, beats: int) -> Iterator[ChordSpan]:
    """One chord every two beats: the template whose tones hold most of what sounds, its root favoured by the lowest
    note.
    """
    before: ChordSpan | None = None
    for start in range(0, beats, 2):
        end = min(start + 2, beats)
        chroma, lowest = np.zeros(12), 128
        for s, e, pitch in notes:
            share = min(e, end) - max(s, start)
            if share > 0.05:
                chroma[pitch % 12] += share
                lowest = min(lowest, pitch)
        chord = _best_chord(chroma, lowest % 12) if chroma.sum() > 0 else Chord(None, "N")
        if before and before.chord == chord:
            before = replace(before, beats=before.beats + end - start)
            continue
        if before:
            yield before
        before = ChordSpan(Fraction(start), Fraction(end - start), chord)
    if before:
        yield before


def _best_chord(chroma: np.ndarray, bass: int) -> Chord:
    total = chroma.sum()
    scores = {}
    for root in range(12):
        for quality, tones in TEMPLATES.items():
            inside = chroma[[(root + t) % 12 for t in tones]]
            missing = (inside < 0.05 * total).sum()
            scores[root, quality] = inside.sum() / total - 0.12 * missing - 0.04 * len(tones) + 0.15 * (root == bass)
    root, quality = max(scores, key=lambda k: scores[k])
    return Chord(FLATS[root], quality)


def estimate_key(notes: Track) -> Key:
    """The key whose profile (Krumhansl & Kessler 1982) goes best with the notes' durations."""
    chroma: Counter[int] = Counter()
    for start, end, pitch in notes:
        chroma[pitch % 12] += min(end - start, 4.0)  # type: ignore[assignment]
    durations = np.array([chroma[pc] for pc in range(12)], float)
    fits = {
        (tonic, mode): np.corrcoef(np.roll(profile, tonic), durations)[0, 1]
        for tonic in range(12)
        for mode, profile in (("major", MAJOR_PROFILE), ("minor", MINOR_PROFILE))
    }
    tonic, mode = max(fits, key=lambda k: fits[k])
    return Key(FLATS[tonic], mode)
