"""The README's gallery: one progression in every genre, by the theory adapter with each genre's adapter on it.

    python recipes/evaluation/gallery.py [--chords "I V vi IV"] [--key "C major"] [--bpm 110] [--out gallery] [--readme
    README.md]

Writes a short OGG and a chart for each genre into OUT, and the table between README's gallery marks. One seed for all,
nothing is picked; the figures are the judges', or our own analyser's where they are not installed.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import torch

from musetune import LeadSheet, MuseTunePipeline
from musetune.audio import save_audio
from musetune.display.evaluation_charts import draw_chart
from musetune.evaluation import missing_judges, report
from musetune.symbols.lead_sheet import GENRES

Row = tuple[str, Mapping[str, float | None]]  # a genre and its scores
MARKS = ("<!-- gallery -->", "<!-- /gallery -->")


def main(arguments: list[str]) -> None:
    args = parse(arguments)
    sheet = LeadSheet.from_progression(args.chords.split(), key=args.key, bpm=args.bpm, duration_seconds=args.seconds)
    pipe = MuseTunePipeline.from_pretrained(args.base, adapter=args.adapter)
    for genre in args.genres:
        pipe.load_adapter(genre, name=Path(genre).name)
    rows = [play(pipe, Path(genre).name, sheet, args) for genre in args.genres]
    text = table(rows, args)
    print(text)
    if args.readme:
        insert(args.readme, text)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chords", default="I V vi IV")
    parser.add_argument("--key", default="C major")
    parser.add_argument("--bpm", type=float, default=110)
    parser.add_argument("--seconds", type=float, default=10.24)
    parser.add_argument("--genres", nargs="+", default=list(GENRES), help="genre adapters: bundled names or folders")
    parser.add_argument("--base", default="nano")
    parser.add_argument("--adapter", default="theory")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("gallery"))
    parser.add_argument("--readme", type=Path, help="a file with gallery marks, whose table is written anew")
    return parser.parse_args(arguments)


def play(pipe: MuseTunePipeline, genre: str, sheet: LeadSheet, args: argparse.Namespace) -> Row:
    """GENRE.ogg and GENRE.png in OUT; the genre and its scores."""
    pipe.set_adapter(genre)
    generator = torch.Generator().manual_seed(args.seed)
    output = pipe(f"{genre} music", lead_sheet=sheet, num_inference_steps=args.steps, generator=generator)
    wave, rate = output.audios[0], output.sampling_rate
    judged = report(wave, rate, sheet, listener="musetune" if missing_judges() else "judges")
    save_audio(args.out / f"{genre}.ogg", wave, rate)
    draw_chart(
        args.out / f"{genre}.png", wave, rate, sheet, judged.estimate, title=f"{args.chords} in {args.key}: {genre}"
    )
    return genre, judged.scores


def table(rows: list[Row], args: argparse.Namespace) -> str:
    """The gallery in Markdown, links relative to OUT's parent."""
    folder = args.out.name
    lines = [f"`{args.chords}` in {args.key} at {args.bpm:g} bpm, seed {args.seed}, nothing picked:", ""]
    lines += ["| genre | listen | chart | chords (majmin) | beat F |", "|---|---|---|---|---|"]
    for genre, scores in rows:
        figures = " | ".join(percent(scores[name]) for name in ("majmin", "beat_f"))
        lines.append(f"| {genre} | [{genre}.ogg]({folder}/{genre}.ogg) | [chart]({folder}/{genre}.png) | {figures} |")
    return "\n".join(lines)


def percent(share: float | None) -> str:
    return "—" if share is None else f"{100 * share:.0f} %"


def insert(readme: Path, text: str) -> None:
    """Put ``text`` between the file's gallery marks. Raises ValueError where it has none."""
    before = readme.read_text()
    block = re.compile(f"{re.escape(MARKS[0])}.*{re.escape(MARKS[1])}", re.DOTALL)
    if not block.search(before):
        raise ValueError(f"{readme} has no {MARKS[0]} … {MARKS[1]}")
    readme.write_text(block.sub(lambda _: f"{MARKS[0]}\n{text}\n{MARKS[1]}", before))


if __name__ == "__main__":
    main(sys.argv[1:])
