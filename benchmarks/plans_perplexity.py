"""Perplexity per chord of real songs, style by style: the planner beside a trigram of the style. Prints a table, writes
JSON.

    python benchmarks/plans_perplexity.py SONGS.jsonl --openewld FOLDER [--charts JazzStandards.json] [--songs 20]

Groups are those of plans_data.py. The planner is told the style in words, the plan's first line and its form, and
thinks without the steering by styles. The trigram (planner_ngram.py) is learned from the group's own songs that are not
held out; of the charts, none of which the planner has seen, one in eight is held out, and the trigram has the others. A
perplexity is over all words of the held-out songs' bars, divided by their chords; the interval is over songs.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from planner import ngram_nats, planner_bits, whole_plan
from planner_ngram import NGram, chords_in, stream
from plans_data import LEAST, RealSong, groups
from tqdm import tqdm

from musetune.datasets.planner.examples import sections_of
from musetune.datasets.planner.songs import PlannerSong, whole
from musetune.datasets.song_split import for_tests
from musetune.planning.planner.planner import Planner

WORDS = {
    "ballad": "a jazz ballad",
    "bossa": "a bossa nova",
    "chorale": "a chorale",
    "jazzwaltz": "a jazz waltz",
    "latinjazz": "a latin jazz song",
    "oldjazz": "a dixieland song",
    "pop": "a pop song",
    "popballad": "a pop ballad",
    "stage": "a musical theatre song",
    "swing": "a swing song",
    "uptempo": "a bebop song",
    "waltz": "a waltz",
}
REPLICATES = 2000


def planner_songs(songs: list[RealSong]) -> list[PlannerSong]:
    """A group's songs as the planner reads them; of the charts one in eight is held out."""
    out = []
    for song in songs:
        sheet, genre = song.sheet, song.sheet.genre or "jazz"
        for one in whole(song.name, song.source, list(sheet.chords), list(sheet.keys), sheet.meter, sheet.bpm, genre):
            test = for_tests(song.name, song.source) if song.source == "charts" else song.test
            out.append(PlannerSong(one.name, one.source, test, one.timed, one.sung, one.sheet))
    return out


def perplexity(planner: Planner, songs: list[PlannerSong], words: str, most: int) -> dict[str, Any] | None:
    """The planner's and the trigram's figures for a group; None where fewer than 4 songs are held out."""
    held = [song for song in songs if song.test][:most]
    learned = [song for song in songs if not song.test]
    streams = {
        mode: [stream([bars for _, bars in sections_of(s)]) for s in learned if s.sheet.key.mode == mode]
        for mode in ("major", "minor")
    }
    trigrams = {mode: NGram(own, 3) for mode, own in streams.items()}
    rows = []
    for song in held:
        plan = whole_plan(song)
        nats, said = planner_bits(planner, plan, words)
        body = stream([plan.content[label] for label in dict.fromkeys(plan.form)])
        rows.append((nats, ngram_nats(trigrams[plan.key.mode], body), chords_in(said)))
    if len(rows) < 4:
        return None
    values = np.array(rows)
    drawn = np.random.default_rng(0).integers(0, len(rows), (REPLICATES, len(rows)))
    out: dict[str, Any] = {"songs": len(rows), "chords": int(values[:, 2].sum()), "learned": len(learned)}
    for column, name in enumerate(("planner", "trigram")):
        again = values[drawn]
        spread = np.exp(again[:, :, column].sum(1) / again[:, :, 2].sum(1))
        low, high = np.percentile(spread, [2.5, 97.5])
        out[name] = {"mean": math.exp(values[:, column].sum() / values[:, 2].sum()), "low": low, "high": high}
    return out


def main(arguments: list[str] | None = None) -> dict[str, Any]:
    """Measure what the arguments say; the report that --out gets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collected", type=Path, metavar="SONGS.jsonl")
    parser.add_argument("--openewld", type=Path)
    parser.add_argument("--charts", type=Path)
    parser.add_argument("--planner", default="nano", help='"nano", or a folder that recipes/planner/train.py wrote')
    parser.add_argument("--songs", type=int, default=20, help="held-out songs of each group at most")
    parser.add_argument("--out", type=Path, default=Path("plans_perplexity.json"))
    args = parser.parse_args(arguments)
    torch.set_num_threads(1)
    planner = Planner.from_pretrained(args.planner)
    report = {}
    for name, songs in tqdm(sorted(groups(args.collected, args.openewld, args.charts).items()), unit="group"):
        if len(songs) >= LEAST and (row := perplexity(planner, planner_songs(songs), WORDS[name], args.songs)):
            report[name] = row
    args.out.write_text(json.dumps(report, indent=1) + "\n")
    print("| style | songs | chords | planner | trigram of the style |\n|---|---|---|---|---|")
    for name, row in report.items():
        cells = [
            f"{row[who]['mean']:.2f} ({row[who]['low']:.1f}–{row[who]['high']:.1f})" for who in ("planner", "trigram")
        ]
        print(f"| {name} | {row['songs']} | {row['chords']} | {' | '.join(cells)} |")
    return report


if __name__ == "__main__":
    main()
