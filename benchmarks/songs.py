"""The songs that benchmarks/analysis.py plays, all held out of training, and the sound that no training may hear.

POP909 songs (numbers that end in 5) as written, with bands, and recast in other meters; held-out OpenEWLD tunes
accompanied by MMA (Musical MIDI Accompaniment, GPL, `apt install mma`): grooves that nobody here wrote; MIDI files that
others arranged.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import mir_eval
import numpy as np

from musetune.audio import resample, synthesize
from musetune.audio.source import RATE
from musetune.datasets.band import with_band
from musetune.datasets.corpus import AnnotatedSong, at_tempo, in_meter, load_pop909, rubato
from musetune.datasets.drum_kits import load_kit, play_kit
from musetune.datasets.effects.media import mp3_quality, through_codec
from musetune.datasets.half_bars import label_half_bars
from musetune.datasets.materials import HELD_OUT_SOUNDFONT, MATERIALS, find_held_out, select
from musetune.datasets.midi_songs import CERTAIN, load_midi_song, split_midi
from musetune.symbols import Chord, LeadSheet

GROOVES = {  # of MMA's library: file, groove, bpm
    "4/4": (
        ("popballad", "PopBallad1Plus", 78),
        ("8beat", "8BeatSus", 112),
        ("softrock", "SoftRockSus", 120),
        ("bossanova", "BossaNovaSus", 132),
        ("swing", "Swing1", 140),
        ("folkrock", "FolkRock", 116),
        ("rb", "R&B", 96),
        ("rockballad", "RockBallad", 84),
        ("basicrock", "BasicRock", 124),
        ("ballad", "Ballad1", 92),
    ),
    "3/4": (("countrywaltz", "CountryWaltz", 150), ("fastwaltz", "FastWaltz", 160)),
}
SUFFIX = {
    "maj": "",
    "min": "m",
    "7": "7",
    "maj7": "M7",
    "min7": "m7",
    "dim": "dim3",
    "hdim7": "m7b5",
    "dim7": "dim7",
    "aug": "aug",
    "sus4": "sus4",
    "sus2": "sus2",
    "maj6": "6",
    "min6": "m6",
    "minmaj7": "mM7",
    "9": "9",
    "maj9": "M9",
    "min9": "m9",
    "5": "5",
}


STUDIO_RATE = 44100  # Hz, of what is encoded as MP3
TUNING = range(10, 24)  # of the MIDI files of others, in turn: constants and calibrations were tuned on these
DRUMS_DB = -4.0  # of the kit beside the other players


@dataclass(frozen=True)
class HeldOutSound:
    """The soundfont and drum kit that measure alone; without `kit` the soundfont's own drums."""

    soundfont: Path
    kit: Path | None

    @classmethod
    def find(cls, materials: Path) -> HeldOutSound:
        """In the folder that recipes/analyzer/materials.py unpacked; the soundfont else from pretty_midi."""
        import pretty_midi

        bundled = Path(pretty_midi.__file__).parent / f"{HELD_OUT_SOUNDFONT}.sf2"
        return cls(find_held_out(materials, "soundfont") or bundled, find_held_out(materials, "kit"))

    def __str__(self) -> str:
        return f"{self.soundfont.stem}, drums of {self.kit.name if self.kit else 'its own (the kit is not unpacked)'}"

    def render(self, song: AnnotatedSong, mp3_kbit: int | None = None) -> np.ndarray:
        """(samples,) at RATE: recorded in stereo at STUDIO_RATE, perhaps through MP3, folded to mono."""
        import pretty_midi

        pitched = pretty_midi.PrettyMIDI()
        pitched.instruments = [part for part in song.midi.instruments if not (part.is_drum and self.kit)]
        wave = synthesize(pitched, STUDIO_RATE, duration_s=song.duration_s, soundfont=self.soundfont, stereo=True)
        strokes = [note for part in song.midi.instruments if part.is_drum for note in part.notes]
        if self.kit and strokes:
            drums = play_kit(load_kit(self.kit, STUDIO_RATE), strokes, wave.shape[1])
            size = float(np.std(wave)) or 0.1
            wave = wave + drums * (size * 10 ** (DRUMS_DB / 20) / (float(np.std(drums)) + 1e-9))
        wave = wave / max(1.0, float(np.abs(wave).max(initial=0.0)))
        if mp3_kbit is not None:
            wave = through_codec(wave, STUDIO_RATE, "mp3", mp3_quality(mp3_kbit, STUDIO_RATE))
        return resample(wave.mean(axis=0), STUDIO_RATE, RATE)


def training_sounds(materials: Path) -> list[HeldOutSound]:
    """Soundfonts that training may hear, each with a kit in turn.

    Raises:
        SystemExit: There is none.
    """
    fonts, kits = select(materials, "soundfont"), select(materials, "kit")
    if not fonts:
        raise SystemExit(f"no soundfont in {materials}: run recipes/analyzer/materials.py cache={materials}")
    return [HeldOutSound(font, kits[n % len(kits)] if kits else None) for n, font in enumerate(fonts)]


def with_bands(songs: Iterator[AnnotatedSong]) -> Iterator[AnnotatedSong]:
    """Each song by other instruments with bass and drums, drawn from its place in the row."""
    for number, song in enumerate(songs):
        yield replace(song, midi=with_band(song, np.random.default_rng((16, number)), drums=1.0))


def others(materials: Path, count: int, seconds: float, odd: bool = False) -> Iterator[tuple[AnnotatedSong, float]]:
    """At most `count` MIDI files that others arranged, in turn from each collection, and the certainty of their chords.

    Of collections for training only the files that it leaves out; from 20 s on. Those at TUNING are for tuning (`odd`),
    the others measure.
    """
    files = (pair for number, pair in enumerate(_in_turn(materials, seconds)) if (number in TUNING) == odd)
    return islice(files, count)


def _in_turn(materials: Path, seconds: float) -> Iterator[tuple[AnnotatedSong, float]]:
    """A readable held-out file of each collection in turn, until none has any."""
    collections = []
    for material in (m for m in MATERIALS if m.kind == "midi"):
        folder = material.locate(materials)
        files = split_midi(folder, held_out=True) + (split_midi(folder, held_out=False) if material.held_out else [])
        collections.append(iter(_readable(files, seconds)))
    while collections:
        for collection in list(collections):
            pair = next(collection, None)
            if pair is None:
                collections.remove(collection)
            else:
                yield pair


def _readable(files: list[Path], seconds: float) -> Iterator[tuple[AnnotatedSong, float]]:
    """Those whose beats can be believed."""
    for path in files:
        try:
            yield load_midi_song(path, 20.0, seconds)
        except Exception as error:  # a stranger's file may fail in any way: the others go on
            print(f"left out {path.name}: {error}", file=sys.stderr)


def pop909(
    folder: Path, count: int, seconds: float, odd: bool = False, start_s: float = 0.0
) -> Iterator[AnnotatedSong]:
    """The first `count` songs whose number ends in 5, the tens even (for the benchmark) or `odd` (for tuning)."""
    folders = [f for f in sorted(folder.iterdir()) if f.name[-1] == "5" and int(f.name[-2]) % 2 == odd]
    for path in folders[:count]:
        yield load_pop909(path, start_s, seconds)


def meter_songs(
    folder: Path, count: int, seconds: float, meters: tuple[str, ...], odd: bool = False
) -> Iterator[AnnotatedSong]:
    """`count` songs in 4/4 that no training hears, each recast in every one of `meters`.

    POP909 songs whose number ends in 5, the tens even; `odd`, for tuning: those with odd tens.

    Raises:
        ValueError: The folder has fewer such songs.
    """
    folders = [f for f in sorted(folder.iterdir()) if f.name[-1] == "5" and int(f.name[-2]) % 2 == odd]
    fours = (song for song in (load_pop909(path, 20.0, seconds) for path in folders) if song.meter == "4/4")
    number = -1
    for number, song in enumerate(islice(fours, count)):
        for meter in meters:
            yield recast(song, meter, number)
    if number + 1 < count:
        raise ValueError(f"{folder} has {number + 1} songs in 4/4 to recast, not {count}")


def half_bar_agreement(folder: Path, count: int, seconds: float) -> dict[str, float]:
    """How far the rule that names the chords of `others` agrees with POP909's annotators, in per cent.

    Returns:
        `share`: of the time that the rule is sure of its chord; `majmin` and `sevenths`: of that time it says what they
        say; `unsure`: majmin where it is not sure, which is not counted.
    """
    rows = []
    for song in pop909(folder, count, seconds):
        notes = np.array([(n.start, n.end, n.pitch, n.velocity) for part in song.midi.instruments for n in part.notes])
        edges = np.unique(np.concatenate([[0.0], song.beats_s[song.phase % 2 :: 2], [song.duration_s]]))
        for chord in label_half_bars(notes, edges):
            span = np.array([[chord.start_s, chord.end_s]])
            intervals, labels = mir_eval.util.adjust_intervals(
                song.intervals_s, song.labels, chord.start_s, chord.end_s, "N", "N"
            )
            both, truth, said = mir_eval.util.merge_labeled_intervals(intervals, labels, span, [chord.label])
            for seconds_each, *right in zip(
                np.diff(both, axis=1)[:, 0], mir_eval.chord.majmin(truth, said), mir_eval.chord.sevenths(truth, said)
            ):
                rows.append((seconds_each, chord.certainty >= CERTAIN, *right))
    length, sure, majmin, sevenths = np.array(rows).T

    def agreement(right: np.ndarray, where: np.ndarray) -> float:
        where = where & (right >= 0)
        return 100 * float(np.average(right[where], weights=length[where])) if where.any() else float("nan")

    certain = sure == 1
    return {
        "share": 100 * float(np.average(certain, weights=length)),
        "majmin": agreement(majmin, certain),
        "sevenths": agreement(sevenths, certain),
        "unsure": agreement(majmin, ~certain),
    }


def recast(song: AnnotatedSong, meter: str, number: int) -> AnnotatedSong:
    """A song in 4/4 made into one in `meter`, with a band and drums drawn from `number`; every third wanders in tempo.

    Dotted quarters of 6/8 are as fast as its quarters were.
    """
    rng = np.random.default_rng((number, len(meter)))
    song = song if meter == "4/4" else in_meter(song, meter)
    song = at_tempo(song, 1.5) if meter == "6/8" else song
    song = rubato(song, rng, 0.08) if number % 3 == 0 else song
    return replace(song, midi=with_band(song, rng, drums=1.0))


def accompanied(folder: Path, count: int, seconds: float, odd: bool = False) -> Iterator[AnnotatedSong]:
    """`count` held-out tunes of OpenEWLD (every fifth of its index) as MMA accompanies them, without their melodies."""
    rows = list(csv.DictReader((folder / "index.csv").open()))[::5]
    made = 0
    for row in rows[int(odd) :: 2]:
        sheet = _usable(folder / row["path"])
        if made < count and sheet is not None:
            grooves = GROOVES[str(sheet.meter)]
            yield accompany(sheet, *grooves[made % len(grooves)], seconds, row["title"])
            made += 1


def _usable(path: Path) -> LeadSheet | None:
    """The tune in 4/4 or 3/4 with whole bars, cut time counted in quarters."""
    from musetune.datasets.corpus import in_quarters

    try:
        sheet = in_quarters(LeadSheet.load(path))
    except ValueError as error:
        print(f"left out {path.name}: {error}", file=sys.stderr)
        return None
    fine = str(sheet.meter) in GROOVES and len(sheet.meters) == 1 and sheet.length >= 48
    return sheet if fine and all((4 * span.start).denominator == 1 for span in sheet.chords) else None


def mma_missing() -> str | None:
    """Why MMA cannot run here, or None."""
    return None if shutil.which(os.environ.get("MMA", "mma")) else "mma is not on PATH (apt install mma, or set MMA)"


def accompany(sheet: LeadSheet, library: str, groove: str, bpm: float, seconds: float, name: str) -> AnnotatedSong:
    """The tune's chords, repeated to `seconds`, played by MMA in `groove`."""
    import pretty_midi

    bar = sheet.meter.beats_per_bar
    bars = int(seconds * bpm / 60 // bar)
    first = int(sheet.first_downbeat)
    have = int((sheet.length - first) // bar)
    until = [*(span.start for span in sheet.chords[1:]), sheet.length]
    held = [
        replace(span, beats=end - span.start) for span, end in zip(sheet.chords, until, strict=True)
    ]  # MMA plays on
    lines = ["RndSeed 7", f"Tempo {bpm}", f"Time {bar}", f"Use {library}", f"Groove {groove}"]
    spans: list[tuple[float, float, str]] = []
    for number in range(bars):
        start = first + number % have * bar
        inside = [s for s in held if s.start < start + bar and s.end > start]
        cells = []
        for span in inside:
            low, high = max(float(span.start), start) - start, min(float(span.end), start + bar) - start
            cells.append(f"{_mma(span.chord)}@{low + 1:g}")
            spans.append((number * bar + low, number * bar + high, span.chord.harte))
        silent = not inside or inside[0].start > start  # MMA wants something on beat 1
        lines.append(f"{number + 1} " + " ".join(["z@1"] * silent + cells))
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "tune.mma", Path(folder) / "tune.mid"
        source.write_text("\n".join(lines) + "\n")
        command = [os.environ.get("MMA", "mma"), str(source), "-f", str(target)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not target.exists():
            raise RuntimeError(f"MMA did not play {name}: {done.stdout.strip().splitlines()[-1:]}")
        midi = pretty_midi.PrettyMIDI(str(target))
    beat = 60 / bpm
    beats = np.arange(bars * bar) * beat
    key = f"{sheet.keys[0].key.tonic}:{'maj' if sheet.keys[0].key.mode == 'major' else 'min'}"
    return AnnotatedSong(
        name,
        midi,
        np.array([span[:2] for span in spans]) * beat,
        [span[2] for span in spans],
        beats,
        beats[::bar],
        key,
        bars * bar * beat,
        str(sheet.meter),
    )


def _mma(chord: Chord) -> str:
    if chord.root is None:
        return "z"
    bass = (
        ""
        if chord.bass == "1"
        else "/" + ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")[chord.bass_pc or 0]
    )
    return chord.root + SUFFIX[chord.quality] + bass
