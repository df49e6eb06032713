"""Players for any chord chart.

The grooves of MMA (Musical MIDI Accompaniment), human-written patterns which that program applies to chords.

Its unpacked Debian package is given as a folder: `apt-get download mma && dpkg -x mma_*.deb mma`, then once, to index
its grooves, `PYTHONPATH=mma/usr/share/mma python3 mma/usr/bin/mma -G`.
"""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from musetune.datasets.arranger.songs import Track, players
from musetune.planning.arranger.language import STEPS, Passage, beats_of
from musetune.symbols import QUALITIES
from musetune.symbols.names import FLATS

SUFFIXES = {
    "maj": "",
    "min": "m",
    "dim": "dim",
    "aug": "aug",
    "sus2": "sus2",
    "sus4": "sus4",
    "7": "7",
    "maj7": "M7",
    "min7": "m7",
    "minmaj7": "mM7",
    "dim7": "dim7",
    "hdim7": "m7b5",
    "maj6": "6",
    "min6": "m6",
    "9": "9",
    "maj9": "M9",
    "min9": "m9",
    "5": "5",
}
# Genre by the groove file's name; the first that fits counts.
GENRE_WORDS = (
    ("classical", "arpeggio|bolero|hymn|lullaby|march|pianoballad|serenade|stringballad|vienese|^waltz|fastwaltz"),
    ("blues", "blues|boggie|boogie|shuffle"),
    (
        "jazz",
        "jazz|swing|bebop|bigband|bossa|dixie|evans|foxtrot|mambo|charleston|ragtime|rhumba|samba|salsa|son$|strut|"
        "beguine|broadway|softshoe|quickstep|fusion|cubanguitar|chacha|showtune|latin",
    ),
    ("electronic", "ambient|dance|dnb|electro|hiphop|hip-hop|house|rave|techno|trance|trip|thr$"),
    ("rock", "rock|metal|mtl|punk|hrk|twist|ska|bald|slow16|jive"),
    ("pop", "."),
)
LEFT_OUT = re.compile(r"INTRO|END|FILL|METRONOME|NONE|COUNT|\d?F[AB]$")


@dataclass(frozen=True)
class Groove:
    """A groove's name, genre, our meter, and how many of MMA's beats make one of ours."""

    name: str
    genre: str
    meter: str
    scale: float


def grooves(mma: Path) -> list[Groove]:
    """The package's grooves in meters that the stem transformer knows, without introductions, fills and endings."""
    catalogue, names = [], set()
    for index in sorted((mma / "usr/share/mma/lib").glob("*/.mmaDB")):
        with index.open("rb") as file:
            file.readline()
            files = pickle.load(file)  # an index that MMA itself made on this machine
        for path, members in sorted(files.items()):
            text = (index.parent / Path(path).name).read_text(errors="replace")
            meter, scale = _meter(text, Path(path).stem)
            genre = next(g for g, words in GENRE_WORDS if re.search(words, Path(path).stem.lower()))
            for name in members:
                if meter and not LEFT_OUT.search(name) and name not in names:
                    names.add(name)
                    catalogue.append(Groove(name, genre, meter, scale))
    return catalogue


def _meter(text: str, stem: str) -> tuple[str | None, float]:
    """A groove file's meter by its Time (beats a bar) and, for compound ones, its time signature or name."""
    times = {int(t) for t in re.findall(r"(?im)^\s*time\s+(\d+)", text)}
    if len(times) != 1:
        return None, 1.0
    beats = times.pop()
    compound = "68" in stem or "128" in stem or re.search(r"(?im)^\s*timesig\s+(6|12)[ /]*8", text)
    if compound:
        return {2: ("6/8", 1.0), 4: ("12/8", 1.0), 6: ("6/8", 3.0)}.get(beats, (None, 1.0))
    return {2: ("2/4", 1.0), 3: ("3/4", 1.0), 4: ("4/4", 1.0)}.get(beats, (None, 1.0))


def chart(passages: list[tuple[Passage, Groove]], tonics: list[int], bpm: float, seed: int) -> str:
    """An MMA file that plays each passage in its groove, one after the other."""
    lines, number = [f"RndSeed {seed}", f"Tempo {bpm:.0f}"], 1
    for (passage, groove), tonic in zip(passages, tonics):
        lines.append(f"Groove {groove.name}")
        for bar in range(passage.bars):
            first = bar * passage.bar_steps
            words: list[str] = []
            for i, chord in enumerate(passage.harmony):
                end = passage.harmony[i + 1].step if i + 1 < len(passage.harmony) else passage.steps
                if end <= first or chord.step >= first + passage.bar_steps:
                    continue
                beat = 1 + max(chord.step - first, 0) / STEPS * groove.scale
                words.append(_chord(chord.root, chord.quality, chord.bass, tonic) + (f"@{beat:g}" if words else ""))
            lines.append(f"{number} {' '.join(words) or 'z'}")
            number += 1
    return "\n".join(lines) + "\n"


def _chord(root: int, quality: int, bass: int, tonic: int) -> str:
    if root == 12:
        return "z"
    name = FLATS[(root + tonic) % 12] + SUFFIXES[QUALITIES[quality]]
    return name if bass == root else f"{name}/{FLATS[(bass + tonic) % 12]}"


def play(mma: Path, text: str) -> list[tuple[int, bool, str, Track]]:
    """Run MMA on a file's text: (program, whether drums, the track's name, notes in its beats).

    Raises RuntimeError with its words.
    """
    import mido

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "song.mma", Path(folder) / "song.mid"
        source.write_text(text)
        process = subprocess.run(
            [sys.executable, str(mma / "usr/bin/mma"), str(source), "-w", "-f", str(target)],
            env={**os.environ, "PYTHONPATH": str(mma / "usr/share/mma")},
            capture_output=True,
            text=True,
        )
        if not target.is_file():
            raise RuntimeError(f"MMA: {process.stdout.strip()[-300:]}")
        file = mido.MidiFile(target)
    return [part for track in file.tracks for part in _parts(track, file.ticks_per_beat)]


def _parts(track, ticks_per_beat: int) -> list[tuple[int, bool, str, Track]]:  # type: ignore[no-untyped-def]
    """A MIDI track's notes by the program in force."""
    tick, program, sounding, notes = 0, 0, {}, defaultdict(list)
    drum = False
    for message in track:
        tick += message.time
        if message.type == "program_change":
            program = message.program
        elif message.type == "note_on" and message.velocity:
            drum = message.channel == 9
            sounding[message.note] = (tick, program)
        elif message.type in ("note_on", "note_off") and message.note in sounding:
            start, own = sounding.pop(message.note)
            notes[own].append((start / ticks_per_beat, max(tick, start + 1) / ticks_per_beat, message.note))
    return [(program, drum, track.name, played) for program, played in notes.items()]


def accompany(
    mma: Path, passages: list[tuple[Passage, Groove]], tonics: list[int], bpm: float, seed: int
) -> list[dict[str, Track]]:
    """For each passage what drums, bass, guitar and keys play in its groove, in our beats from the passage's start."""
    parts = play(mma, chart(passages, tonics, bpm, seed))
    out, start = [], 0.0
    for passage, groove in passages:
        end = start + passage.bars * beats_of(passage.meter) * groove.scale
        own = []
        for program, drum, name, notes in parts:
            inside = [
                ((s - start) / groove.scale, (e - start) / groove.scale, p)
                for s, e, p in notes
                if start - 0.1 <= s < end - 0.1
            ]
            bass = name.lower().startswith(("bass", "walk"))
            if name.lower().startswith(("solo", "melody")) or not inside:
                continue
            own.append((33 if bass else program, drum, inside))
        tracks = players(own)
        tracks.pop("lead", None)
        out.append(tracks)
        start = end
    return out
