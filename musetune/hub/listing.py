"""What adapters are at hand: those that ship with the package, those in the Hub's cache, those in folders.

Reads headers, loads no weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musetune.hub.contents import kind_of

BUNDLED = (Path(__file__).parents[2] / "adapters", Path(__file__).parents[1] / "_adapters")  # a checkout's, a wheel's
SHOWN = ("majmin", "beat_f")  # of results.json


@dataclass(frozen=True)
class ListedAdapter:
    """An adapter that can be loaded.

    ``pipe.load_adapter(name)`` where it is bundled or cached, else ``load_adapter(folder)``.

    name; kind: "theory" or "lora"; genre, base: None where the folder does not say; parameters: how many; mb: of
    safetensors; adherence: mean of majmin and of beat_f, 0–1, None where it was not measured; source: "bundled",
    "cache" or "folder"; folder: where it lies.
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
    """Bundled adapters, those in the Hub's cache (default: huggingface_hub's), and those in ``places``.

    Adapters' folders, or folders of them.

    Raises FileNotFoundError for a place that is no folder.
    """
    found = [_describe(folder, folder.name, "bundled") for place in BUNDLED for folder in _adapters_in(place)]
    found += [_describe(folder, repo, "cache") for repo, folder in _cached(cache_dir)]
    for place in map(Path, places):
        if not place.is_dir():
            raise FileNotFoundError(f"no folder {place}: give an adapter's, or one that holds adapters' folders")
        found += [_describe(folder, None, "folder") for folder in _adapters_in(place)]
    return found


def bundled_names() -> list[str]:
    """Names of the adapters that ship with the package."""
    return [folder.name for place in BUNDLED for folder in _adapters_in(place)]


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file holds, {} where there is none.

    Raises ValueError, with the file's name, for what is no JSON object.
    """
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error}): write it anew, or take it out") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds {type(value).__name__}, not an object: write it anew, or take it out")
    return value


def folder_size(folder: Path) -> tuple[int, float]:
    """How many numbers an adapter's safetensors hold, and their megabytes."""
    from safetensors import safe_open

    parameters, size = 0, 0
    for path in folder.rglob("*.safetensors"):
        size += path.stat().st_size
        with safe_open(path, framework="numpy") as file:
            parameters += sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118  # no mapping
    return parameters, round(size / 1e6, 3)


def _adapters_in(place: Path) -> Iterator[Path]:
    """``place`` itself where it is an adapter's folder, else those right in it."""
    if kind_of(place) in ("theory", "lora"):
        yield place
    elif place.is_dir():
        yield from (folder for folder in sorted(place.iterdir()) if kind_of(folder) in ("theory", "lora"))


def _cached(cache_dir: str | Path | None) -> Iterator[tuple[str, Path]]:
    """Repository and folder of each adapter in the Hub's cache: main's, else the latest revision's."""
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


def _describe(folder: Path, name: str | None, source: str) -> ListedAdapter:
    told = read_json(folder / "musetune.json")
    measured = (read_json(folder / "results.json").get("table") or {}).get("adapter") or {}
    adherence = {measure: (measured.get(measure) or {}).get("mean") for measure in SHOWN}
    kind = told.get("kind") or kind_of(folder) or "theory"
    parameters, mb = folder_size(folder)
    name = name or told.get("name") or folder.resolve().name
    return ListedAdapter(
        name, kind, told.get("genre"), told.get("base"), parameters, mb, adherence, source, str(folder)
    )
