"""Cut the test set: lead sheets of held-out songs in all keys, both modes, many tempi, 4/4, 3/4 and 6/8, some in
rubato.

    python recipes/evaluation/make_sheets.py SONGS musetune/evaluation/sheets
    python recipes/evaluation/make_sheets.py SONGS devsheets held_out=1 seed=1 count=24 waltzes=5 compound=3 rubato=2

The second makes a development set of songs that training reads: what is tuned never sees the test set.

SONGS is a folder of POP909 song folders (chords.txt, beats.txt, key.txt, which POP909 itself calls chord_midi.txt,
beat_midi.txt, key_audio.txt) with the song's file from POP909-CL in each as corrected.mid: POP909's own meters are
wrong in one song of forty. Only folders whose name ends in ``held_out`` are used, each as seldom as possible, and no
succession of chords of a song twice. Songs in 4/4 also give passages in 3/4 and 6/8, where their changes allow it.

Ten seconds of a song often leave its key open, and then to ask for it is no test. Only passages are taken whose chords
fix it: at least 90 % of their time is diatonic (in minor with the leading note), the tonic chord begins or ends them
or no chord sounds longer, no other key can say so of a tonic that sounds as long, and the lengths of their tones, the
bass counted twice, fit its profile best of all keys' (Krumhansl & Kessler 1982). Symbols alone decide, never a sound or
a judge. Every sheet gets a prompt and a seed, by which `recipes/evaluate.py` generates and by which
`musetune.planning.rules.orchestrate` renders its ceiling.
"""

from __future__ import annotations

import json
import random
from bisect import bisect_left, bisect_right
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache, partial
from math import ceil
from pathlib import Path

import numpy as np
from tqdm import tqdm

from musetune.datasets.rendering.excerpts import draw_grid
from musetune.planning.rules.orchestrate import orchestrate
from musetune.planning.rules.styles import STYLES
from musetune.symbols import BeatGrid, Chord, ChordSpan, Key, KeySpan, LeadSheet, Meter, MeterSpan
from musetune.symbols.key import SCALES
from musetune.training.config import folders_and_config

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
KEYS = [(pc, mode) for mode in ("major", "minor") for pc in range(12)]
DIATONIC = 0.9  # share of a passage's time
PROFILES = {
    "major": (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    "minor": (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
}


@dataclass
class Config:
    """Every option, its default, its meaning."""

    count: int = 60
    seconds: float = 10.24
    held_out: str = "5"  # last digit of the songs to cut from
    waltzes: int = 12  # sheets in 3/4
    compound: int = 8  # sheets in 6/8
    rubato: int = 6  # sheets whose tempo sways by 3 to 10 %
    bpm: tuple[int, int] = (60, 170)  # slowest and fastest; the others evenly between
    compound_bpm: tuple[int, int] = (50, 110)  # the same in 6/8, dotted quarters
    seed: int = 0


@dataclass(frozen=True)
class SourceSong:
    """Chords in beats from the first bar line on, the bar's length in beats, the key."""

    name: str
    spans: tuple[ChordSpan, ...]
    bar: int
    key: Key


def read_song(folder: Path) -> SourceSong | None:
    """A song with one key and steady bars, chords on half beats; None for the others (meter from corrected.mid)."""
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
    return SourceSong(folder.name, tuple(spans), bar, Key.parse(keys[0].replace(":", " ")))


def features(spans: tuple[ChordSpan, ...], bar: int) -> frozenset[str]:
    """What a passage has of the things that a test set must hold."""
    names = set()
    if sum(s.chord.quality in SEVENTHS for s in spans) >= 2:
        names.add("sevenths")
    if any(s.chord.inversion for s in spans):
        names.add("inversions")
    if max(Counter(s.start // bar for s in spans).values()) >= 2:
        names.add("two a bar")
    if any(s.start.denominator > 1 for s in spans):
        names.add("off beat")
    return frozenset(names)


def passages(song: SourceSong, beats: Fraction, bar: int) -> list[tuple[ChordSpan, ...]]:
    """All passages of ``beats`` beats from a bar line on that have three chords or more, none over half the time, and
    hardly a rest.

    A song in 4 plays in bars of 3 or 2 beats those passages in which every change falls on a beat then too.
    """
    scale, passages_of_song = Fraction(bar, song.bar), []
    spans = [ChordSpan(s.start * scale, s.beats * scale, s.chord) for s in song.spans]
    starts, ends = [s.start for s in spans], [s.end for s in spans]
    for start in range(0, int(spans[-1].end - beats), bar):
        cut = []
        for span in spans[bisect_right(ends, start) : bisect_left(starts, start + beats)]:
            low, high = max(span.start - start, Fraction(0)), min(span.end - start, beats)
            cut.append(ChordSpan(low, high - low, span.chord))
        if scale != 1 and any(s.start.denominator > 1 for s in cut):
            continue
        lasts: dict[Chord, Fraction] = {}
        for span in cut:
            if span.chord.root is not None:
                lasts[span.chord] = lasts.get(span.chord, Fraction(0)) + span.beats
        if len(lasts) >= 3 and max(lasts.values()) <= beats / 2 and sum(lasts.values()) >= Fraction(9, 10) * beats:
            passages_of_song.append(tuple(cut))
    return passages_of_song


def fixes_key(spans: tuple[ChordSpan, ...], key: Key) -> bool:
    """Whether the chords leave no doubt of ``key``; see the module's docstring."""
    beats = np.array([float(s.beats) for s in spans if s.chord.root is not None])
    chords = [s.chord for s in spans if s.chord.root is not None]
    inside, tonic = (np.array([roles(chord)[row] for chord in chords]) for row in (0, 1))  # (chords, keys)
    longest = max(beats[[c == chord for c in chords]].sum() for chord in chords)
    lasts = beats @ tonic
    fits = (beats @ inside >= DIATONIC * beats.sum()) & (tonic[0] | tonic[-1] | (lasts > longest - 1e-6)) & (lasts > 0)
    index = KEYS.index((key.tonic_pc, key.mode))
    if not fits[index] or lasts[index] <= np.max(np.delete(lasts * fits, index)):
        return False
    tones = beats @ np.array([[(pc in c.pitch_classes) + (pc == c.bass_pc) for pc in range(12)] for c in chords])
    return bool(index == np.argmax([np.corrcoef(tones, np.roll(PROFILES[mode], pc))[0, 1] for pc, mode in KEYS]))


@lru_cache(maxsize=4096)
def roles(chord: Chord) -> tuple[tuple[bool, ...], tuple[bool, ...]]:
    """For each of KEYS: is the chord diatonic in it, is it its tonic?"""
    tones = set(chord.pitch_classes)
    scales = {mode: {*SCALES[mode], 11} for mode in ("major", "minor")}  # 11: the leading note, also in minor
    inside = tuple(tones <= {(pc + step) % 12 for step in scales[mode]} for pc, mode in KEYS)
    third = {"major": 4, "minor": 3}
    tonic = tuple(chord.root_pc == pc and (pc + third[mode]) % 12 in tones for pc, mode in KEYS)
    return inside, tonic


def anticipate(spans: tuple[ChordSpan, ...], early: Fraction) -> tuple[ChordSpan, ...]:
    """Every second chord change ``early`` beats early, as pop and jazz players push them (POP909's labels lie on
    beats).
    """
    pushed = list(spans)
    for index in range(1, len(pushed), 2):
        before, span = pushed[index - 1], pushed[index]
        if before.end == span.start and before.beats >= 2 * early:
            pushed[index - 1] = replace(before, beats=before.beats - early)
            pushed[index] = replace(span, start=span.start - early, beats=span.beats + early)
    return tuple(pushed)


class Shelf:
    """Songs, how often each was used, and how many of the passages looked at fix their key."""

    def __init__(self, songs: list[SourceSong], rng: random.Random) -> None:
        self.songs, self.rng = songs, rng
        self.used: Counter[str] = Counter()
        self.progressions: set[tuple[Chord, ...]] = set()
        self.seen = self.fixed = 0

    def choose(
        self, mode: str, beats: Fraction, bar: int, wish: frozenset[str]
    ) -> tuple[SourceSong, tuple[ChordSpan, ...]]:
        """(song, spans) that has most of the wish, from the songs used least; ties are drawn."""
        candidates: list[tuple[int, float, SourceSong, tuple[ChordSpan, ...]]] = []
        for song in self.songs:
            if song.key.mode != mode or song.bar not in (bar, 4):
                continue
            every = passages(song, beats, bar)
            fixed = [spans for spans in every if fixes_key(spans, song.key)]
            self.seen, self.fixed = self.seen + len(every), self.fixed + len(fixed)
            for spans in fixed:
                if tuple(s.chord for s in spans) not in self.progressions:
                    missing = len(wish - features(spans, bar))
                    candidates.append((2 * missing + 3 * self.used[song.name], self.rng.random(), song, spans))
        if not candidates:
            raise ValueError(f"no held-out song has another passage in {mode} with bars of {bar}; give a smaller count")
        _, _, song, spans = min(candidates, key=lambda c: c[:2])
        self.used[song.name] += 1
        self.progressions.add(tuple(s.chord for s in spans))
        return song, spans


def pick_genre(bpm: float, used: Counter[str]) -> str:
    """The genre used least so far among those that are played at ``bpm`` quarters a minute."""
    fitting = [name for name, style in STYLES.items() if style.tempo[0] <= bpm <= style.tempo[1]]
    genre = min(fitting, key=lambda name: used[name])
    used[genre] += 1
    return genre


def frames(cfg: Config, rng: random.Random) -> list[tuple[Meter, BeatGrid, bool]]:
    """(meter, beats, whether in rubato) of every sheet, shuffled, but two neighbours in tempo follow each other: they
    will be a major and a minor sheet, so that neither mode is the faster. Raises ValueError where ``count`` is too
    small for them.
    """
    plain = cfg.count - cfg.waltzes - cfg.compound
    if plain < cfg.rubato:
        raise ValueError(
            f"count={cfg.count} is too few for waltzes={cfg.waltzes}, compound={cfg.compound} and rubato={cfg.rubato}"
        )
    tempi = np.linspace(*cfg.bpm, plain + cfg.waltzes).round().tolist()
    rng.shuffle(tempi)
    meters = [Meter(4, 4)] * plain + [Meter(3, 4)] * cfg.waltzes + [Meter(6, 8)] * cfg.compound
    tempi += np.linspace(*cfg.compound_bpm, cfg.compound).round().tolist()
    free = [index < cfg.rubato for index in range(cfg.count)]
    out = [(m, draw_grid(bpm, cfg.seconds, f, rng), f) for m, bpm, f in zip(meters, tempi, free, strict=True)]
    out.sort(key=lambda frame: frame[1].bpm)
    pairs = [out[i : i + 2] for i in range(0, len(out), 2)]
    rng.shuffle(pairs)
    return [frame for pair in pairs for frame in rng.sample(pair, len(pair))]


def make(cfg: Config, songs: list[SourceSong]) -> tuple[list[dict], str]:
    """The records of the test set, and what is to be said of them."""
    rng = random.Random(cfg.seed)
    shelf, genres = Shelf(songs, rng), Counter[str]()
    records: list[dict] = []
    for index, (meter, grid, free) in enumerate(tqdm(frames(cfg, rng), unit="sheet")):
        key = Key(TONICS[index * 7 % 12], ("major", "minor")[(index + index // 12) % 2])
        beats = Fraction(float(grid.beat_at(cfg.seconds))).limit_denominator(4096)
        wish = WISHES[index // 2 % len(WISHES)]
        song, spans = shelf.choose(key.mode, beats, meter.beats_per_bar, wish - {"off beat"})
        spans = anticipate(spans, Fraction(1, 3 if meter.compound else 2)) if "off beat" in wish else spans
        start, grid = Fraction(0), BeatGrid(grid.times_s[: ceil(beats) + 1])
        sheet = LeadSheet(spans, (KeySpan(start, song.key),), (MeterSpan(start, meter),), grid, beats)
        sheet = sheet.transpose((key.tonic_pc - song.key.tonic_pc + 5) % 12 - 5)
        sheet = replace(sheet, genre=pick_genre(sheet.bpm * float(meter.beat_quarters), genres))
        name = f"{index + 1:02d}-{str(sheet.key).replace(' ', '-').replace('#', 's')}-{sheet.genre}-{sheet.bpm:.0f}"
        seed = cfg.seed + 1000 + index
        names = sorted(features(sheet.chords, meter.beats_per_bar) | ({"rubato"} if free else set()))
        request = {"prompt": orchestrate(sheet, seed=seed).prompt, "seed": seed, "features": names}
        records.append({"id": name, "source": f"POP909 {song.name}", **request, "lead_sheet": sheet.to_json()})
    counted = Counter(name for record in records for name in record["features"])
    share = f"{shelf.fixed} of {shelf.seen} passages looked at fix their key"
    return records, f"{len(shelf.used)} of {len(songs)} songs used; {share}; {dict(counted)}; {dict(genres)}"


def main() -> None:
    (source, out), cfg = folders_and_config(("SONGS", "OUT"), Config, __doc__)
    folders = sorted(folder for folder in source.iterdir() if folder.name.endswith(cfg.held_out))
    songs = [song for folder in tqdm(folders, unit="song") if (song := read_song(folder)) is not None]
    records, summary = make(cfg, songs)
    out.mkdir(parents=True, exist_ok=True)
    for record in records:
        (out / f"{record['id']}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{len(records)} sheets in {out}, seed {cfg.seed}: {summary}")


if __name__ == "__main__":
    main()
