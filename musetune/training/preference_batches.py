"""Which of several sets of preferences a batch is from: people's and recognisers' mix with a weight."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from musetune.datasets.preference_set import PreferenceSet
from musetune.training.seeding import generator


def choose_set(sets: Sequence[PreferenceSet], method: str, people_share: float, seed: int, count: int) -> int:
    """Which of several sets the `count`-th batch is from, by nothing else than `seed` and `count`.

    Args:
        sets: Of people, of recognisers, or of both; within a kind each by the number of its items.
        method: Which says what the items are.
        people_share: Of the batches, where there are both, 0…1.
        seed: Of the run.
        count: Of the batch, from 0 on.
    """
    draw = generator(seed, count, "set")
    people = bool(torch.rand((), generator=draw) < people_share)
    kinds = {one.kind for one in sets}
    kind = next(iter(kinds)) if len(kinds) == 1 else ("person" if people else "recogniser")
    sizes = [float(len(one.items(method))) * (one.kind == kind) for one in sets]
    return int(torch.multinomial(torch.tensor(sizes), 1, generator=draw))
