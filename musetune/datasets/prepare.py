"""From a folder of music to a data set of cached latents: decoded, analysed, cut on downbeats, encoded.

A file that cannot be used goes to OUT/quarantine.jsonl with the reason, and the others go on. What a run was begun
with is kept in OUT/prepare.json, and what metadata said of a file beside its clips, so that a run that goes on
otherwise can say so.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import torch
from tqdm import tqdm

from musetune.datasets.bar_weights import MIN_CONFIDENCE, check_confidence
from musetune.datasets.engines import Engine, check_engine
from musetune.datasets.file_preparer import Preparers
from musetune.datasets.latent_dataset import DatasetWriter, LatentDataset
from musetune.datasets.latent_encoder import EncoderOptions, absolute_base
from musetune.datasets.metadata import MetadataRow, genre_fault, scan_metadata
from musetune.datasets.music_files import AUDIO, MIDI, find_music
from musetune.datasets.slicing import NOTHING, SliceJob, provenance_of
from musetune.datasets.tokens import load_tokens
from musetune.formats.json_object import read_json_object
from musetune.symbols.json_values import JsonObject


def prepare(
    source: str | Path,
    out: str | Path,
    *,
    base: str = "nano",
    clip_seconds: float = 10.24,
    transpose: Sequence[int] = (-2, 3),
    licence: str | None = None,
    genre: str | None = None,
    caption: str | None = None,
    min_confidence: float = MIN_CONFIDENCE,
    expression: bool = False,
    workers: int = 2,
    shard_size: int = 256,
    frames_per_row: int = 4,
    device: str | None = None,
    engine: Engine = "local",
    address: str | None = None,
) -> Path:
    """Make a data set of cached latents from a folder of music, or go on with one.

    Args:
        source: Holds MP3, WAV, FLAC, OGG or MIDI files in any depth, and perhaps metadata.jsonl or metadata.csv.
        out: The data set's folder.
        base: Whose latents to make: `nano`, a folder or a Hub id.
        clip_seconds: Length of a clip; a whole number of the base's latent rows.
        transpose: Semitones by which further copies of every file are moved; empty: none.
        licence: Of the music, where metadata does not say.
        genre: Of the files, where metadata does not say: one of musetune's genres or another word; None: as analysis
            hears it, where it is sure.
        caption: The prompt of the files, where metadata does not say; None: words made from what is known of each.
        min_confidence: From which on a bar counts as surely heard, 0…1; a clip with less than half of its time in such
            bars is left out, and recipes/finetune.py lets the unsure bars of the others count less. 0: trust all.
        workers: Processes that decode and analyse, beside one that encodes; or actors, each with the base; 0: this
            process does everything.
        shard_size: Clips a file of latents; a kill costs as many.
        frames_per_row: Of the adapter to train: for the cache of its tokens.
        device: Where to encode, such as cpu or cuda:1, with "ray" cpu or cuda; None: cuda where there is one.
        engine: "local" for processes of this machine; "ray" for actors of a cluster that decode, analyse and encode, on
            which every machine sees `source` under the same path. The data set is the same, byte for byte.
        address: Of Ray's cluster, such as "auto"; None: $RAY_ADDRESS, else one that is started here.

    Returns:
        The folder `out`.

    Raises:
        ValueError: `source` is no folder or has no music in it, `genre` is misspelt, or `out` was made with another
            base or clip length, or `min_confidence` is outside 0…1.
    """
    if genre is not None and (fault := genre_fault(genre)):
        raise ValueError(fault)
    check_confidence(min_confidence)
    check_engine(engine, max(1, workers))
    source, out = Path(source).absolute(), Path(out)  # an actor may work in another folder
    if not source.is_dir():
        raise ValueError(f"{source} is no folder: give one with {', '.join(sorted(AUDIO | MIDI))} in it")
    files, remarks = find_music(source)
    if not files:
        raise ValueError(" · ".join([f"{source} holds no {', '.join(sorted(AUDIO | MIDI))}", *remarks]))
    rows, faults = scan_metadata(source)
    if absent := sorted(rows.keys() - files.keys()):
        remarks.append(f"metadata tells of files that {source} does not hold: {', '.join(absent)}")
    for remark in [*remarks, *faults]:
        print(remark, file=sys.stderr)
    with (
        Preparers(EncoderOptions(absolute_base(base), clip_seconds, device), workers, engine, address) as preparers,
        DatasetWriter(out, preparers.info, shard_size) as writer,
    ):
        settings: JsonObject = {"transpose": list(transpose), "licence": licence, "genre": genre, "caption": caption}
        settings["min-confidence"] = min_confidence
        settings |= {"expression": True} if expression else {}
        for remark in changes(out, settings, writer.provenance, rows):
            print(remark, file=sys.stderr)
        jobs = [
            SliceJob(
                path,
                name,
                rows.get(name, NOTHING),
                clip_seconds,
                tuple(transpose),
                licence,
                genre,
                caption,
                min_confidence,
                expression,
            )
            for name, path in files.items()
            if name not in writer.done
        ]
        unsure = 0
        with closing(preparers(jobs)) as results:
            for job, result in tqdm(results, total=len(files), initial=len(files) - len(jobs), unit="file"):
                if result.reason is not None:
                    writer.quarantine(job.file, result.reason, provenance_of(job))
                    continue
                unsure += result.unsure
                writer.add(result.clips, torch.from_numpy(result.latents), result.embeddings())
    if (out / "clips.jsonl").exists():
        dataset = LatentDataset(out, clips_alone=True)
        load_tokens(dataset, frames_per_row)
        print(f"{len(dataset)} clips of {preparers.info.rows * preparers.info.row_s:.2f} s in {out}")
    if unsure:
        print(f"{unsure} clips left out: less than half of each is heard with a confidence of {min_confidence:g}")
    if (out / "quarantine.jsonl").exists():
        count = (out / "quarantine.jsonl").read_bytes().count(b"\n")
        print(f"{count} files could not be used: see {out / 'quarantine.jsonl'}", file=sys.stderr)
    return out


def changes(
    out: Path, settings: JsonObject, provenance: dict[str, JsonObject], rows: dict[str, MetadataRow]
) -> list[str]:
    """What is otherwise than when a data set was begun, said in sentences; a new one's settings are written down.

    Args:
        out: The data set's folder.
        settings: Options that shape the clips, by name.
        provenance: Of the files that are in it already, by file.
        rows: What metadata says now, by file.
    """
    path, lines = out / "prepare.json", []
    try:
        begun = read_json_object(path) if path.exists() else None
    except ValueError as error:  # a kill or a full disk left half of it
        lines.append(f"{error}; it is written anew, and the options of the run before are not known")
        begun = None
    if begun is None:
        path.write_text(json.dumps(settings), encoding="utf-8")
    for name, now in settings.items():
        if begun is not None and begun.get(name) != now:
            lines.append(
                f"{out} was begun with --{name} {begun.get(name)}, not {now}: the "
                f"{len(provenance)} files that are done stay as they are; write to another folder for a data set that "
                "is alike throughout"
            )
    other = sorted(
        file
        for file, before in provenance.items()
        if "metadata_digest" in before and before["metadata_digest"] != rows.get(file, NOTHING).digest
    )
    if other:
        some = ", ".join(other[:5]) + (f" and {len(other) - 5} more" if len(other) > 5 else "")
        lines.append(
            f"metadata has changed since {some} went into {out}: they stay as they are; write to another "
            "folder, or, for files that were set aside, delete quarantine.jsonl"
        )
    return lines
