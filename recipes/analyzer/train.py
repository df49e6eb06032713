"""Train the analyser's two small networks on rendered songs: which chord, and where the beat is.

    python recipes/analyzer/materials.py cache=.cache/materials
    python recipes/analyzer/train.py recipes/configs/analyzer.yaml songs=../shared/data/pop909 \\
        sheets=../shared/data/openewld work=out/analyzer

Songs: POP909 (MIT) whose number ends neither in 0 nor in 5, OpenEWLD (MIT) but every fifth, and MIDI files that others
arranged, but an eighth; those left out are for benchmarks/analysis.py. Soundfonts, drum kits and MIDI files come from
`materials` or are named one by one; what the benchmarks measure with is refused (musetune/datasets/materials.py). Each
example is drawn anew from its number: song, arrangement, players, tuning, production.

Rendering resumes where it stopped, and so does training (checkpoints in work/chord and work/beat); where the options of
rendering change, `work` must be another. Writes the analyser's own weights, or `out`.
An example takes about two seconds of a core, and 0.7 MB.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from omegaconf import MISSING
from safetensors.torch import load_file, save_file
from tqdm import tqdm

from musetune.analysis.listening.networks import WEIGHTS, BeatNet, ChordNet
from musetune.analysis.listening.vocabulary import METERS
from musetune.datasets.analyzer.batches import beat_batch, chord_batch, load_examples
from musetune.datasets.analyzer.examples import DRUMS_ALONE, KINDS, ExampleJob, make_example
from musetune.datasets.analyzer.losses import beat_loss, chord_loss
from musetune.datasets.corpus import in_quarters
from musetune.datasets.materials import reject_held_out, select
from musetune.datasets.midi_songs import load_midi_song, split_midi
from musetune.processes import parallel_map
from musetune.training.config import command_line, read, run_command
from musetune.training.one_cycle import OneCycle


@dataclass
class Config:
    """Every option, and the only place where it has a default."""

    songs: str = MISSING  # the folder pop909
    sheets: str = MISSING  # the folder openewld
    work: str = MISSING  # examples and checkpoints
    materials: str | None = None  # the folder that materials.py unpacked into; null: only what is named below
    permissive: bool = True  # of `materials` only what shipped weights may learn from; false: GPL and share-alike too
    soundfonts: list[str] = field(default_factory=list)  # further .sf2 and .sf3 files
    kits: list[str] = field(default_factory=list)  # further folders of Hydrogen's drum kits
    midi: list[str] = field(default_factory=list)  # further folders of MIDI files
    shares: dict[str, float] = field(default_factory=lambda: dict(KINDS))  # of kinds of examples; scaled to a sum of 1
    kit_share: float = 0.5  # examples whose drums are a kit's instead of a soundfont's
    out: str | None = None  # the weights; null: the analyser's own
    count: int = 2800  # examples
    first: int = 0  # number of the first example; other numbers make other examples
    seconds: float = 60.0  # of an example
    chord_steps: int = 6000
    beat_steps: int = 5000
    checkpointing_steps: int = 500
    workers: int = 2  # processes that render
    chord_width: int = 192  # channels of the chord network
    chord_planes: int = 32  # of its first layers
    beat_width: int = 64  # channels of the beat network
    learning_rate: float = 2e-3  # the highest of a cycle
    start: str | None = None  # weights to go on from, of the same widths; null: random ones
    start_share: float = 0.0  # of these in the mean that is written, 0…1 (Wortsman et al., CVPR 2022, arXiv:2109.01903)


def run(cfg: Config) -> None:
    """Render what is missing, train both networks side by side, write their weights."""
    out, paths = Path(cfg.out or WEIGHTS), make_examples(cfg)
    both = parallel_map(partial(train, cfg, paths), ("chord", "beat"), workers=min(cfg.workers, 2))
    weights = {name: torch.from_numpy(value) for net in both for name, value in net.items()}
    save_file(weights, out)
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


# -- examples
# ------------------------------------------------------------------------------------------------------------


def make_examples(cfg: Config) -> list[Path]:
    """Render what is missing; the files of all examples."""
    folder = Path(cfg.work) / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    jobs = plan(cfg)
    reject_other_plan(folder / "plan.txt", jobs)
    missing = [job for job in jobs if not example_path(folder, job).exists()]
    missing.sort(key=lambda job: sorted(map(str, job.soundfonts)))  # few changes of soundfont in a worker
    work = parallel_map(partial(write_example, folder), missing, cfg.workers)
    for _ in tqdm(work, total=len(missing), desc="examples"):
        pass
    return [example_path(folder, job) for job in jobs if example_path(folder, job).exists()]


def plan(cfg: Config) -> list[ExampleJob]:
    """What to render; a function of the options and of what lies in `materials`.

    Raises:
        ValueError: There is no soundfont, one that is held out, a share of an unknown kind, or a kind without songs.
    """
    fonts, kits = gather(cfg, "soundfont", cfg.soundfonts), gather(cfg, "kit", cfg.kits)
    if not fonts:
        raise ValueError("no soundfont plays the examples: give soundfonts=[A.sf2,B.sf3] or materials=FOLDER")
    if unknown := cfg.shares.keys() - KINDS.keys():
        raise ValueError(f"shares names {', '.join(sorted(unknown))}; kinds are {', '.join(KINDS)}")
    songs = sorted(folder for folder in Path(cfg.songs).iterdir() if folder.is_dir() and folder.name[-1] not in "05")
    sheets = list(lead_sheets(Path(cfg.sheets), Path(cfg.work) / "sheets"))
    midi = list(usable_midi(gather(cfg, "midi", cfg.midi))) if cfg.shares.get("midi") else []
    sources: dict[str, list] = {"study": [None], "vamp": [None], "sheet": sheets, "style": sheets, "midi": midi}
    shares = {kind: share for kind, share in cfg.shares.items() if share > 0 and (kind != "midi" or midi)}
    if empty := [kind for kind in shares if not sources.get(kind, songs)]:
        raise ValueError(f"no songs for {', '.join(empty)}: look at songs={cfg.songs} and sheets={cfg.sheets}")
    kinds, chances = list(shares), np.array(list(shares.values())) / sum(shares.values())
    rng, jobs = np.random.default_rng(cfg.first), []
    for number in range(cfg.count + round(DRUMS_ALONE * cfg.count)):
        kind = "drums" if number >= cfg.count else str(rng.choice(kinds, p=chances))
        choice = [None] if kind == "drums" else sources.get(kind, songs)
        some = rng.permutation(len(fonts))[:2]
        kit = kits[int(rng.integers(len(kits)))] if kits and rng.random() < cfg.kit_share else None
        players = tuple(fonts[int(index)] for index in some)
        jobs.append(
            ExampleJob(cfg.first + number, kind, choice[int(rng.integers(len(choice)))], players, cfg.seconds, kit)
        )
    return jobs


def reject_other_plan(path: Path, jobs: list[ExampleJob]) -> None:
    """Write down what is rendered beside the examples.

    Raises:
        ValueError: The examples that are there came from other options or other material.
    """
    digest = hashlib.sha256(repr(jobs).encode()).hexdigest()
    if path.is_file() and path.read_text() != digest:
        raise ValueError(f"{path.parent} holds examples of other options or other material: give another work=FOLDER")
    path.write_text(digest)


def gather(cfg: Config, kind: str, named: list[str]) -> list[Path]:
    """Soundfonts, kits or MIDI folders of `materials` and those named.

    Raises:
        ValueError: One is held out for measuring.
        FileNotFoundError: One that is named is not there.
    """
    paths = [Path(name) for name in named]
    reject_held_out(paths)
    if absent := [str(path) for path in paths if not path.exists()]:
        raise FileNotFoundError(f"no such {kind}: {', '.join(absent)}")
    return (select(Path(cfg.materials), kind, cfg.permissive) if cfg.materials else []) + paths


def usable_midi(folders: list[Path]) -> Iterator[Path]:
    """MIDI files for training whose beats and chords can be believed; says which cannot."""
    for path in (path for folder in folders for path in split_midi(folder, held_out=False)):
        try:
            load_midi_song(path)
        except Exception as error:  # a stranger's file may fail in any way: the others go on
            print(f"left out {path.name}: {error}", file=sys.stderr)
        else:
            yield path


def example_path(folder: Path, job: ExampleJob) -> Path:
    """The file of an example."""
    return folder / f"{job.number:05d}.npz"


def write_example(folder: Path, job: ExampleJob) -> None:
    """Make one example and store it whole or, where too little is heard in it, not at all."""
    example = make_example(job)
    if len(example["beats_s"]) < 8 or not len(example["chord"]):
        return
    path = example_path(folder, job)
    part = path.with_suffix(".part.npz")
    np.savez(part, **example)  # type: ignore[arg-type]
    part.rename(path)


def lead_sheets(folder: Path, cache: Path, held_out: bool = False) -> Iterator[Path]:
    """OpenEWLD's tunes as JSON, cut time counted in quarters; every fifth is held out.

    What cannot be read is left out.
    """
    from musetune.symbols import LeadSheet

    cache.mkdir(parents=True, exist_ok=True)
    with (folder / "index.csv").open() as file:
        rows = [row for number, row in enumerate(csv.DictReader(file)) if (number % 5 == 0) == held_out]
    for row in tqdm(rows, desc="lead sheets"):
        path = cache / (Path(row["path"]).stem + ".json")
        if not path.exists():
            try:
                sheet = in_quarters(LeadSheet.load(folder / row["path"]))
            except ValueError as error:
                path.write_text(json.dumps({"left out": str(error)}))
                continue
            usable = str(sheet.meter) in METERS and len(sheet.meters) == 1 and sheet.length >= 32
            sheet.save(path) if usable else path.write_text(json.dumps({"left out": str(sheet.meter)}))
        if not path.read_text(encoding="utf-8").startswith('{"left out"'):
            yield path


# -- training
# ------------------------------------------------------------------------------------------------------------


def train(cfg: Config, paths: list[Path], name: str) -> dict[str, np.ndarray]:
    """AdamW, one cycle; goes on from the last checkpoint in work/NAME.

    Args:
        cfg: The options.
        paths: The examples.
        name: The network, "chord" or "beat".

    Returns:
        The running mean of its last weights (0.998 a step), float16, by their names in the file.
    """
    if cfg.workers > 1:  # the other network has the other half of the cores
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))
    steps = cfg.chord_steps if name == "chord" else cfg.beat_steps
    torch.manual_seed(0)
    net = ChordNet(cfg.chord_width, cfg.chord_planes) if name == "chord" else BeatNet(cfg.beat_width)
    make, loss_of, frames, size = (
        (chord_batch, chord_loss, 320, 8) if name == "chord" else (beat_batch, beat_loss, 2000, 8)
    )
    start = start_weights(cfg, name)
    if start:
        net.load_state_dict(start)
    torch.manual_seed(0)
    programs = (
        ("notes", "level", "intervals_s", "chord", "key")
        if name == "chord"
        else ("rhythm", "beats_s", "downbeats_s", "meter")
    )
    examples = load_examples(paths, programs)
    cycle = OneCycle(
        net,
        steps,
        learning_rate=cfg.learning_rate,
        warm_up=0.15,
        memory=0.998,
        folder=Path(cfg.work) / name,
        checkpointing_steps=cfg.checkpointing_steps,
    )
    for step in cycle.run(name, position=int(name == "beat")):
        rng = np.random.default_rng((7, step))
        batch = [examples[index] for index in rng.choice(len(examples), size, replace=False)]
        cycle.learn(loss_of(net.train(), make(batch, frames, rng)))
    final = cycle.mean.state_dict()
    if start:
        final = {key: torch.lerp(value, start[key], cfg.start_share) for key, value in final.items()}
    return {f"{name}.{key}": value.half().contiguous().numpy() for key, value in final.items()}


def start_weights(cfg: Config, name: str) -> dict[str, torch.Tensor]:
    """Those of a network in the file that `start` names; empty where it names none.

    Raises:
        ValueError: `start_share` is outside 0…1, or there is nothing to share with.
    """
    if not 0 <= cfg.start_share <= 1 or (cfg.start_share and not cfg.start):
        raise ValueError(f"start_share={cfg.start_share} is a share, 0…1, of the weights that start= names")
    stored = load_file(cfg.start) if cfg.start else {}
    return {key.removeprefix(f"{name}."): row.float() for key, row in stored.items() if key.startswith(f"{name}.")}


if __name__ == "__main__":
    run_command(run, command_line(lambda words: read(Config, words), Config, __doc__))
