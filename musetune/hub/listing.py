"""Adapters at hand: those that ship with the package, those in the Hub's cache, those in folders.

Reads headers, loads no weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from musetune.formats.json_object import number_field, object_field, read_json_object, text_field
from musetune.hub.contents import kind_of
from musetune.hub.places import BUNDLED_ADAPTERS
from musetune.symbols.json_values import JsonObject
from musetune.symbols.remarks import remark

SHOWN = ("majmin", "beat_f")  # of results.json


@dataclass(frozen=True)
class ListedAdapter:
    """An adapter that can be loaded: by its name where it is bundled or cached, else by its folder.

    Attributes:
        name: what ``pipe.load_adapter`` takes; for ``source`` "folder" only a title.
        kind: "theory" or "lora".
        genre: the genre of a LoRA, None where the folder does not say.
        base: the base that it was made for, None where the folder does not say.
        parameters: how many numbers its safetensors hold.
        mb: megabytes of safetensors.
        adherence: means of majmin and beat_f, 0–1, None where independent judges have not measured them.
        source: "bundled", "cache" or "folder".
        folder: where it lies.
    """

    name: str
    kind: str
    genre: str | None
    base: str | None
    parameters: int
    mb: float
    adherence: dict[str, float | None]
    source: str
    folder: str


def list_adapters(places: Iterable[str | Path] = (), *, cache_dir: str | Path | None = None) -> list[ListedAdapter]:
    """List the adapters that are bundled, in the Hub's cache and in ``places``.

    A damaged one is left out and named in a remark with the reason, unless a place is its own folder.

    Args:
        places: adapters' folders, or folders of such folders.
        cache_dir: the Hub's cache, by default huggingface_hub's.

    Returns:
        One entry an adapter: bundled ones first, then the cache's, then those in ``places``.

    Raises:
        FileNotFoundError: for a place that is no folder.
        ValueError: with the file's name, for a place that is a damaged adapter itself.

    Example:
        >>> from musetune.hub import list_adapters
        >>> "theory" in [adapter.name for adapter in list_adapters()]
        True
    """
    bundled = [(folder, folder.name) for place in BUNDLED_ADAPTERS for folder in _adapters_in(place)]
    listed = list(_describe_all(bundled, "bundled"))
    listed += _describe_all([(folder, repo) for repo, folder in _from_cache(cache_dir)], "cache")
    for place in map(Path, places):
        if not place.is_dir():
            raise FileNotFoundError(f"no folder {place}: give an adapter's, or one that holds adapters' folders")
        folders = list(_adapters_in(place))
        if folders == [place]:
            listed.append(_describe(place, None, "folder"))
        else:
            listed += _describe_all([(folder, None) for folder in folders], "folder")
    return listed


def read_json(path: Path) -> JsonObject:
    """Return the JSON object in a file, {} where there is none.

    Raises ValueError, with the file's name, for anything else.
    """
    return read_json_object(path) if path.is_file() else {}


def folder_size(folder: Path) -> tuple[int, float]:
    """Return how many numbers a folder's safetensors hold, and their megabytes.

    Raises:
        ValueError: with the file's name, for a damaged one.
    """
    from safetensors import SafetensorError, safe_open

    parameters, size = 0, 0
    for path in folder.rglob("*.safetensors"):
        size += path.stat().st_size
        try:
            with safe_open(path, framework="numpy") as file:
                names = file.keys()
                parameters += sum(math.prod(file.get_slice(name).get_shape()) for name in names)
        except SafetensorError as error:
            raise ValueError(f"{path} is not a whole safetensors file ({error}): get it anew") from error
    return parameters, round(size / 1e6, 3)


def _adapters_in(home: Path) -> Iterator[Path]:
    """Yield ``home`` itself where it is an adapter's folder, else the adapters' folders right in it."""
    if kind_of(home) in ("theory", "lora"):
        yield home
    elif home.is_dir():
        yield from (folder for folder in sorted(home.iterdir()) if kind_of(folder) in ("theory", "lora"))


def _from_cache(cache_dir: str | Path | None) -> Iterator[tuple[str, Path]]:
    """Yield repository and folder of each adapter in the Hub's cache: main's, else the latest revision's."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        cache = scan_cache_dir(cache_dir)
    except CacheNotFound:
        return
    for repo in sorted(cache.repos, key=lambda repo: repo.repo_id):
        revisions = sorted(repo.revisions, key=lambda r: ("main" in r.refs, r.last_modified))
        if repo.repo_type == "model" and revisions and kind_of(revisions[-1].snapshot_path) in ("theory", "lora"):
            yield repo.repo_id, revisions[-1].snapshot_path


def _describe_all(folders: Iterable[tuple[Path, str | None]], source: str) -> Iterator[ListedAdapter]:
    """Yield what can be described of the (folder, name)s found; a damaged one is remarked."""
    for folder, name in folders:
        try:
            yield _describe(folder, name, source)
        except (ValueError, OSError) as error:
            remark(f"the adapter {name or folder.name} ({source}) is damaged and left out: {error}")


def _describe(folder: Path, name: str | None, source: str) -> ListedAdapter:
    path, results = folder / "musetune.json", folder / "results.json"
    metadata = read_json(path)
    record = read_json(results)
    if text_field(
        record, "listener", str(results)
    ):  # by our own analyser on a few sheets: not to be set beside judges'
        record = {}
    measured = object_field(object_field(record, "table", str(results)), "adapter", str(results))
    adherence = {
        measure: number_field(object_field(measured, measure, str(results)), "mean", str(results)) for measure in SHOWN
    }
    title, genre, base, kind = (text_field(metadata, key, str(path)) for key in ("name", "genre", "base", "kind"))
    parameters, mb = folder_size(folder)
    return ListedAdapter(
        name=name or title or folder.resolve().name,
        kind=kind or kind_of(folder) or "theory",
        genre=genre,
        base=base,
        parameters=parameters,
        mb=mb,
        adherence=adherence,
        source=source,
        folder=str(folder),
    )
