"""Pairs of takes to be compared: two answers to one request, of other seeds or other adapters."""

from __future__ import annotations

import hashlib
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from musetune import __version__
from musetune.evaluation.preferences import PairBatch, Side
from musetune.evaluation.provenance import fingerprint, hash_of
from musetune.symbols.json_values import JsonObject

if TYPE_CHECKING:
    import numpy as np

    from musetune.adapter import MusicAdapter
    from musetune.pipeline.pipeline import MuseTunePipeline
    from musetune.symbols import LeadSheet

PROMPTS = tuple(f"{genre} music" for genre in ("pop", "rock", "jazz", "blues", "classical", "electronic"))
SECONDS = 10.24


class PairRequest(NamedTuple):
    """What both takes of a pair answer."""

    prompt: str
    sheet: LeadSheet


class PairCounts(NamedTuple):
    """How many pairs were made, and how many were there already."""

    new: int
    present: int


@dataclass(frozen=True)
class TakeSetup:
    """What plays one take of each pair.

    Attributes:
        adapter: Theory adapter: bundled name, folder or Hub id.
        mix: Weight of each genre adapter (bundled name, folder or Hub id), 0…2; empty: none.

    Example:
        >>> TakeSetup("theory", {"jazz": 0.5}).mix["jazz"]
        0.5
    """

    adapter: str = "theory"
    mix: Mapping[str, float] = field(default_factory=dict)


def plan_requests(prompts: Sequence[str], count: int, seconds: float, seed: int = 0) -> Iterator[PairRequest]:
    """Write lead sheets by the planner, the prompts in turn.

    Args:
        prompts: At least one.
        count: How many requests.
        seconds: Length of each, to the nearest bar.
        seed: Of the first; those that follow have the seeds that follow.

    Yields:
        The requests.
    """
    from musetune.planning.planner.planner import plan

    for number, prompt in zip(range(count), itertools.cycle(prompts)):
        yield PairRequest(prompt, plan(prompt, duration_seconds=seconds, seed=seed + number))


def prepare_pairs(
    folder: str | Path,
    requests: Sequence[PairRequest],
    first: TakeSetup,
    second: TakeSetup,
    *,
    count: int,
    base: str = "nano",
    steps: int = 20,
    seed: int = 0,
    device: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PairCounts:
    """Generate pairs into a batch; those that are there already are passed over, so that a killed run goes on.

    Two equal setups play with two seeds, two different ones with one and the same.

    Args:
        folder: The batch.
        requests: What is played, in turn.
        first: What plays the first take.
        second: What plays the second.
        count: How many pairs.
        base: Bundled name, folder or Hub id.
        steps: Denoising steps.
        seed: Of the first pair; those that follow have the seeds that follow.
        device: Such as cpu or cuda:1; None: cuda where there is one.
        progress: Told after each pair how many of how many are done.

    Returns:
        How many pairs are new and how many were there.

    Raises:
        ValueError: There are no requests, or an adapter does not fit the base.
    """
    from musetune.pipeline.loading import pick_device
    from musetune.pipeline.pipeline import MuseTunePipeline

    if not requests:
        raise ValueError("there are no lead sheets to play")
    place, batch = pick_device(device), PairBatch(folder)
    pipe = MuseTunePipeline.from_pretrained(base).to(place)
    pipe.set_progress_bar_config(disable=True)  # of the steps: `progress` counts pairs
    players = [Player(pipe, setup, base, steps) for setup in (first, second)]
    seeds_a_pair = 2 if first == second else 1
    present = batch.pairs().keys()
    new = 0
    for number in range(count):
        request = requests[number % len(requests)]
        seeds = [seed + number * seeds_a_pair, seed + (number + 1) * seeds_a_pair - 1]
        origins = [player.origin(one) for player, one in zip(players, seeds)]
        id = pair_id(request, origins)
        if id not in present:
            takes = [player.sound(request, one) for player, one in zip(players, seeds)]
            add_pair(batch, id, request, takes, origins)
            new += 1
        if progress is not None:
            progress(number + 1, count)
    return PairCounts(new, count - new)


class Player:
    """A pipeline with one setup, which shares its base with those of other setups.

    Args:
        pipe: The pipeline; the genre adapters of the setup are loaded into it.
        setup: Theory adapter and genre mix.
        base: What the base is called.
        steps: Denoising steps.
    """

    def __init__(self, pipe: MuseTunePipeline, setup: TakeSetup, base: str, steps: int) -> None:
        from musetune.adapter import MusicAdapter
        from musetune.hub.locate import find_adapter, is_lora

        self.pipe, self.setup, self.base, self.steps = pipe, setup, base, steps
        folder = find_adapter(setup.adapter)
        if is_lora(folder):
            raise ValueError(f"{setup.adapter} is a genre adapter: give it as a mix, and a theory adapter beside it")
        self.adapter: MusicAdapter = MusicAdapter.from_pretrained(folder)
        self.mix: dict[str, float] = {}
        for genre, weight in setup.mix.items():
            before = pipe.adapters.keys()
            pipe.load_adapter(genre)
            added = [name for name in pipe.adapters if name not in before]
            self.mix[added[0] if added else Path(genre).name] = weight
        self.name = origin_name(_short(setup.adapter), self.mix)
        self._use()
        self.weights = weights_of(pipe, self.mix)

    def _use(self) -> None:
        """Let the pipeline play with this setup."""
        if self.pipe.adapter is not self.adapter:
            self.pipe.load_adapter(self.adapter)
        if self.pipe.loras is not None:
            self.pipe.set_adapter(self.mix or None)

    def origin(self, seed: int) -> JsonObject:
        """Where a take of this setup comes from."""
        adapters = {_short(self.setup.adapter): 1.0, **self.mix}
        return take_origin(self.name, seed, self.steps, self.base, adapters, self.weights)

    def sound(self, request: PairRequest, seed: int) -> tuple[np.ndarray, int]:
        """Generate a take: its samples (n,) and their rate in Hz."""
        import torch

        self._use()
        output = self.pipe(
            request.prompt,
            lead_sheet=request.sheet,
            num_inference_steps=self.steps,
            generator=torch.Generator().manual_seed(seed),
        )
        return output.audios[0], output.sampling_rate


def origin_name(theory: str, mix: Mapping[str, float]) -> str:
    """What results are counted by: the theory adapter and the genre adapters that count."""
    return " + ".join([theory, *(f"{name} {weight:g}" for name, weight in sorted(mix.items()) if weight)])


def take_origin(
    name: str, seed: int, steps: int, base: str, adapters: Mapping[str, float], weights: Mapping[str, str]
) -> JsonObject:
    """The record of where a generated take comes from."""
    return {
        "name": name,
        "seed": seed,
        "steps": steps,
        "base": base,
        "adapters": dict(adapters),
        "weights": dict(weights),
        "versions": {"musetune": __version__, **{library: version(library) for library in ("diffusers", "torch")}},
    }


def weights_of(pipe: MuseTunePipeline, mix: Mapping[str, float]) -> dict[str, str]:
    """Hashes of the weights that play on the base: of the theory adapter and the genre adapters that count."""
    hashes = {} if pipe.adapter is None else {"theory": fingerprint(pipe.adapter)}
    for name in (name for name, weight in mix.items() if weight):
        parts = pipe.loras.get(name).parts if pipe.loras is not None else {}
        tensors = [tensor for key in sorted(parts) for tensor in (parts[key].down, parts[key].up)]
        hashes[name] = hash_of(*(tensor.float().cpu().numpy().tobytes() for tensor in tensors))
    return hashes


def pair_id(request: PairRequest, origins: Sequence[JsonObject]) -> str:
    """A name that follows from request and origins: equal ones are made once. Versions of libraries do not count."""
    parts = [{name: value for name, value in origin.items() if name != "versions"} for origin in origins]
    content = json.dumps([request.prompt, request.sheet.to_json(), parts], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def add_pair(
    batch: PairBatch,
    id: str,
    request: PairRequest,
    takes: Sequence[tuple[np.ndarray, int]],
    origins: Sequence[JsonObject],
) -> None:
    """Write two takes into a batch.

    Args:
        batch: Where to.
        id: Of `pair_id`.
        request: What both answer.
        takes: Samples (n,) or (channels, n) and rate in Hz of each.
        origins: Of `take_origin`, one for each.
    """
    from musetune.audio.export import export_audio

    with tempfile.TemporaryDirectory() as scratch:
        sides = [
            Side(export_audio(Path(scratch, f"{number}.wav"), audio, rate), origin)
            for number, ((audio, rate), origin) in enumerate(zip(takes, origins, strict=True))
        ]
        batch.add(id, sides[0], sides[1], {"prompt": request.prompt, "sheet": request.sheet.to_json()})


def _short(adapter: str) -> str:
    """A name for an adapter: the last part of its path that says something."""
    parts = [part for part in Path(adapter).parts if part not in ("adapter", "/", ".", "..")]
    return parts[-1] if parts else adapter
