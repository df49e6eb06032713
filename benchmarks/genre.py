"""Does the analyser tell genres apart, and is it as sure as it should be?

    python benchmarks/genre.py WORK [--count 144] [--real rock=FOLDER --real classical=FOLDER …] [--seconds 120]

WORK is what recipes/analyzer/train_genre.py made; its part `test` holds songs that training never saw, half of them on
a soundfont that it never saw, half with equalisation, noise and MP3 loss. Every clip is analysed from its file. Prints
accuracy by kind of clip, without the sound too, the confusions, the expected calibration error (Naeini et al., AAAI
2015) with its reliability table. `--real` names recordings whose genre is known: of each file the middle is heard and
what is said is printed. A folder that holds song.ogg and guitar.ogg is one recording in two stems; they are mixed.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from musetune.analysis import analyze
from musetune.analysis.genre.classifier import genre_analysis
from musetune.analysis.listening.features import mel_levels
from musetune.analysis.listening.timbre import timbre_features
from musetune.audio import load_audio
from musetune.audio.source import RATE, listen
from musetune.symbols import GENRES

SOUNDS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a")
STEMS = ("song.ogg", "guitar.ogg")


def judge(wave: np.ndarray, rate: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """genre_analysis with and without the sound."""
    timbre = timbre_features(mel_levels(listen(wave, rate).wave))
    record = analyze(wave, rate)
    sheet, rhythm = record.lead_sheet, record.rhythmic_analysis
    return genre_analysis(sheet, rhythm, timbre), genre_analysis(sheet, rhythm)


def calibration(confidence: np.ndarray, right: np.ndarray, bins: int = 5) -> tuple[float, list[tuple[float, ...]]]:
    """Expected calibration error, and (low, high, clips, mean confidence, share right) of each bin that has clips."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    rows = [
        (b / bins, (b + 1) / bins, int((place == b).sum()), confidence[place == b].mean(), right[place == b].mean())
        for b in range(bins)
        if (place == b).any()
    ]
    return sum(n * abs(sure - share) for _, _, n, sure, share in rows) / len(right), rows


def held_out(work: Path, count: int) -> None:
    """Print the tables of the part `test`."""
    lines = (work / "test" / "metadata.jsonl").read_text().splitlines()
    rows = sorted(map(json.loads, lines), key=lambda row: row["file_name"])[:count]
    fonts = Counter(json.loads(line)["font"] for line in (work / "train" / "metadata.jsonl").read_text().splitlines())
    said, blind, kept = [], [], []
    for row in tqdm(rows, desc="clips"):
        try:
            with_sound, without = judge(*load_audio(work / "test" / row["file_name"]))
        except ValueError as error:
            print(f"{row['file_name']}: {error}")
            continue
        kept.append(row), said.append(with_sound), blind.append(without)
    truth = np.array([row["genre"] for row in kept])
    new = np.array([row["font"] not in fonts for row in kept])
    rough = np.array([row["rough"] for row in kept])
    for name, answers in (("all", said), ("harmony and rhythm alone", blind)):
        right = np.array([answer["primary_genre"] for answer in answers]) == truth
        print(f"\n{name}: {len(truth)} clips, accuracy {right.mean():.1%}")
        for kind, part in (
            ("known font, clean", ~new & ~rough),
            ("known font, degraded", ~new & rough),
            ("new font, clean", new & ~rough),
            ("new font, degraded", new & rough),
        ):
            print(f"  {kind:22}{part.sum():5} clips {right[part].mean() if part.any() else np.nan:7.1%}")
        error, table = calibration(np.array([max(answer["scores"].values()) for answer in answers]), right)
        print(f"  expected calibration error {error:.3f}")
        for low, high, clips, sure, share in table:
            print(f"    {low:.1f}–{high:.1f}: {clips:4} clips, mean confidence {sure:.2f}, right {share:.2f}")
        print("  truth \\ said" + "".join(f"{genre[:8]:>10}" for genre in GENRES) + "      none")
        for genre in GENRES:
            heard = Counter(a["primary_genre"] for a, true in zip(answers, truth) if true == genre)
            print(f"  {genre:12}" + "".join(f"{heard[said_genre]:10}" for said_genre in (*GENRES, None)))


def recordings(folder: Path) -> list[tuple[str, list[Path]]]:
    """(name, stems) of each recording below `folder`."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SOUNDS)
    pairs = {p.parent for p in files if all((p.parent / stem).is_file() for stem in STEMS)}
    found = [(path.stem, [path]) for path in files if path.parent not in pairs]
    return found + [(pair.name, [pair / stem for stem in STEMS]) for pair in sorted(pairs)]


def middle(stems: list[Path], seconds: float) -> np.ndarray:
    """(samples,) at RATE: the middle of the sum of the stems."""
    waves = [load_audio(path, RATE)[0] for path in stems]
    wave = np.sum([wave[: min(map(len, waves))] for wave in waves], axis=0)
    start = max(0, (len(wave) - int(seconds * RATE)) // 2)
    return wave[start : start + int(seconds * RATE)]


def real(genre: str, folder: Path, seconds: float) -> None:
    """Print what is said of each recording."""
    tally: Counter = Counter()
    print(f"\n{folder.name}, known to be {genre}:")
    for name, stems in recordings(folder):
        try:
            answer = judge(middle(stems, seconds), RATE)[0]
        except ValueError as error:
            print(f"  {name[:30]:30} {error}")
            continue
        tally[answer["primary_genre"]] += 1
        best = sorted(answer["scores"].items(), key=lambda item: -item[1])[:2]
        print(f"  {name[:30]:30} {', '.join(f'{g} {s:.2f}' for g, s in best):32} {'; '.join(answer['reasons'][:3])}")
    print(f"  {tally[genre]} of {sum(tally.values())} said to be {genre}: {dict(tally)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--count", type=int, default=10_000, help="test clips, the first of them")
    parser.add_argument("--real", action="append", default=[], metavar="GENRE=FOLDER")
    parser.add_argument("--seconds", type=float, default=120.0, help="of each real recording")
    args = parser.parse_args()
    if args.count:
        held_out(args.work, args.count)
    for told in args.real:
        genre, _, folder = told.partition("=")
        if not Path(folder).is_dir():
            parser.error(f"--real {told}: no folder {folder!r}; write --real rock=FOLDER")
        real(genre, Path(folder), args.seconds)


if __name__ == "__main__":
    main()
