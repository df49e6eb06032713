"""Private randomness: every random number of training is a function of (seed, step, sample id) and nothing else.

So a run that was killed and resumed, or spread over another number of processes, sees the same clips, noise, timesteps
and dropped conditions, without saving the state of any generator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor


def integer(seed: int, step: int, sample_id: str) -> int:
    """A seed of 63 bits for one sample of one step; number a sample that comes twice in a step in its id."""
    digest = hashlib.blake2b(f"{seed}/{step}/{sample_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(seed: int, step: int, sample_id: str) -> torch.Generator:
    """A CPU generator for one sample of one step, seeded by `integer`."""
    return torch.Generator().manual_seed(integer(seed, step, sample_id))


def stream(n: int, seed: int, start: int, count: int) -> list[int]:
    """Samples at the positions start..start+count of the endless sequence of shuffled epochs over n samples.

    Each epoch is its own permutation, keyed on (seed, epoch); a batch may cross from one into the next.
    """
    if n < 1:
        raise ValueError("cannot draw samples from an empty data set")
    positions = range(start, start + count)
    orders = {epoch: permutation(n, seed, epoch) for epoch in {p // n for p in positions}}
    return [int(orders[p // n][p % n]) for p in positions]


def permutation(n: int, seed: int, epoch: int) -> Tensor:
    """The order of one epoch, (n,) long."""
    return torch.randperm(n, generator=generator(seed, epoch, "epoch order"))


def noise(generators: list[torch.Generator], shape: tuple[int, ...]) -> Tensor:
    """Standard normal noise (B, *shape), one generator a sample."""
    return torch.stack([torch.randn(shape, generator=g) for g in generators])


def timesteps(
    generators: list[torch.Generator],
    n_timesteps: int,
    sampling: str = "uniform",
    *,
    places: Sequence[int] | None = None,
    of: int | None = None,
) -> Tensor:
    """Timesteps 0 <= t < n_timesteps, (B,) long.

    sampling: uniform; stratified, each sample in its own of ``of`` equal slices, the one at its place in the step
    (default: B slices in order), which leaves the distribution over a shuffled run uniform and takes noise out of the
    gradient; logit_normal, the middle more often (arXiv 2403.03206, location 0, scale 1).
    """
    if sampling == "uniform":
        return torch.stack([torch.randint(n_timesteps, (), generator=g) for g in generators])
    if sampling == "stratified":
        slices = torch.tensor(range(len(generators)) if places is None else places)
        draws = torch.stack([torch.rand((), generator=g) for g in generators]) + slices
        return (draws * n_timesteps / (of or len(generators))).long().clamp_max(n_timesteps - 1)
    if sampling == "logit_normal":
        draws = torch.stack([torch.randn((), generator=g) for g in generators]).sigmoid()
        return (draws * n_timesteps).long().clamp_max(n_timesteps - 1)
    raise ValueError(f"timestep_sampling={sampling!r} is not one of uniform, stratified, logit_normal")


def chance(generators: list[torch.Generator], probability: float) -> Tensor:
    """True with the given probability, (B,) bool. A number is drawn whatever the probability is."""
    if not 0 <= probability <= 1:
        raise ValueError(f"probability={probability} is outside 0..1")
    return torch.stack([torch.rand((), generator=g) for g in generators]) < probability


def integers(generators: list[torch.Generator], high: int) -> Tensor:
    """Uniform integers 0 <= i < high, (B,) long."""
    return torch.stack([torch.randint(high, (), generator=g) for g in generators])
