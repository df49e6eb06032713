"""Clips in six genres, and clips in none of them, for train_genre.py.

A song, a lead sheet or a progression that is idiomatic of the genre, arranged by musetune.planning.rules.orchestrate in
one of its six styles, with uneven timing, other dynamics, players from a soundfont, a drum kit and oscillators, and a
production drawn at random (`effects`). Each genre gets the room and the freedom of tempo that its recordings have. A
clip of no genre mixes one genre's harmony, another's patterns and players that belong to none of the six.
"""

from __future__ import annotations

import csv
import json
import random
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from musetune.audio import synthesize
from musetune.audio.source import RATE
from musetune.datasets.drum_kits import load_kit, play_kit
from musetune.datasets.effects import produce
from musetune.datasets.oscillators import play_drum_machine, play_oscillators
from musetune.datasets.rendering import songs as render_songs
from musetune.datasets.rendering.excerpts import SHARP, excerpt
from musetune.datasets.rendering.performance import perform
from musetune.datasets.rendering.settings import RenderingConfig
from musetune.planning.rules.orchestrate import orchestrate, recolour
from musetune.planning.rules.styles import STYLES
from musetune.symbols import GENRES, LeadSheet
from musetune.symbols.arrangement import Arrangement, Stem

PARTS = ("train", "calibration", "test")

IDIOMS: dict[str, tuple[str, ...]] = {  # one chord a bar, or two bars, or half a bar
    "pop": ("I V vi IV", "vi IV I V", "I vi IV V", "IV V iii vi", "I IV vi V", "I V vi iii IV I IV V", "I Imaj7 IV iv"),
    "rock": (
        "I bVII IV I",
        "I IV V IV",
        "i bVI bVII i",
        "I IV bVII IV",
        "i bVII bVI bVII",
        "I V IV IV",
        "i bIII bVII IV",
    ),
    "jazz": (
        "ii7 V7 Imaj7 VI7",
        "ii7 V7 Imaj7 Imaj7",
        "Imaj7 vi7 ii7 V7",
        "iii7 VI7 ii7 V7",
        "iiø7 V7 i7 i7",
        "Imaj7 II7 ii7 V7",
        "i7 i7 iv7 iv7 iiø7 V7 i7 V7",
        "Imaj7 IV7 iii7 VI7 ii7 V7 Imaj7 V7",
        "iv7 bVII7 bIIImaj7 bVImaj7 iiø7 V7 i7 i7",
    ),
    "blues": (
        "I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7",
        "I7 IV7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 I7",
        "I I I I7 IV IV I I V IV I V7",
        "i7 i7 i7 i7 iv7 iv7 i7 i7 V7 iv7 i7 V7",
        "I7 V7 IV7 IV7 I7 V7 I7 V7",
        "I7 I7 I7 I7 IV7 IV7 I7 I7 V7 V7 I7 I7",
    ),
    "classical": (
        "I IV V I",
        "I ii V7 I",
        "i iv V i",
        "I vi ii V7 I",
        "i iio V7 i",
        "I V7/V V I",
        "I IV viio iii vi ii V7 I",
        "i V i bVI iv V7 i i",
        "I V vi iii IV I IV V",
        "i V7/iv iv V7",
        "I viio/V V V7",
        "i bVII bVI V",
    ),
    "electronic": (
        "vi IV I V",
        "i bVI bIII bVII",
        "i i bVI bVII",
        "i iv bVI bVII",
        "i i i i",
        "IV I V vi",
        "i bVII iv iv",
        "i i iv iv",
    ),
}
CHORD_BARS = {"pop": (1, 1, 0.5), "rock": (1, 1, 2), "jazz": (1, 1, 0.5), "blues": (1,), "classical": (1, 0.5, 0.5),
              "electronic": (1, 1, 2)}  # fmt: skip
LABELS = {"jazz": ("Jazz",), "pop": ("Pop", "Rock"), "rock": ("Rock",), "blues": ("Blues",)}  # OpenEWLD's words
DISTORTED = (29, 30)  # General MIDI programs that are played through an amplifier
NO_GENRE = "none"  # what a clip is called that is in none of the six
OSCILLATORS = {"electronic": 0.75, "pop": 0.15, "rock": 0.05, NO_GENRE: 0.2}  # share of pitched players; others none
DRUM_MACHINE, NO_DRUMS = 0.6, 0.2  # of electronic clips
STRANGE_PLAYERS = (  # General MIDI programs of music from elsewhere, of games and of films
    8, 9, 10, 12, 13, 14, 15, 20, 21, 22, 23, 46, 47, 52, 53, 54, 68, 69, 70, 72, 73, 74, 75, 76, 77, 78, 79, 91, 92,
    94, 95, 96, 97, 99, 100, 101, 103, *range(104, 116),
)  # fmt: skip


def part_of(number: int) -> str | None:
    """The part that a song of this number belongs to."""
    return {0: None, 5: "test", 9: "calibration"}.get(number % 10, "train")


def find_songs(pop909: Path, openewld: Path, pool: int) -> dict[str, dict[str, list[Path]]]:
    """Part → "songs" (at most `pool`) or one of OpenEWLD's genres (at most a quarter of that) → files."""
    sources_by_part: dict[str, dict[str, list[Path]]] = {part: {"songs": []} for part in PARTS}
    for folder in sorted(path for path in pop909.iterdir() if path.name.isdecimal()):
        if part := part_of(int(folder.name)):
            sources_by_part[part]["songs"].append(folder)
    with (openewld / "index.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if part := part_of(zlib.crc32(row["path"].encode())):
                sources_by_part[part].setdefault(row["genres"].split(":")[0], []).append(openewld / row["path"])
    return {
        part: {name: _some(files, pool if name == "songs" else pool // 4) for name, files in sources.items()}
        for part, sources in sources_by_part.items()
    }


def _some(files: list[Path], most: int) -> list[Path]:
    """At most `most` of them, evenly spread."""
    return files[:: -(-len(files) // most)]


def read_song(path: Path, cache: Path) -> LeadSheet | None:
    """The lead sheet of a song, kept in the folder `cache` for the next time; None where it is short or unreadable."""
    stored = cache / f"{zlib.crc32(str(path).encode()):08x}.json"
    if not stored.is_file():
        try:
            data = render_songs.read_song(path).to_json()
        except (ValueError, KeyError, IndexError) as error:
            print(f"left out {path.name}: {error}")
            data = None
        stored.write_text(json.dumps(data))
    data = json.loads(stored.read_text())
    sheet = LeadSheet.from_json(data) if data else None
    return sheet if sheet and len(sheet.chords) >= 8 and sheet.meter.beats_per_bar in (3, 4) else None


def draw_sheet(
    genre: str, songs: dict[str, list[Path]], cache: Path, seconds: float, idiom_share: float, rng: random.Random
) -> LeadSheet:
    """A song's passage or an idiomatic progression, at a tempo of the genre's."""
    if rng.random() < idiom_share:
        return idiom(genre, seconds, rng)
    labels = [label for label in LABELS.get(genre, ()) if songs.get(label)]
    source = (
        songs[rng.choice(labels)] if labels and rng.random() < (0.8 if genre == "jazz" else 0.2) else songs["songs"]
    )
    settings = RenderingConfig(seconds=seconds, random_share=0.05, waltz_share=0.1)
    song = None
    while song is None:
        path = rng.choice(source)
        song = read_song(path, cache)
        if song is None:  # a label may have none that is of use
            source = [other for other in source if other != path] or songs["songs"]
    while True:
        sheet = excerpt(song, settings, rng)
        if sheet.genre == genre and sheet.chords:
            return sheet


def idiom(genre: str, seconds: float, rng: random.Random) -> LeadSheet:
    """One or two of the genre's progressions over and over, in a random key, sometimes in three."""
    first = rng.choice(IDIOMS[genre])
    minor = in_minor(first)
    more = [loop for loop in IDIOMS[genre] if in_minor(loop) == minor]
    loops = [first] if genre in ("blues", "electronic") else [first, rng.choice(more)]
    key = f"{rng.choice(SHARP)} {'minor' if minor else 'major'}"
    bpm, beats_per_bar = rng.uniform(*STYLES[genre].tempo), 3 if rng.random() < 0.12 else 4
    beats = max(1, round(beats_per_bar * rng.choice(CHORD_BARS[genre]))) if beats_per_bar == 4 else beats_per_bar
    count = int(seconds * bpm / 60 / beats) + 2
    chords = [chord for loop in loops for chord in loop.split() * rng.choice((1, 2))]
    sheet = LeadSheet.from_progression(
        (chords * (count // len(chords) + 1))[:count],
        key=key,
        bpm=bpm,
        time_signature=f"{beats_per_bar}/4",
        beats_per_chord=beats,
        genre=genre,
    )
    return recolour(sheet, rng) if genre not in ("jazz", "blues") and rng.random() < 0.1 else sheet


def in_minor(loop: str) -> bool:
    """Whether the tonic of a progression is a minor chord."""
    return any(chord.rstrip("7") == "i" for chord in loop.split())


def estrange(arrangement: Arrangement, rng: np.random.Generator) -> Arrangement:
    """The arrangement by players of none of the six genres; half of the time without drums, parts missing."""
    stems = {
        name: stem if stem.is_drum else replace(stem, program=int(rng.choice(STRANGE_PLAYERS)))
        for name, stem in arrangement.stems.items()
        if rng.random() < (0.5 if stem.is_drum else 0.8)
    }
    return (
        Arrangement(arrangement.grid, stems) if any(s.notes and not s.is_drum for s in stems.values()) else arrangement
    )


def play(
    arrangement: Arrangement, genre: str, seconds: float, font: str, kit: str | None, rng: np.random.Generator
) -> np.ndarray:
    """(samples,) at RATE; distorted guitars go through an amplifier in half of the clips, some players are oscillators,
    drums the kit's where there is one.
    """
    drive = rng.uniform(3, 30) if rng.random() < 0.6 else 0.0
    samples = round(seconds * RATE)
    by_oscillators = {
        name: stem
        for name, stem in arrangement.stems.items()
        if not stem.is_drum and stem.notes and rng.random() < OSCILLATORS.get(genre, 0.0)
    }
    drums = {name: stem for name, stem in arrangement.stems.items() if stem.is_drum and stem.notes}
    machine, silent = (rng.random(2) < (DRUM_MACHINE, NO_DRUMS)) & (genre == "electronic")
    by_kit = drums if kit is not None and not machine else {}
    hot = {
        name: stem
        for name, stem in arrangement.stems.items()
        if stem.program in DISTORTED and not stem.is_drum and drive and stem.notes and name not in by_oscillators
    }

    def midi(stems: dict[str, Stem]):  # type: ignore[no-untyped-def]
        return Arrangement(arrangement.grid, stems).to_pretty_midi()

    def sound(stems: dict[str, Stem]) -> np.ndarray:
        return synthesize(midi(stems), RATE, duration_s=seconds, soundfont=font)[:samples]

    apart = by_oscillators | by_kit | hot | (drums if machine or silent else {})
    wave = sound({name: stem for name, stem in arrangement.stems.items() if name not in apart})
    wave = np.pad(wave, (0, samples - len(wave)))
    extra = [np.tanh(drive * sound(hot))] if hot else []
    for name, stem in by_oscillators.items():
        notes = [note for part in midi({name: stem}).instruments for note in part.notes]
        extra.append(play_oscillators(notes, samples, RATE, rng).mean(axis=0))
    strokes = [note for part in midi(drums).instruments for note in part.notes] if drums and not silent else []
    if strokes and machine:
        extra.append(play_drum_machine(strokes, samples, RATE, rng)[0])
    elif strokes and kit is not None:
        extra.append(play_kit(load_kit(Path(kit), RATE), strokes, samples).mean(axis=0))
    for part in extra:
        part = np.pad(part, (0, samples - len(part)))
        wave = wave + part * (np.abs(wave).std() + 0.02) * rng.uniform(0.4, 1.4) / (part.std() + 1e-6)
    return wave


def in_a_room(wave: np.ndarray, genre: str, rng: np.random.Generator) -> np.ndarray:
    """Dynamics, reverb, saturation: what a hall or a studio adds."""
    swell = np.interp(np.arange(len(wave)), np.linspace(0, len(wave), 7), rng.normal(0, 1, 7))
    depth_db = rng.uniform(0, 8 if genre == "classical" else 4)
    wave = wave * 10 ** (depth_db * swell / 20)
    if rng.random() < (0.7 if genre == "classical" else 0.4):
        decay_s = rng.uniform(0.8, 3.0) if genre == "classical" else rng.uniform(0.2, 1.2)
        tail = rng.normal(0, 1, int(decay_s * RATE)) * np.exp(-6.9 * np.arange(int(decay_s * RATE)) / (decay_s * RATE))
        size = len(wave) + len(tail)
        wet = np.fft.irfft(np.fft.rfft(wave, size) * np.fft.rfft(tail, size), size)[: len(wave)]
        wave = wave + wet * rng.uniform(0.1, 0.7) * wave.std() / (wet.std() + 1e-9)
    if genre not in ("classical", "jazz") and rng.random() < 0.4:
        wave = np.tanh(rng.uniform(1, 4) * wave / (np.abs(wave).max() + 1e-9))
    return wave


def reproduce(wave: np.ndarray, beats_s: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(samples,) at RATE: the recording in another production, folded to mono."""
    return produce(np.stack([wave, wave]).astype(np.float32), RATE, beats_s, rng)[0].mean(axis=0)[: len(wave)]


def make_clip(
    genre: str,
    songs: dict[str, list[Path]],
    cache: Path,
    font: str,
    seconds: float,
    idiom_share: float,
    seed: int,
    rough: bool,
    kit: str | None = None,
) -> tuple[np.ndarray, LeadSheet]:
    """(samples,) at RATE and the lead sheet that is played; a function of its arguments alone.

    Args:
        genre: One of the six, or `NO_GENRE`.
        songs: Of a part, as of `find_songs`.
        cache: A folder for lead sheets that were read.
        font: A soundfont.
        seconds: Length.
        idiom_share: Clips with progressions of the genre instead of a song's.
        seed: Draws everything.
        rough: Whether it gets a production of `effects`.
        kit: A folder of a drum kit; None: the soundfont's drums.
    """
    draw, rng = random.Random(seed), np.random.default_rng(seed)
    of, by = (draw.choice(GENRES), draw.choice(GENRES)) if genre == NO_GENRE else (genre, genre)
    sheet = draw_sheet(of, songs, cache, seconds, idiom_share, draw)
    arrangement = orchestrate(sheet, genre=by, seed=seed).arrangement
    arrangement = estrange(arrangement, rng) if genre == NO_GENRE else arrangement
    performance = perform(arrangement, by, rng)
    wave = in_a_room(play(performance, genre, seconds, font, kit, rng), by, rng)
    wave = reproduce(wave, np.array(performance.grid.times_s), rng) if rough else wave
    return (wave * (0.8 / (np.abs(wave).max() + 1e-9))).astype(np.float32), sheet.crop(0.0, seconds)
