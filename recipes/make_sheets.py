"""Cut the test set: lead sheets of held-out songs in all keys, both modes, many tempi, 3/4 and 4/4.

    python recipes/make_sheets.py SONGS musetune/evaluation/sheets count=32 seconds=10.24

SONGS is a folder of POP909 song folders (chords.txt, beats.txt, key.txt, which POP909 itself calls chord_midi.txt,
beat_midi.txt, key_audio.txt) with the song's file from POP909-CL in each as corrected.mid: POP909's own metres are
wrong in one song of forty. Only folders whose name ends in ``held_out``, which no training reads, are used, each at
most once as long as there are others. Every sheet gets a prompt and a seed, by which `recipes/evaluate.py` generates
and by which `musetune.planning.orchestrate` renders its ceiling.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
from knobs import manual, read  # type: ignore[import-not-found]
from tqdm import tqdm

from musetune.planning.orchestrate import orchestrate
from musetune.planning.styles import STYLES
from musetune.theory import BeatGrid, Chord, ChordSpan, Key, KeySpan, LeadSheet, Meter, MeterSpan

TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SEVENTHS = ("7", "maj7", "min7", "minmaj7", "dim7", "hdim7", "9", "maj9", "min9")
WISHES: tuple[frozenset[str], ...] = (
    frozenset({"sevenths"}),
    frozenset({"inversions"}),
    frozenset({"two a bar"}),
    frozenset({"off beat"}),
    frozenset({"sevenths", "inversions"}),
    frozenset({"sevenths", "two a bar"}),
)


@dataclass
class Config:
    """Every knob, its default, its meaning."""

    count: int = 32
    seconds: float = 10.24
    held_out: str = "5"  # last digit of the songs to cut from
    waltzes: int = 8  # sheets in 3/4
    bpm: tuple[int, int] = (60, 160)  # slowest and fastest; the others evenly between
    seed: int = 0


@dataclass(frozen=True)
class Song:
    """Chords in beats from the first bar line on, the bar's length in beats, the key."""

    name: str
    spans: tuple[ChordSpan, ...]
    bar: int
    key: Key


def read_song(folder: Path) -> Song | None:
    """A song with one key and steady bars, chords on half beats; None for the others (metre from corrected.mid)."""
    import pretty_midi

    beats = np.loadtxt(folder / "beats.txt")
    bar_lines = np.flatnonzero(beats[:, 2] > 0)
    signature = pretty_midi.PrettyMIDI(str(folder / "corrected.mid")).time_signature_changes[0]
    bar = {(4, 4): 4, (3, 4): 3, (3, 8): 3}.get((signature.numerator, signature.denominator))
    keys = folder.joinpath("key.txt").read_text().split()[2::3]
    if bar is None or len(set(keys)) != 1:
        return None
    steady = np.mean(np.diff(bar_lines) % bar == 0) > 0.9
    at = partial(np.interp, xp=beats[:, 0], fp=np.arange(len(beats)) - bar_lines[0])
    spans: list[ChordSpan] = []
    for line in folder.joinpath("chords.txt").read_text().splitlines():
        start_s, end_s, label = line.split()
        start, end = (Fraction(round(float(at(float(s))) * 2), 2) for s in (start_s, end_s))
        if end > start >= (spans[-1].end if spans else 0):
            spans.append(ChordSpan(start, end - start, Chord.parse(label)))
    phases = Counter(span.start % bar for span in spans)
    if not steady or not spans or phases.most_common(1)[0][0] != 0:
        return None  # most chords must begin on a bar line, or the bar lines are not to be trusted
    return Song(folder.name, tuple(spans), bar, Key.parse(keys[0].replace(":", " ")))


def features(spans: tuple[ChordSpan, ...], bar: int) -> frozenset[str]:
    """What a passage has of the things that a test set must hold."""
    found = set()
    if sum(s.chord.quality in SEVENTHS for s in spans) >= 2:
        found.add("sevenths")
    if any(s.chord.inversion for s in spans):
        found.add("inversions")
    if max(Counter(s.start // bar for s in spans).values()) >= 2:
        found.add("two a bar")
    if any(s.start.denominator > 1 for s in spans):
        found.add("off beat")
    return frozenset(found)


def passages(song: Song, beats: int, squeeze: bool) -> list[tuple[ChordSpan, ...]]:
    """All passages of ``beats`` beats from a bar line on; ``squeeze`` plays bars of four in three (chords that fill bars only)."""
    taken, found = beats * 4 / Fraction(3) if squeeze else Fraction(beats), []
    for start in range(0, int(song.spans[-1].end - taken), song.bar):
        spans = []
        for span in song.spans:
            low, high = max(span.start - start, Fraction(0)), min(span.end - start, taken)
            if high > low:
                spans.append(ChordSpan(low, high - low, span.chord))
        if squeeze:
            if any(s.start % 4 for s in spans):
                continue
            spans = [ChordSpan(s.start * 3 / 4, s.beats * 3 / 4, s.chord) for s in spans]
        sounding = sum((s.beats for s in spans if s.chord.root is not None), Fraction(0))
        if spans and sounding >= Fraction(9, 10) * beats and len({s.chord for s in spans}) >= 3:
            found.append(tuple(spans))
    return found


def anticipate(spans: tuple[ChordSpan, ...]) -> tuple[ChordSpan, ...]:
    """Every second chord change half a beat early, as pop and jazz players push them (POP909's labels lie on beats)."""
    pushed, half = list(spans), Fraction(1, 2)
    for index in range(1, len(pushed), 2):
        before, span = pushed[index - 1], pushed[index]
        if before.end == span.start and before.beats > 1:
            pushed[index - 1] = replace(before, beats=before.beats - half)
            pushed[index] = replace(span, start=span.start - half, beats=span.beats + half)
    return tuple(pushed)


def choose(
    songs: list[Song], used: Counter[str], mode: str, beats: int, bar: int, wish: frozenset[str], rng: random.Random
) -> tuple[Song, tuple[ChordSpan, ...]]:
    """(song, spans) that has most of the wish, from the songs used least; ties are drawn from ``rng``."""
    candidates: list[tuple[int, float, Song, tuple[ChordSpan, ...]]] = []
    for song in songs:
        if song.key.mode == mode and song.bar >= bar:
            for spans in passages(song, beats, squeeze=song.bar > bar):
                missing = len(wish - features(spans, bar))
                candidates.append((2 * missing + 3 * used[song.name], rng.random(), song, spans))
    if not candidates:
        raise ValueError(f"no held-out song has a passage in {mode} with bars of {bar}")
    _, _, song, spans = min(candidates, key=lambda c: c[:2])
    used[song.name] += 1
    return song, spans


def pick_genre(bpm: float, used: Counter[str]) -> str:
    """The genre used least so far among those that are played at ``bpm``."""
    fitting = [name for name, style in STYLES.items() if style.tempo[0] <= bpm <= style.tempo[1]]
    genre = min(fitting, key=lambda name: used[name])
    used[genre] += 1
    return genre


def make(cfg: Config, songs: list[Song]) -> list[dict]:
    """The records of the test set."""
    rng = random.Random(cfg.seed)
    used: Counter[str] = Counter()
    genres: Counter[str] = Counter()
    tempi = np.linspace(*cfg.bpm, cfg.count).round().astype(int).tolist()
    rng.shuffle(tempi)
    waltz = [index % (cfg.count // max(cfg.waltzes, 1)) == 1 for index in range(cfg.count)] if cfg.waltzes else []
    records = []
    for index in tqdm(range(cfg.count), unit="sheet"):
        tonic = TONICS[(index * 7) % 12] if index < 24 else rng.choice(TONICS)
        key = Key.parse(f"{tonic} {('major', 'minor')[index // 12 % 2]}")
        bar, bpm, wish = (3 if waltz and waltz[index] else 4), tempi[index], WISHES[index % len(WISHES)]
        need = int(cfg.seconds * bpm / 60) + 2
        song, spans = choose(songs, used, key.mode, need, bar, wish - {"off beat"}, rng)
        spans = anticipate(spans) if "off beat" in wish else spans
        start = Fraction(0)
        sheet = LeadSheet(
            spans,
            (KeySpan(start, song.key),),
            (MeterSpan(start, Meter(bar, 4)),),
            BeatGrid.constant(bpm, need),
            Fraction(need),
        )
        sheet = sheet.transpose((key.tonic_pc - song.key.tonic_pc + 5) % 12 - 5).crop(0.0, cfg.seconds)
        sheet = replace(sheet, genre=pick_genre(bpm, genres))
        name = f"{index + 1:02d}-{str(sheet.key).replace(' ', '-').replace('#', 's')}-{sheet.genre}-{bpm}"
        seed = cfg.seed + 1000 + index
        prompt = orchestrate(sheet, seed=seed).prompt
        source = f"POP909 {song.name}"
        records.append(
            {"id": name, "source": source, "prompt": prompt, "seed": seed, "features": sorted(features(sheet.chords, bar)), "lead_sheet": sheet.to_json()}
        )  # fmt: skip
    return records


def main() -> None:
    if len(sys.argv) < 3 or sys.argv[1] in ("-h", "--help"):
        raise SystemExit(manual(__doc__, Config))
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    cfg = read(Config, sys.argv[3:])
    folders = sorted(folder for folder in source.iterdir() if folder.name.endswith(cfg.held_out))
    songs = [song for folder in tqdm(folders, unit="song") if (song := read_song(folder)) is not None]
    records = make(cfg, songs)
    out.mkdir(parents=True, exist_ok=True)
    for record in records:
        (out / f"{record['id']}.json").write_text(json.dumps(record, indent=1) + "\n")
    counted = Counter(name for record in records for name in record["features"])
    print(f"{len(records)} sheets from {len(songs)} songs in {out}, seed {cfg.seed}; {dict(counted)}")


if __name__ == "__main__":
    main()
