"""From a manifest to a data set of analyses, shard by shard."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from tqdm import tqdm

from musetune.analysis.listening.engines import check_engine as check_beats
from musetune.analysis.service.batch import cores
from musetune.analysis.service.cache import analyser_version
from musetune.datasets.annotation.annotator import Annotation, AnnotationOptions, Annotator
from musetune.datasets.annotation.dataset_card import dataset_card
from musetune.datasets.annotation.manifest import ManifestSong, hash_songs, read_manifest
from musetune.datasets.annotation.shards import FINGERPRINT, QUARANTINE, SCHEMA, AnnotationFolder
from musetune.datasets.engines import Engine, check_engine, map_items
from musetune.datasets.fingerprint import fingerprint
from musetune.datasets.latent_encoder import absolute_base
from musetune.hub.locate import find_base
from musetune.symbols.json_values import JsonObject


def annotate(
    source: str | os.PathLike,
    out: str | os.PathLike,
    *,
    engine: Engine = "local",
    workers: int | None = None,
    address: str | None = None,
    beats: str = "musetune",
    latents: str | None = None,
    clip_seconds: float = 10.24,
    device: str | None = None,
    shard_size: int = 64,
    retry: bool = False,
) -> Path:
    """Annotate a collection of songs, or go on with it.

    The key of a song is the SHA-256 of its bytes: a file that was renamed is not heard again, and equal files once. A
    song that cannot be used is set aside with the reason. A run that is killed loses the shards that it was at; the
    finished data set is the same, byte for byte, on either engine and however often it was interrupted.

    Args:
        source: A folder of music, or a manifest .jsonl or .parquet; see `read_manifest`.
        out: The data set's folder. With engine "ray" both must lie where every machine sees them under the same path.
        engine: "local" for processes of this machine, "ray" for actors of a cluster of Ray.
        workers: Processes or actors, a core each; None: one a core of this machine.
        address: Of the cluster, such as "auto"; None: $RAY_ADDRESS, else one that is started here.
        beats: Who hears the beats: "musetune", "madmom" or "beat_this".
        latents: The base whose latents and embeddings to make too; None: none.
        clip_seconds: Length of the clips that are encoded.
        device: Where they are encoded, such as cpu or cuda; None: cpu.
        shard_size: Songs a shard, at least 1.
        retry: Try songs again that were set aside; their shards are made anew.

    Returns:
        The folder `out`.

    Raises:
        ValueError: An argument is outside its range, or `out` was begun with other options or another analyser.
        FileNotFoundError: There is no `source`.
    """
    workers = cores() if workers is None else workers
    check_engine(engine, workers)
    check_beats(beats)
    if shard_size < 1:
        raise ValueError(f"shard_size={shard_size} is less than 1: give the songs of a shard, such as 64")
    songs = read_manifest(source)
    base = None if latents is None else absolute_base(latents)
    options = AnnotationOptions(beats, base, clip_seconds, device or "cpu")
    info: JsonObject = {"schema": SCHEMA, "analyser": analyser_version(), "beats": beats, "latents": latents}
    if latents is not None:
        info |= {"clip_seconds": clip_seconds, FINGERPRINT: fingerprint(find_base(latents))}
    folder = AnnotationFolder(out, info)
    present, unreadable = _hash(songs, folder, workers)
    folder.extend_plan(present.values(), shard_size)
    if retry:
        folder.forget_quarantined()
    _annotate_shards(folder, present, options, engine, workers, address)
    rows, aside = folder.finish(unreadable, dataset_card(folder.folder, info, len(unreadable)))
    print(f"{rows} songs annotated in {folder.folder}")
    if aside:
        print(f"{aside} files could not be used: see {folder.folder / QUARANTINE}", file=sys.stderr)
    return folder.folder


def _hash(
    songs: list[ManifestSong], folder: AnnotationFolder, threads: int
) -> tuple[dict[str, ManifestSong], list[JsonObject]]:
    """Songs by hash, the first of equal ones; and the files that cannot be read."""
    present: dict[str, ManifestSong] = {}
    unreadable: list[JsonObject] = []
    looked = hash_songs(songs, folder.known_hashes, threads)
    for one in tqdm(looked, total=len(songs), unit="file", desc="reading", disable=len(songs) < 2):
        if isinstance(one, ManifestSong):
            present.setdefault(str(one.sha256), one)
        else:
            unreadable.append({"file": one[0].file, "reason": one[1]})
    return present, unreadable


def _annotate_shards(
    folder: AnnotationFolder,
    present: dict[str, ManifestSong],
    options: AnnotationOptions,
    engine: Engine,
    workers: int,
    address: str | None,
) -> None:
    """Annotate what no mark says is done; each shard is written when its last song is there."""
    shards = folder.shards()
    todo = {shard: songs for shard, songs in shards.items() if folder.mark(shard) is None}
    answers: dict[int, dict[int, Annotation]] = {shard: {} for shard in todo}
    work: list[tuple[int, int, ManifestSong]] = []
    for shard, songs in todo.items():
        for place, song in enumerate(songs):
            if song.sha256 in present:
                work.append((shard, place, _as_planned(song, present)))
            else:
                answers[shard][place] = Annotation(fault="it is planned, but not in the manifest any more")
    total = sum(map(len, shards.values()))
    done = total - sum(map(len, todo.values()))
    with tqdm(total=total, initial=done, unit="song", desc="annotating") as bar:
        _write_whole(folder, todo, answers, todo, bar)
        make, missing = partial(Annotator, options), [song for _, _, song in work]
        device = "cpu" if options.latents is None else options.device
        for index, answer in map_items(make, missing, engine, workers, address, device=device):
            shard, place, _ = work[index]
            answers[shard][place] = answer
            _write_whole(folder, todo, answers, [shard], bar)
            bar.update(1)


def _as_planned(song: ManifestSong, present: dict[str, ManifestSong]) -> ManifestSong:
    """The song with the name and the fields that it was planned with, at the path where its bytes are now."""
    return ManifestSong(present[str(song.sha256)].path, song.file, song.fields, song.sha256, song.bytes, song.mtime_ns)


def _write_whole(
    folder: AnnotationFolder,
    todo: dict[int, list[ManifestSong]],
    answers: dict[int, dict[int, Annotation]],
    shards: Iterable[int],
    bar: tqdm,
) -> None:
    """Write those of some shards whose songs are all answered."""
    for shard in list(shards):
        if shard in answers and len(answers[shard]) == len(todo[shard]):
            parts = answers.pop(shard)
            folder.write_shard(shard, todo[shard], [parts[place] for place in range(len(parts))])
            bar.set_postfix_str(f"shard {shard} written")
