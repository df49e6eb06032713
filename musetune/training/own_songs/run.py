"""The road from a folder of songs to an adapter: prepare, look, train, compare, listen. Each step resumes."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from musetune.datasets import LatentDataset
from musetune.datasets.clips import cut
from musetune.datasets.metadata import genre_fault, scan_metadata
from musetune.datasets.music_files import AUDIO, MIDI, find_music
from musetune.datasets.prepare import prepare
from musetune.datasets.slicing import NOTHING, SAMPLE_RATE, SliceJob, decode
from musetune.display.listen_page import listen_page
from musetune.hub import why_unlicensed
from musetune.hub.locate import find_adapter, find_base
from musetune.symbols import LeadSheet
from musetune.symbols.json_values import JsonObject
from musetune.training.checkpoint import list_checkpoints
from musetune.training.own_songs.comparison import (
    AFTER,
    BEFORE,
    adherence_table,
    explain,
    load_both,
    measure_losses,
    play_both,
    spread,
)
from musetune.training.own_songs.plan import BATCH, TrainingPlan, minutes_of, plan_training
from musetune.training.own_songs.songs import (
    choose_held_out,
    is_held_out,
    rejected_files,
    song_rows,
    song_table,
)
from musetune.training.recipe import load_finetune, recipes_folder
from musetune.training.setup import load_noise_schedule

RECORD = "train.json"  # what a folder was made with
CHECKPOINT_STEPS = 20  # a kill costs as many
STEPS = 5
SONG_CLIPS = 12  # clips that say how the songs sound on average
LARGE_BATCH = 4  # clips a step on a real AudioLDM 2


@dataclass(frozen=True)
class TrainedAdapter:
    """What came of a folder of songs.

    Attributes:
        adapter: Folder of the adapter.
        page: The page to listen to before and after.
        figures: What was measured, in sentences.
        commands: How to load, mix and push it.

    Example:
        >>> from pathlib import Path
        >>> TrainedAdapter(Path("out/adapter"), Path("out/listen/index.html"), (), "musetune push …").adapter.name
        'adapter'
    """

    adapter: Path
    page: Path
    figures: tuple[str, ...]
    commands: str


def train_on_songs(
    source: str | Path,
    out: str | Path,
    *,
    name: str,
    genre: str | None = None,
    caption: str | None = None,
    data_license: str | None = None,
    base: str = "nano",
    theory: str = "theory",
    steps: int | None = None,
    clip_seconds: float = 10.24,
    sheets: int = 4,
    seed: int = 0,
    workers: int = 2,
    device: str | None = None,
    force: bool = False,
    confirm: Callable[[str], bool] = lambda question: True,
) -> TrainedAdapter | None:
    """Train a genre adapter on a folder of songs, and compare before and after; a killed run goes on where it was.

    Args:
        source: Holds MP3, WAV, FLAC, OGG or MIDI files, and perhaps metadata.jsonl or metadata.csv.
        out: Gets data/, run/, adapter/ and listen/.
        name: Of the adapter, any words.
        genre: Of songs whose metadata has none, any word; songs of other genres are then left out. None: all songs.
        caption: The prompt of songs whose metadata has none; None: made from what analysis hears.
        data_license: Of the music, where metadata does not say, such as CC-BY-4.0; None: unknown.
        base: Bundled name, folder or Hub id.
        theory: The theory adapter that stays frozen beneath; bundled name, folder or Hub id.
        steps: Optimiser steps; None: as the amount of music suggests.
        clip_seconds: Length of a clip.
        sheets: How many lead sheets are played before and after, at least 1.
        seed: Of training.
        workers: Processes that decode and analyse; 0: this one.
        device: Such as cpu or cuda:1; None: cuda where there is one.
        force: Begin anew where `out` was made with other settings.
        confirm: Asked whether to train on what was found; its answer no ends the road there.

    Returns:
        Where everything is; None where `confirm` said no.

    Raises:
        ValueError: There are too few songs, none can be read, or `out` was made with other settings; the message says
            how to mend it.

    Example:
        >>> from musetune.training.own_songs import train_on_songs
        >>> trained = train_on_songs("songs", "out/mine", name="mine", genre="folk")  # doctest: +SKIP
        >>> trained.page  # doctest: +SKIP
        PosixPath('out/mine/listen/index.html')
    """
    source, out = Path(source), Path(out)
    settings: JsonObject = {
        "name": name, "genre": genre, "caption": caption, "data_license": data_license, "base": base, "theory": theory,
        "steps": steps, "clip_seconds": clip_seconds, "sheets": sheets, "seed": seed,
    }  # fmt: skip
    files = music_in(source)
    if genre is not None and (fault := genre_fault(genre)):
        raise ValueError(fault)
    record = open_folder(out, settings | {"songs": songs_digest(source, files)}, force)
    find_adapter(theory)  # before minutes of work: is it there?
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    total = minutes_of(files.values())
    crop = (clip_seconds, LARGE_BATCH) if predicts_noise(base) else (clip_seconds / 2, BATCH)
    transpose = plan_training(max(total, 1e-3), *crop).transpose

    say(1, f"prepare {len(files)} files, {total:.1f} minutes: analyse, cut on bar lines, encode")
    data = out / "data"
    prepare(
        source, data, base=base, clip_seconds=clip_seconds, transpose=transpose, licence=data_license,
        genre=genre, caption=caption, workers=workers, device=device,
    )  # fmt: skip
    rejected = rejected_files(data)
    if not (data / "clips.jsonl").exists():
        file, reason = next(iter(rejected.items()))
        raise ValueError(f"none of the {len(files)} files in {source} can be used; {file}: {reason}")
    clips = LatentDataset(data, transposed=False, genre=genre).clips
    held_out = choose_held_out(clips)
    trained_s = sum(clip.duration_s for clip in clips if not is_held_out(clip, held_out))
    plan = plan_training(trained_s / 60, *crop, transpose)

    say(2, "what was found")
    print(song_table(song_rows(clips)))
    for file, reason in rejected.items():
        print(f"left out {file}: {reason}")
    print(f"held out, for listening: {', '.join(held_out)}")
    print("\n".join(f"- {reason}" for reason in reasons_of(plan, steps)))
    print(f"Wrong key, tempo or caption? Write what is right into {source / 'metadata.csv'} and run this again.")
    if not record.get("confirmed"):
        if not confirm("Train on these songs?"):
            return None
        write_record(out, record | {"confirmed": True})

    say(3, f"train for {steps or plan.steps} steps")
    adapter = finetune(out, settings, plan, held_out, clips, device)

    say(4, "compare before and after on music that was not trained on")
    figures, records = compare(out, adapter, settings, held_out, files, device)

    say(5, "lay out the page to listen to")
    commands = next_commands(out, settings, records)
    page = write_page(out / "listen", name, records, figures, commands)
    return TrainedAdapter(out / "adapter", page, tuple(figures), commands)


def say(number: int, what: str) -> None:
    """Print the heading of a step."""
    print(f"\n[{number}/{STEPS}] {what}", flush=True)


def slug(name: str) -> str:
    """A name as a folder and an adapter may have it: small letters, digits and hyphens."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not plain:
        raise ValueError(f"name={name!r} has no letter a–z and no digit: give one that has")
    return plain


def music_in(source: Path) -> dict[str, Path]:
    """The music of a folder by name. Raises ValueError where there is none."""
    if not source.is_dir():
        raise ValueError(f"{source} is no folder: give one with {', '.join(sorted(AUDIO | MIDI))} in it")
    files, remarks = find_music(source)
    if not files:
        raise ValueError(" · ".join([f"{source} holds no {', '.join(sorted(AUDIO | MIDI))}", *remarks]))
    return files


def songs_digest(source: Path, files: dict[str, Path]) -> str:
    """A hash of names, sizes and metadata: another one means other songs."""
    rows, _ = scan_metadata(source)
    content = [(name, path.stat().st_size, rows[name].digest if name in rows else "") for name, path in files.items()]
    return hashlib.blake2b(json.dumps(content).encode(), digest_size=8).hexdigest()


def open_folder(out: Path, settings: JsonObject, force: bool) -> JsonObject:
    """Make the folder, or find it as this same command left it.

    Args:
        out: The folder.
        settings: What its content depends on.
        force: Begin anew where it was trained with others.

    Returns:
        Its record: the settings, and what has been answered.

    Raises:
        ValueError: It was trained with other settings, or it holds what this command did not make.
    """
    path = out / RECORD
    if path.is_file():
        record: JsonObject = json.loads(path.read_text(encoding="utf-8"))
        other = [key for key, value in settings.items() if record.get(key) != value]
        if not other:
            return record
        if force:
            print(f"{out} begins anew")
        elif not (out / "run").exists():
            print(f"{out} begins anew with other {', '.join(other)}: nothing was trained there yet")
        else:
            raise ValueError(
                f"{out} was made with other {', '.join(other)}: give the same again to go on, --force to begin anew, "
                "or another folder with -o"
            )
        for name in ("data", "run", "adapter", "listen"):
            shutil.rmtree(out / name, ignore_errors=True)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} is there already, and musetune train did not make it: name another folder with -o")
    out.mkdir(parents=True, exist_ok=True)
    write_record(out, settings)
    return settings


def write_record(out: Path, record: JsonObject) -> None:
    """Write what a folder was made with."""
    (out / RECORD).write_text(json.dumps(record, indent=2, ensure_ascii=False), encoding="utf-8")


def reasons_of(plan: TrainingPlan, steps: int | None) -> list[str]:
    """Why it is trained so; of steps that were asked for only that."""
    return [f"{steps} steps, as asked" if steps else plan.reasons[0], *plan.reasons[1:]]


def predicts_noise(base: str) -> bool:
    """Whether a base's U-Net predicts the noise, as that of the real AudioLDM 2, which nano's does not."""
    return bool(load_noise_schedule(find_base(base)).config.prediction_type == "epsilon")


def fitting(base: str, rows: int) -> dict[str, Any]:
    """Settings of the recipe that depend on the base: for nano crops of half a clip, for a real AudioLDM 2 whole clips
    and what lets them fit into 24 GB.

    Args:
        base: Bundled name, folder or Hub id.
        rows: Latent rows of a clip.
    """
    if not predicts_noise(base):
        return {"crop_rows": rows // 2, "train_batch_size": BATCH}
    large = {"crop_rows": None, "train_batch_size": LARGE_BATCH, "gradient_checkpointing": True}
    return large | {"learning_rate": 1e-4, "snr_gamma": 5.0}


def finetune(
    out: Path, settings: JsonObject, plan: TrainingPlan, held_out: list[str], clips: Sequence[Any], device: str
) -> Path:
    """Run the recipe, or go on with it; returns the folder of its adapter."""
    recipe, run = load_finetune(), out / "run"
    steps = settings["steps"] or plan.steps
    record_path = run / "adapter" / "training.json"
    if record_path.is_file() and json.loads(record_path.read_text(encoding="utf-8"))["step"] == steps:
        print(f"{run / 'adapter'} is there already")
        return run / "adapter"
    config = recipe.load_config(
        [str(recipes_folder() / "configs" / "genre.yaml"), "train_data_dir=data", "output_dir=run"]
    )
    config = replace(
        config,
        pretrained_model_name_or_path=settings["base"],
        theory_adapter=settings["theory"],
        train_data_dir=str(out / "data"),
        output_dir=str(run),
        name=slug(settings["name"]),
        genre=settings["genre"],
        held_out=held_out,
        data_license=settings["data_license"],
        seed=settings["seed"],
        rank=plan.rank,
        **fitting(settings["base"], LatentDataset(out / "data", transposed=False).info.rows),
        max_train_steps=steps,
        lr_warmup_steps=min(config.lr_warmup_steps, max(1, steps // 5)),
        checkpointing_steps=CHECKPOINT_STEPS,
        resume_from_checkpoint="latest" if list_checkpoints(run) else None,
        validation_steps=None,
        report_to=None,
        cpu=device == "cpu",
    )
    return Path(recipe.train(config))


def compare(
    out: Path, trained: Path, settings: JsonObject, held_out: list[str], files: dict[str, Path], device: str
) -> tuple[list[str], list[JsonObject]]:
    """Play, score and measure; leaves listen/ and adapter/ with its results.json. Returns sentences and records."""
    data, name = LatentDataset(out / "data", transposed=False, genre=settings["genre"]), slug(settings["name"])
    held = [i for i, clip in enumerate(data.clips) if is_held_out(clip, held_out)]
    trained_on = [i for i, clip in enumerate(data.clips) if not is_held_out(clip, held_out)]
    clips = [data.clips[i] for i in spread(held, settings["sheets"])]
    pipe = load_both(settings["base"], settings["theory"], trained, name, device)
    originals = [recording(files[clip.file], clip.offset_s, clip.duration_s) for clip in clips]
    trained_clips = [data.clips[i] for i in spread(trained_on, SONG_CLIPS)]
    songs = [recording(files[clip.file], clip.offset_s, clip.duration_s) for clip in trained_clips]
    records = play_both(pipe, name, clips, out / "listen", originals, songs, SAMPLE_RATE)
    losses = measure_losses(pipe, name, data, {"held out": held, "trained": trained_on})
    figures = explain(records, losses)
    print("\n".join(figures))
    results = {
        "command": "musetune train",
        "listener": "MuseTune's own analyser",
        "n": len(records),
        "table": adherence_table(records),
        "losses": {side: asdict(loss) for side, loss in losses.items()},
    }
    keep_adapter(out / "adapter", trained, results, out / "listen" / "1-after", records[0])
    return figures, records


def recording(path: Path, start_s: float, seconds: float) -> np.ndarray:
    """A clip of a source file as it went into the data set, (samples,) at 16 kHz."""
    job = SliceJob(path, path.name, NOTHING, seconds, (), None)
    return cut(decode(job, 0), SAMPLE_RATE, start_s, seconds)


def keep_adapter(folder: Path, trained: Path, results: JsonObject, sample: Path, record: JsonObject) -> None:
    """The trained adapter with its results, a sample and its chart, ready to be loaded and pushed."""
    beside = folder.with_name(f".{folder.name}")
    shutil.rmtree(beside, ignore_errors=True)
    shutil.copytree(trained, beside)
    (beside / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    (beside / "sample.json").write_text(
        json.dumps({"settings": {"prompt": record["prompt"], "seed": record["seed"]}}), encoding="utf-8"
    )
    shutil.copy(sample.with_suffix(".flac"), beside / "sample.flac")
    shutil.copy(sample.with_suffix(".png"), beside / "chart.png")
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


def write_page(folder: Path, name: str, records: Sequence[JsonObject], figures: Sequence[str], commands: str) -> Path:
    """Write index.html beside the audio; returns its path."""
    takes = []
    for number, record in enumerate(records, 1):
        names = {side: f"{number}-{side}.flac" for side in (BEFORE, AFTER, "original")}
        names |= {f"{side}_chart": f"{number}-{side}.png" for side in (BEFORE, AFTER)}
        takes.append((LeadSheet.from_json(record["lead_sheet"]), record, names))
    page = folder / "index.html"
    page.write_text(listen_page(name, takes, figures, commands), encoding="utf-8")
    return page


def next_commands(out: Path, settings: JsonObject, records: Sequence[JsonObject]) -> str:
    """How to load, mix and push the adapter, to be copied."""
    folder, name, base = str(out / "adapter"), slug(settings["name"]), settings["base"]
    based = "" if base == "nano" else f" --base {shlex.quote(base)}"
    prompt = shlex.quote(records[0]["prompt"])
    lines = [
        "# hear it",
        f'musetune generate {prompt} --chords "I V vi IV" --adapter {shlex.quote(folder)}{based}',
        "",
        "# load it in Python",
        "from musetune import MuseTunePipeline",
        f"pipe = MuseTunePipeline.from_pretrained({json.dumps(base)}, adapter={json.dumps(settings['theory'])})",
        f"pipe.load_adapter({json.dumps(folder)})",
        f"pipe.set_adapter({{{json.dumps(name)}: 0.5}})  # half of it keeps chords, bar lines and words better",
    ]
    if base == "nano":
        lines += [
            "# and mix it with a genre that ships with MuseTune, weights 0 to 2",
            'pipe.load_adapter("jazz")',
            f'pipe.set_adapter({{{json.dumps(name)}: 0.7, "jazz": 0.3}})',
        ]
    licence = " --license LICENCE" if why_unlicensed(folder) else ""
    lines += [
        "",
        "# share it: look at the card first, then leave --dry-run out",
        f"musetune push {shlex.quote(folder)} YOU/{name} --dry-run{licence}",
    ]
    return "\n".join(lines)


__all__ = ["TrainedAdapter", "slug", "train_on_songs"]
