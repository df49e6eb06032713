"""Songs with chords → one list of songs for the structure transformer: whole bars, one meter, one key, a genre.

    python recipes/planner/collect_songs.py SHARED/data songs.jsonl

SHARED/data holds pop909/ and openewld/ (its README says what they are). music21's corpus adds Bach chorales, analysed
by `musetune.theory.numerals.score_analysis`. Which songs are held out for measuring says
musetune/datasets/song_split.py.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from musetune.datasets.song_split import for_tests
from musetune.symbols import BeatGrid, Chord, ChordSpan, Key, KeySpan, LeadSheet, Meter, MeterSpan
from musetune.symbols.meter import METERS
from musetune.symbols.remarks import collected
from musetune.theory.harmony.modulation import local_keys

GENRE_OF = {  # Discogs' genres, which OpenEWLD's index counts, → ours; the others say nothing that we can name
    "Pop": "pop",
    "Rock": "rock",
    "Jazz": "jazz",
    "Blues": "blues",
    "Classical": "classical",
    "Electronic": "electronic",
}
STYLE_OF = {  # where the genre says nothing, or says less than the style does
    "Swing": "jazz",
    "Big Band": "jazz",
    "Dixieland": "jazz",
    "Hard Bop": "jazz",
    "Post Bop": "jazz",
    "Cool Jazz": "jazz",
    "Ragtime": "jazz",
    "Bop": "jazz",
    "Smooth Jazz": "jazz",
    "Soul-Jazz": "jazz",
    "Rock & Roll": "rock",
    "Pop Rock": "rock",
    "Romantic": "classical",
    "Neo-Romantic": "classical",
    "Modern Classical": "classical",
    "Baroque": "classical",
    "Opera": "classical",
    "Electric Blues": "blues",
    "Country Blues": "blues",
    "Chicago Blues": "blues",
    "Delta Blues": "blues",
    "Piano Blues": "blues",
}
CAPTION_STYLES = {  # Discogs' styles that captions call by a name of docs/reference/styles.md; others keep their own
    "Bop": "bebop",
    "Marches": "march",
    "Military": "march",
    "Music Hall": "musical theatre",
    "Musical": "musical theatre",
    "Operetta": "musical theatre",
    "Rhythm & Blues": "R&B",
    "Score": "film score",
    "Soundtrack": "film score",
    "Synth-pop": "synth pop",
}
NO_STYLES = (  # of Discogs: what says who performs, or nothing that chords could tell
    *("Vocal", "Instrumental", "Easy Listening", "Modern", "Contemporary", "Experimental", "Comedy", "Theme"),
    *("Religious", "Classical", "Acoustic", "Space-Age", "Ethereal", "Pacific", "Jazzdance"),
)
BALLAD_BPM = 85  # beats a minute: POP909's songs below are ballads
# beats of a bar in beats.txt, meter of corrected.mid → meter, and beats of the file in one of ours
POP909_METERS = {
    (4, "4/4"): ("4/4", 1),
    (6, "3/4"): ("3/4", 1),
    (6, "3/8"): ("6/8", 3),
    (6, "6/8"): ("6/8", 3),
    (3, "3/4"): ("3/4", 1),
}
PHASE = 1.2  # how much more must begin elsewhere for a downbeat to move
CHORALES = 160  # of Bach's in music21's corpus: as many as a genre needs to be heard beside 700 pop songs


@dataclass(frozen=True)
class PlannerSong:
    """``sheet``: one meter, one key, whole bars from a bar line on, no gaps.

    ``sung``: bars before the tune and up to its end, or None where there is no tune to tell; ``timed``: whether
    the tempo is the song's own; ``styles``: what its source calls its style, in the words of captions.
    """

    name: str
    source: str
    test: bool
    timed: bool
    sung: tuple[int, int] | None
    sheet: LeadSheet
    styles: tuple[str, ...] = ()


def validation(song: PlannerSong) -> bool:
    """Whether a song that is not held out is kept from learning, to choose the best model by: one in sixteen."""
    return hashlib.sha1(song.name.encode()).hexdigest()[1] == "7"


def split(songs: list[PlannerSong]) -> tuple[list[PlannerSong], list[PlannerSong]]:
    """Songs to learn from and songs to choose the best by; held-out ones are in neither."""
    free = [song for song in songs if not song.test]
    return [song for song in free if not validation(song)], [song for song in free if validation(song)]


def genre_of(genres: str, styles: str, title: str) -> str:
    """One of ours for a row of OpenEWLD's index; pop where nothing says otherwise."""
    style, genre = (re.split(r":\d", text)[0] for text in (styles, genres))
    if re.search(r"\bblues\b", title, re.IGNORECASE):
        return "blues"
    return STYLE_OF.get(style) or GENRE_OF.get(genre) or "pop"


def openewld_styles(styles: str, meter: str, genre: str) -> tuple[str, ...]:
    """What captions call the styles of a row of OpenEWLD's index: those of at least half the records of the first.

    Args:
        styles: Such as ``"Swing:3, Big Band:1"``.
        meter: The song's time signature.
        genre: One of ours.

    Example:
        >>> openewld_styles("Swing:3, Ballad:2, Vocal:1", "4/4", "jazz")
        ('swing', 'jazz ballad')
    """
    counts = [(name, int(count)) for name, count in re.findall(r"([^:,;]+(?: / [^:,;]+)?):(\d+)", styles)]
    most = max((count for _, count in counts), default=0)
    names = [name.strip(" ,;") for name, count in counts if 2 * count >= most]
    out = [CAPTION_STYLES.get(name, name.lower()) for name in names if name not in NO_STYLES]
    out = [f"{genre} ballad" if name == "ballad" else name for name in out]
    if meter == "3/4":
        out.append("jazz waltz" if genre == "jazz" else "waltz")
    return tuple(dict.fromkeys(out))


def pop909(folder: Path) -> Iterator[PlannerSong]:
    """The songs of POP909 whose meter the two annotations agree on."""
    import mido
    import pretty_midi

    for path in sorted(folder.iterdir()):
        if not (path / "corrected.mid").is_file():
            continue
        beats = np.loadtxt(path / "beats.txt")
        marks = [m for m in mido.MidiFile(path / "corrected.mid").tracks[0] if m.type == "time_signature"]
        lines = np.flatnonzero(beats[:, 2] > 0)
        shape = POP909_METERS.get((int(np.median(np.diff(lines))), f"{marks[0].numerator}/{marks[0].denominator}"))
        if shape is None or len({(m.numerator, m.denominator) for m in marks}) > 1:
            continue
        meter, share = Meter.parse(shape[0]), shape[1]
        keys = [line.split() for line in (path / "key.txt").read_text().splitlines() if line.strip()]

        def at(time_s: float, beats: np.ndarray = beats, first: int = int(lines[0]), share: int = share) -> Fraction:
            return Fraction(round(float(np.interp(time_s, beats[:, 0], np.arange(len(beats))))) - first, share)

        spans = []
        for line in (path / "chords.txt").read_text().splitlines():
            start_s, end_s, label = line.split()
            start, end = max(at(float(start_s)), Fraction(0)), at(float(end_s))
            if end > start and label != "N":
                spans.append(ChordSpan(start, end - start, Chord.parse(label)))
        tune = [
            note for one in pretty_midi.PrettyMIDI(str(path / "arrangement.mid")).instruments[:1] for note in one.notes
        ]
        area = [
            KeySpan(max(at(float(start)), Fraction(0)), Key.parse(name.replace(":", " "))) for start, _, name in keys
        ]
        bpm = 60 / float(np.median(np.diff(beats[:, 0]))) / share
        if spans and tune and 30 <= bpm <= 300:
            ends = at(min(note.start for note in tune)), at(max(note.end for note in tune))
            late = phase(spans, meter)
            spans = [replace(span, start=span.start - late) for span in spans if span.start >= late]
            area = [KeySpan(max(one.start - late, Fraction(0)), one.key) for one in area]
            tune_bars = (ends[0] - late, ends[1] - late)
            styles = ("pop ballad",) if bpm < BALLAD_BPM else ("pop",)
            yield from whole(path.name, "pop909", spans, area, meter, bpm, "pop", tune_bars, styles)


def phase(spans: list[ChordSpan], meter: Meter) -> int:
    """Beats by which bars begin late.

    That place in the bar where most chords begin (by their length), if it is clearly another than 0.

    The downbeats of beats.txt were found automatically; in a quarter of the songs (183 of 806) they lie a beat or two
    off.
    """
    bar = meter.beats_per_bar
    weight = [0.0] * bar
    for span in spans:
        if span.start.denominator == 1:
            weight[int(span.start) % bar] += min(float(span.beats), bar)
    best = max(range(bar), key=weight.__getitem__)
    return best if weight[best] > PHASE * weight[0] else 0


def openewld(folder: Path) -> Iterator[PlannerSong]:
    """The lead sheets of OpenEWLD in one meter; 2/2 counted in quarters."""
    for row in csv.DictReader((folder / "index.csv").open()):
        try:
            sheet = LeadSheet.load(folder / row["path"])
        except ValueError as error:
            print(f"left out {row['path']}: {error}", file=sys.stderr)
            continue
        twice = 2 if str(sheet.meter) == "2/2" else 1
        meter = Meter(4, 4) if twice == 2 else sheet.meter
        if len({span.meter for span in sheet.meters}) > 1:
            continue
        first = sheet.first_downbeat
        spans = [
            replace(s, start=max(s.start - first, Fraction(0)) * twice, beats=s.beats * twice)
            for s in sheet.chords
            if s.chord.root is not None and s.start >= first
        ]
        if len(spans) < 4:
            continue
        keys = list(local_keys(spans, prior=sheet.key, min_beats=10**6))
        genre = genre_of(row["genres"], row["styles"], row["title"])
        styles = openewld_styles(row["styles"], str(meter), genre)
        yield from whole(row["path"], "openewld", spans, keys, meter, None, genre, styles=styles)


def chorales() -> Iterator[PlannerSong]:
    """Bach's chorales, their harmony found by our own analysis."""
    from music21 import corpus

    from musetune.formats.scores import read_score
    from musetune.theory.numerals.score_analysis import analyse_score

    paths = [p for p in corpus.getComposer("bach") if p.suffix == ".mxl"][:CHORALES]
    for path in tqdm(paths, desc="chorales", unit="chorale"):
        try:
            with collected():  # irregular bars are no news: a bar is cut in two where the sung line ends
                sheet = analyse_score(read_score(path, repeats=False))
        except ValueError as error:
            print(f"left out {path.name}: {error}", file=sys.stderr)
            continue
        first = sheet.first_downbeat
        spans = [replace(s, start=s.start - first) for s in sheet.chords if s.start >= first]
        if len({span.meter for span in sheet.meters}) > 1 or len(spans) < 4:
            continue
        keys = list(local_keys(spans, prior=sheet.key, min_beats=10**6))
        yield from whole(path.name, "chorales", spans, keys, sheet.meter, None, "classical", styles=("chorale",))


def whole(
    name: str,
    source: str,
    spans: list[ChordSpan],
    keys: list[KeySpan],
    meter: Meter,
    bpm: float | None,
    genre: str,
    tune: tuple[Fraction, Fraction] | None = None,
    styles: tuple[str, ...] = (),
) -> Iterator[PlannerSong]:
    """The song cut to the bars in which it has chords, later keys moved to the first; nothing where fewer than 4
    bars are left or the meter is one that plans do not have."""
    bar = meter.beats_per_bar
    first, last = int(spans[0].start // bar), -int(-spans[-1].end // bar)
    if last - first < 4 or str(meter) not in METERS:
        return
    chords: list[ChordSpan] = []
    start = Fraction(first * bar)
    for span, stop in zip(spans, [s.start for s in spans[1:]] + [Fraction(last * bar)], strict=True):
        key = next((k.key for k in reversed(keys) if k.start <= span.start), keys[0].key)
        begin = Fraction(0) if not chords else span.start - start
        if stop - start > begin:
            chords.append(ChordSpan(begin, stop - start - begin, span.chord.transpose(shift(key, keys[0].key))))
    length = Fraction((last - first) * bar)
    zero = Fraction(0)
    sheet = LeadSheet(
        tuple(chords),
        (KeySpan(zero, keys[0].key),),
        (MeterSpan(zero, meter),),
        BeatGrid.constant(bpm or 110, int(length)),
        length,
        genre=genre,
    )
    melody_bars = tuple(min(max(round(at / bar) - first, 0), last - first) for at in tune) if tune else None
    test, timed = for_tests(name, source), bpm is not None
    yield PlannerSong(name, source, test, timed, melody_bars, sheet, styles)  # type: ignore[arg-type]


def shift(key: Key, home: Key) -> int:
    """Semitones that bring ``key`` to ``home``; keys of other modes by their relatives."""
    relative = {("major", "minor"): -3, ("minor", "major"): 3}.get((key.mode, home.mode), 0)
    return (home.tonic_pc - key.tonic_pc - relative + 6) % 12 - 6


def write(data: Path, out: Path) -> None:
    """All songs as lines of JSON."""
    songs = [
        *tqdm(pop909(data / "pop909"), desc="POP909"),
        *tqdm(openewld(data / "openewld"), desc="OpenEWLD"),
        *chorales(),
    ]
    lines = [json.dumps(vars(song) | {"sheet": song.sheet.to_json()}) for song in songs]
    out.write_text("\n".join(lines) + "\n")
    print(f"{len(songs)} songs, {sum(song.test for song in songs)} of them held out, in {out}")


def read(path: Path) -> list[PlannerSong]:
    """What ``write`` wrote."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        PlannerSong(
            **row
            | {
                "sheet": LeadSheet.from_json(row["sheet"]),
                "sung": tuple(row["sung"]) if row["sung"] else None,
                "styles": tuple(row.get("styles", ())),  # files of before have none
            }
        )
        for row in rows
    ]
