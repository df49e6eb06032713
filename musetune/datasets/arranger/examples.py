"""Songs → what the stem transformer learns from.

For each passage its head and, stem by stem, tokens with their contexts.
"""

from __future__ import annotations

import json
import random
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from tqdm import tqdm

from musetune.datasets.arranger.mma import Groove, accompany, grooves
from musetune.datasets.arranger.songs import PlayedSong, Track, lead_sheets, midi_folder, pop909
from musetune.datasets.song_split import for_tests
from musetune.planning.arranger.grammar import contexts, read_events, write
from musetune.planning.arranger.language import (
    COMPOUND,
    MAX_BARS,
    METERS,
    STEPS,
    Passage,
    PassageChord,
    StemEvent,
    hit_of,
)
from musetune.planning.arranger.passages import nearest_step, passage_at
from musetune.planning.rules.sheet_bars import bars_of
from musetune.processes import parallel_map
from musetune.symbols import Meter, MeterSpan
from musetune.symbols.arrangement import STEMS

SIZES = (8, 8, 8, 8, 4, 6, 4, 2)  # bars of the passages that a song is cut into, drawn
POP_GENRES = {
    "pop": 50,
    "rock": 17,
    "electronic": 14,
    "blues": 7,
    "jazz": 7,
    "classical": 5,
}  # in which a pop song's chords are played
GROOVES = 3  # in a song, one after the other
SWUNG = 0.6  # share of off-beat onsets on the triplet from which a groove counts as swung


@dataclass
class ArrangerExample:
    """A passage: ``split``, where it is from, its head, and for each stem one or two versions as (tokens (n,), contexts
    (n, 10), source).
    """

    split: str
    song: str
    passage: Passage
    stems: dict[str, list[tuple[np.ndarray, np.ndarray, str]]]


def split_of(song: PlayedSong) -> str:
    """test, or by a hash one song in 25 for validation, else train."""
    if for_tests(song.name, song.source):
        return "test"
    return "validation" if random.Random(song.name).random() < 0.04 else "train"


def events_of(track: Track, stem: str, passage: Passage, start: float, swing: bool = False) -> list[StemEvent]:
    """A track's notes inside the passage, on its grid.

    Each beat on sixteenths or triplets, whichever is nearer to its onsets.

    ``swing`` moves straight eighths to triplets, as players do who read them in a swung groove.
    """
    beats: dict[int, list[tuple[float, float, int]]] = defaultdict(list)
    for s, e, pitch in track:
        if start - 0.08 <= s < start + passage.steps / STEPS - 0.08:
            at = max(s - start, 0.0)
            at = swung(at) if swing else at
            beats[int(at + 0.08)].append((at, e - s, pitch))
    events, hits = [], defaultdict(set)
    for notes in beats.values():
        triplets = _misfit(notes, passage.meter, True) + 0.01 < _misfit(notes, passage.meter, False)
        for at, length, pitch in notes:
            step = nearest_step(at, passage.meter, triplets)
            if stem == "drums":
                hits[step].add(pitch)
            else:
                events.append(StemEvent(step, pitch - passage.offset, max(round(length * STEPS), 2)))
    return events + [StemEvent(step, hit_of(pitches)) for step, pitches in sorted(hits.items())]


def swung(beats: float) -> float:
    """A position whose half beats fall on the last third of the beat."""
    beat, part = divmod(beats, 1.0)
    return beat + (part * 4 / 3 if part < 0.5 else 2 / 3 + (part - 0.5) * 2 / 3)


def _misfit(notes: list[tuple[float, float, int]], meter: str, triplets: bool) -> float:
    """Mean distance from the grid in beats; of triplets, only the three of the beat."""
    grid: tuple[float, ...] = (0, 4 / 12, 8 / 12, 1) if triplets else (0, 0.25, 0.5, 0.75, 1)
    if meter in COMPOUND:
        grid = (0, 2 / 12, 4 / 12, 6 / 12, 8 / 12, 10 / 12, 1)
    return float(np.mean([min(abs(at % 1 - g) for g in grid) for at, _, _ in notes]))


def is_swung(tracks: dict[str, Track]) -> bool:
    """Whether the groove's off-beats lie on triplets."""
    parts = [s % 1 for name in ("drums", "guitar", "keys") for s, _, _ in tracks.get(name, [])]
    late, straight = sum(0.6 < p < 0.72 for p in parts), sum(0.45 < p < 0.55 for p in parts)
    return late > 4 and late / (late + straight) > SWUNG


def cut(song: PlayedSong, rng: random.Random) -> list[tuple[Fraction, Passage]]:
    """(start, passage) of consecutive passages in which chords are known and something is played."""
    bars = [b for b in bars_of(song.sheet) if b.start >= 0]
    busy = {int(s) // song.sheet.meter.beats_per_bar for t in song.tracks.values() for s, _, _ in t}
    out, at = [], 0
    while at < len(bars):
        size = min(rng.choice(SIZES), len(bars) - at)
        passage = passage_at(song.sheet, bars[at].start, size, bars[at].meter)
        sounding = any(h.root < 12 for h in passage.harmony)
        if (
            sounding
            and sum(int(b.start) // song.sheet.meter.beats_per_bar in busy for b in bars[at : at + size]) > size // 2
        ):
            out.append((bars[at].start, passage))
        at += size
    return out


def compound_twin(song: PlayedSong, meter: str) -> PlayedSong:
    """The song's chords and, its eighths swung, its melody in 12/8 (the same beats) or 6/8 (bars of two of them)."""
    sheet = replace(song.sheet, meters=(MeterSpan(Fraction(0), Meter.parse(meter)),))
    lead = [(swung(s), swung(e), p) for s, e, p in song.tracks.get("lead", [])]
    return replace(song, sheet=sheet, tracks={"lead": lead})


def examples(
    song: PlayedSong, mma: Path | None, known: list[Groove], seed: int, accompanied: float = 1.0
) -> list[ArrangerExample]:
    """A song's passages: its own tracks, and those that MMA plays to its chords where it has none (of pop songs a share
    ``accompanied``).
    """
    rng = random.Random(f"{seed} {song.name} {song.sheet.meter} {song.sheet.length}")
    pieces = cut(song, rng)
    accompaniments: list[dict[str, Track]] = [{} for _ in pieces]
    if mma and song.source != "midi" and pieces and (song.source != "pop909" or rng.random() < accompanied):
        genre = [
            rng.choices(*zip(*POP_GENRES.items()))[0] if song.source == "pop909" else song.sheet.genre for _ in pieces
        ]
        fits = [
            [g for g in known if g.meter == p.meter and g.genre == own] or [g for g in known if g.meter == p.meter]
            for (_, p), own in zip(pieces, genre)
        ]
        part = -(-len(pieces) // GROOVES)
        rows = [rng.choice(own) for own in fits[::part] if own]
        if rows:  # there are none in 2/4
            rows = [rows[i // part] for i in range(len(pieces))]
            pieces = [(start, replace(p, genre=g.genre)) for (start, p), g in zip(pieces, rows)]
            tonics = [song.sheet.key_at(start).tonic_pc for start, _ in pieces]
            accompaniments = accompany(
                mma, [(p, g) for (_, p), g in zip(pieces, rows)], tonics, 120, rng.randrange(2**31)
            )
    return [_example(song, *piece, more) for piece, more in zip(pieces, accompaniments)]


def _example(song: PlayedSong, start: Fraction, passage: Passage, played: dict[str, Track]) -> ArrangerExample:
    swing = song.source != "midi" and passage.meter not in COMPOUND and is_swung(played)
    stems = {}
    for stem in STEMS:
        versions = []
        sources = ((song.tracks, song.source, float(start), swing and stem == "lead"), (played, "mma", 0.0, False))
        for tracks, source, at, late in sources:
            if source == "pop909" and stem in ("bass", "keys") and passage.genre != "pop" and stem in played:
                continue  # a pop song's piano does not play jazz
            events = events_of(tracks.get(stem, []), stem, passage, at, late)
            if len({e.step for e in events}) >= passage.bars // 2 + 1:
                tokens = write(stem, events, passage)
                versions.append((np.array(tokens, np.int16), np.array(contexts(tokens, passage), np.int8), source))
        if versions:
            stems[stem] = versions
    return ArrangerExample(split_of(song), f"{song.source}/{song.name}", passage, stems)


def in_two_four(example: ArrangerExample) -> ArrangerExample:
    """A passage of up to four 4/4 bars as twice as many 2/4 bars: no groove is written in 2/4."""
    old = example.passage
    passage = replace(old, meter="2/4", bars=2 * old.bars)
    stems: dict[str, list[tuple[np.ndarray, np.ndarray, str]]] = {}
    for stem, versions in example.stems.items():
        for tokens, _, source in versions:
            text = write(stem, read_events(tokens.tolist(), old)[stem], passage)
            own = (np.array(text, np.int16), np.array(contexts(text, passage), np.int8), source)
            stems.setdefault(stem, []).append(own)
    return ArrangerExample(example.split, example.song, passage, stems)


def with_halves(examples: list[ArrangerExample]) -> list[ArrangerExample]:
    """The examples and, of every fourth that is short enough, its twin in 2/4."""
    short = [e for e in examples if e.passage.meter == "4/4" and e.passage.bars <= MAX_BARS // 2]
    return examples + [in_two_four(e) for e in short[::4]]


def twins(song: PlayedSong, rng: random.Random) -> list[PlayedSong]:
    """The song, and of some songs in four a twin in compound time."""
    if str(song.sheet.meter) not in METERS:
        return []
    if song.source == "midi" or str(song.sheet.meter) != "4/4" or rng.random() > 0.16:
        return [song]
    return [song, compound_twin(song, rng.choice(("6/8", "12/8")))]


def _work(job: tuple[PlayedSong, Path | None, list[Groove], int, float]) -> list[ArrangerExample]:
    song = job[0]
    try:
        return [e for e in examples(*job) if e.stems]
    except Exception as error:  # MMA refuses some charts: the other songs go on
        print(f"left out {song.name}: {type(error).__name__}: {str(error)[:200]}", file=sys.stderr)
        return []


def collect(
    songs: Path | None,
    sheets: Path | None,
    midi: list[Path],
    mma: Path | None,
    *,
    seed: int,
    workers: int,
    accompanied: float = 0.5,
    limit: int | None = None,
) -> list[ArrangerExample]:
    """All examples of all collections that are given.

    ``limit`` songs of each, MMA beside a share ``accompanied`` of the pop songs.
    """
    all_grooves = grooves(mma) if mma else []
    readers = [pop909(songs)] if songs else []
    readers += ([lead_sheets(sheets)] if sheets else []) + [midi_folder(folder) for folder in midi]
    collection: list[PlayedSong] = []
    for reader in readers:
        for number, song in enumerate(tqdm(reader, desc="reading", unit="song")):
            if limit is not None and number >= limit:
                break
            collection += twins(song, random.Random(f"twin {song.name} {song.sheet.length}"))
    jobs = [(song, mma, all_grooves, seed, accompanied) for song in collection]
    parts = tqdm(parallel_map(_work, jobs, workers), total=len(jobs), desc="writing", unit="song")
    return with_halves([example for part in parts for example in part])


def store(examples: list[ArrangerExample], path: Path) -> None:
    """Write examples as one .npz of flat arrays and a JSON text."""
    versions = [(i, stem, v) for i, e in enumerate(examples) for stem, own in e.stems.items() for v in own]
    heads = [{"split": e.split, "song": e.song, "passage": asdict(e.passage)} for e in examples]
    index = [[i, STEMS.index(stem), len(v[0])] for i, stem, v in versions]
    np.savez_compressed(
        path,
        tokens=np.concatenate([v[0] for *_, v in versions]),
        contexts=np.concatenate([v[1] for *_, v in versions]),
        index=np.array(index, np.int32),
        heads=json.dumps(heads),
        sources=json.dumps([v[2] for *_, v in versions]),
    )


def restore(path: Path) -> list[ArrangerExample]:
    """What ``store`` wrote."""
    with np.load(path) as file:
        tokens, table, index = file["tokens"], file["contexts"], file["index"]
        heads, sources = json.loads(str(file["heads"])), json.loads(str(file["sources"]))
    examples = []
    for head in heads:
        harmony = tuple(PassageChord(**chord) for chord in head["passage"].pop("harmony"))
        examples.append(ArrangerExample(head["split"], head["song"], Passage(**head["passage"], harmony=harmony), {}))
    ends = np.cumsum(index[:, 2])
    for (i, stem, size), end, source in zip(index, ends, sources):
        examples[i].stems.setdefault(STEMS[stem], []).append(
            (tokens[end - size : end], table[end - size : end], source)
        )
    return examples
