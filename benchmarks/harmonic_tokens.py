"""Do Roman numerals, functions and cadences earn their place among the tokens? Does the key?

    python benchmarks/harmonic_tokens.py --base nano --adapter theory --sheets SHEETS --out out/harmonic_tokens

First, cadences: in all twelve keys "I IV V I" and "I IV V vi" are asked for by numerals alone, the chords hidden from
the adapter (a call's `follow` refuses that, for what these tables say), with the key and without. Chordino says what
sounds in the last bar: a deceptive cadence that was asked for should be heard as one. Second, on SHEETS (development
sheets, or the test set): chords and beats as asked with all tokens, and with fewer. Prints two tables, per cent with
95 % bootstrap intervals over keys and over sheets, and leaves them in OUT/harmonic_tokens.md with the audio beside
them; audio that is there is not made again, and OUT/settings.json keeps audio of other weights or sheets from being
taken for it.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from guidance import load, made_with
from tqdm import tqdm

from musetune import LeadSheet
from musetune.audio import load_audio, save_audio
from musetune.evaluation import bootstrap_mean, load_test_sheets
from musetune.evaluation.adherence import adherence
from musetune.evaluation.bootstrap import cell
from musetune.evaluation.judges import chordino, judge
from musetune.evaluation.provenance import remember
from musetune.evaluation.testset import TestSheet
from musetune.pipeline.condition_mask import ConditionMask
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.symbols import Chord

ENDINGS = {"authentic, V–I": "| I | IV | V | I |", "deceptive, V–vi": "| I | IV | V | vi |"}
TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
HEARD = {0: "I", 9: "vi"}  # semitones above the tonic
BY_NUMERALS = {
    "numerals and key": ("function", "key", "beats", "genre"),
    "numerals without the key": ("function", "beats", "genre"),
    "the key without numerals": ("key", "beats", "genre"),
}
ON_SHEETS = {
    "all": ("chords", "beats", "key", "genre", "function"),
    "without numerals": ("chords", "beats", "key", "genre"),
    "without the key": ("chords", "beats", "genre", "function"),
    "chords and beats alone": ("chords", "beats"),
    "numerals and key instead of chords": ("function", "key", "beats", "genre"),
}
MEASURES = ("root", "majmin", "tetrads", "beat_f", "key")


def main(arguments: list[str]) -> None:
    args = parse(arguments)
    pipe, every = load(args.base, args.adapter, args.device), load_test_sheets(args.sheets)
    asked = [test for ending in ENDINGS for test in cadences(ending)]
    remember(args.out, made_with(pipe, every + asked))
    text = cadence_table(pipe, args) + "\n" + sheet_table(pipe, every[: args.limit], args)
    (args.out / "harmonic_tokens.md").write_text(text)
    print(text)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="nano", help="bundled name, folder or Hub name")
    parser.add_argument("--adapter", default="theory", help="bundled name, folder or Hub name")
    parser.add_argument("--sheets", help="folder of lead sheets; default: the test set")
    parser.add_argument("--limit", type=int, help="only the first so many keys and sheets")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=Path("out/harmonic_tokens"))
    return parser.parse_args(arguments)


def cadences(ending: str) -> list[TestSheet]:
    """One of ENDINGS in every key, at fixed seeds."""
    return [
        TestSheet(
            f"{ending[:4]}-{tonic}",
            "",
            "pop song with piano",
            500 + i,
            LeadSheet.parse(ENDINGS[ending], key=f"{tonic} major", bpm=96, duration_seconds=10.0, genre="pop"),
        )
        for i, tonic in enumerate(TONICS)
    ]


def cadence_table(pipe: MuseTunePipeline, args: argparse.Namespace) -> str:
    """Share of the last bar's time in which I, vi or anything else is heard, and of all time in which the asked root
    is; means over keys.
    """
    lines = ["| shown | asked | I | vi | other | root, all bars |", "|---|---|---|---|---|---|"]
    for name, streams in BY_NUMERALS.items():
        for ending in ENDINGS:
            rows: list[dict[str, float | None]] = []
            for test in tqdm(cadences(ending)[: args.limit], desc=f"{name}, {ending}", unit="key"):
                wave, rate = played(pipe, args, test, streams)
                time = last_bar(wave, rate, test.sheet)
                root = adherence(test.sheet, judge(wave, rate, tempo_hint=test.sheet))["root"]
                rows.append({what: time[what] / time.total() for what in ("I", "vi", "other")} | {"root": root})
            cells = [cell(bootstrap_mean([row[what] for row in rows])) for what in rows[0]]
            lines.append(f"| {name} | {ending} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def last_bar(wave: np.ndarray, rate: int, sheet: LeadSheet) -> Counter[str]:
    """Seconds of the sheet's last chord in which Chordino hears I, vi and anything else."""
    start, end = sheet.chord_intervals_s[-1]
    heard: Counter[str] = Counter()
    for (low, high), label in zip(*chordino(wave, rate), strict=True):
        seconds = min(high, end) - max(low, start)
        root = Chord.parse(label).root_pc
        if seconds > 0:
            heard["other" if root is None else HEARD.get((root - sheet.key.tonic_pc) % 12, "other")] += seconds
    return heard


def sheet_table(pipe: MuseTunePipeline, tests: list[TestSheet], args: argparse.Namespace) -> str:
    """Adherence over the sheets, by what of them is shown."""
    lines = ["| shown | " + " | ".join(MEASURES) + " |", "|---" * (1 + len(MEASURES)) + "|"]
    for name, streams in ON_SHEETS.items():
        scores = []
        for test in tqdm(tests, desc=name, unit="sheet"):
            wave, rate = played(pipe, args, test, streams)
            scores.append(adherence(test.sheet, judge(wave, rate, tempo_hint=test.sheet)))
        means = [bootstrap_mean([s[m] for s in scores]) for m in MEASURES]
        lines.append(f"| {name} | " + " | ".join(map(cell, means)) + " |")
    return "\n".join(lines) + "\n"


def played(
    pipe: MuseTunePipeline, args: argparse.Namespace, test: TestSheet, streams: tuple[str, ...]
) -> tuple[np.ndarray, int]:
    """The sheet played with only ``streams`` of it shown; kept as a file."""
    path = args.out / "-".join(streams) / f"{test.id}.wav"
    if not path.exists():
        shown = tuple(s for s in streams if s != "genre" or test.sheet.genre)
        generator = torch.Generator().manual_seed(test.seed)
        with shown_alone(shown):
            made = pipe(test.prompt, lead_sheet=test.sheet, generator=generator)
        begun = path.with_name(f"begun-{path.name}")
        save_audio(begun, made.audios[0], made.sampling_rate)
        begun.replace(path)  # one that is there is whole
    wave, rate = load_audio(path)
    return wave, rate


@contextmanager
def shown_alone(streams: tuple[str, ...]) -> Iterator[None]:
    """Let calls show the adapter these streams and no others, numerals without chords too."""
    with patch("musetune.pipeline.condition_mask.condition_mask", lambda *_: ConditionMask(streams)):
        yield


if __name__ == "__main__":
    main(sys.argv[1:])
