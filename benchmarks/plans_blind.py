"""A folder of pairs that a person judges blindly in the page's Compare tab: a plan beside a real song of its style.

    python benchmarks/plans_blind.py SONGS.jsonl FOLDER [--openewld FOLDER] [--charts JazzStandards.json] [--pairs 40]
    musetune ui --compare FOLDER      the pairs in the tab Compare

Prompts of the test half whose style has songs (plans_data.py) are planned. The other side is a song of the style, drawn
by the seed among those that the planner did not learn from, in the same meter and mode: its chords and sections, moved
to the plan's key and tempo, cut to the same bars. Both are arranged alike (same style, seed and players' sounds) and
played by the same synthesiser, so that what is judged is the plan: chords, their rhythm, form. FOLDER has the format of
docs/reference/preferences.md; verdicts are counted by the origins "plan" and "song". Songs keep their own rights: the
folder is for listening, not for publishing.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import plans
import torch
from plans_data import RealSong, groups
from tqdm import tqdm

from musetune import __version__
from musetune.audio import save_audio, synthesize
from musetune.evaluation.preferences import PairBatch, Side
from musetune.planning.arranger.arranger import arrange
from musetune.planning.planner.planner import plan
from musetune.symbols import BeatGrid, LeadSheet

RATE = 22050  # Hz
QUESTION = "Which song plan would you keep?"


def excerpt(song: LeadSheet, like: LeadSheet) -> LeadSheet:
    """The song's first bars in the key, tempo, style and length of another sheet in its meter."""
    length = like.length
    moved = song.transpose((like.key.tonic_pc - song.key.tonic_pc + 6) % 12 - 6).slice(Fraction(0), length)
    grid = BeatGrid.constant(like.bpm, int(length))
    return replace(moved, grid=grid, genre=like.genre, style=like.style, melody=())


def partner(songs: Sequence[RealSong], like: LeadSheet, rng: random.Random) -> RealSong | None:
    """A song that the planner did not learn from, long enough and in the same meter and mode; None where none is."""
    fitting = [
        song
        for song in songs
        if song.test
        and (song.sheet.meter, song.sheet.key.mode) == (like.meter, like.key.mode)
        and song.sheet.length >= like.length
    ]
    return rng.choice(fitting) if fitting else None


def cut(sheet: LeadSheet, seconds: float) -> LeadSheet:
    """The sheet's first whole bars, at most so many seconds."""
    bar = sheet.meter.beats_per_bar
    bars = min(int(seconds * sheet.bpm / 60 // bar), int(sheet.length // bar))
    return sheet.slice(Fraction(0), Fraction(bars * bar))


def side(sheet: LeadSheet, origin: dict[str, Any], seed: int, folder: Path, name: str) -> Side:
    """A sheet arranged and played, with its chart and notes, as files in a folder."""
    song = arrange(sheet, seed=seed)
    midi = song.to_pretty_midi()
    sound = synthesize(midi, RATE, duration_s=sheet.duration_s + 1)
    notes = folder / f"{name}.mid"
    midi.write(str(notes))
    return Side(
        save_audio(folder / f"{name}.flac", sound, RATE), origin, Path(sheet.save(folder / f"{name}.json")), notes
    )


def main(arguments: list[str] | None = None) -> Path:
    """Write the folder that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collected", type=Path, metavar="SONGS.jsonl")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--openewld", type=Path)
    parser.add_argument("--charts", type=Path)
    parser.add_argument("--half", choices=("dev", "test"), default="test")
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=24)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    styles = plans.read_styles()
    rows = [row for row in plans.read_prompts(args.half, styles) if row.get("songs")]
    songs = groups(args.collected, args.openewld, args.charts)
    batch, rng, seed = PairBatch(args.folder), random.Random(args.seed), args.seed
    known = batch.pairs() if (args.folder / "pairs.jsonl").is_file() else {}
    with tqdm(total=args.pairs, unit="pair") as bar, tempfile.TemporaryDirectory() as scratch:
        count = 0
        while count < args.pairs and seed < args.seed + 20:
            for row in rows:
                sheet = cut(plan(row["prompt"], seed=seed), args.seconds)
                other = partner(songs.get(row["songs"], ()), sheet, rng)
                if other is None or count >= args.pairs:
                    continue
                count, name = count + 1, f"{row['style'].replace(' ', '-')}-{count + 1:02d}"
                if name not in known:
                    mine = side(
                        sheet, {"name": "plan", "seed": seed, "musetune": __version__}, seed, Path(scratch), "1"
                    )
                    origin = {"name": "song", "title": other.name, "collection": other.source}
                    theirs = side(excerpt(other.sheet, sheet), origin, seed, Path(scratch), "2")
                    batch.add(name, mine, theirs, {"prompt": row["prompt"]}, question=QUESTION)
                bar.update()
            seed += 1
    print(f"{count} pairs in {args.folder}")
    return args.folder


if __name__ == "__main__":
    main()
