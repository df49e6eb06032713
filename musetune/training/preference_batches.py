"""What a round of preference tuning learns from, and which of several sets a batch is from: people's and recognisers'
mix with a weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from musetune.datasets.preference_set import PreferenceSet
from musetune.training.seeding import generator


@dataclass(frozen=True)
class KnownSets:
    """What is preferred before anything is drawn.

    Attributes:
        people: Their verdicts.
        ready: Recognisers' pairs for the first round.
        shown: Demonstrations, which every round learns from.
        alone: Whether nothing is drawn: people alone count, or an adapter from elsewhere takes the round's place.
    """

    people: list[PreferenceSet]
    ready: list[PreferenceSet]
    shown: list[PreferenceSet]
    alone: bool

    def draws(self, rounds: int) -> bool:
        """Whether any of so many rounds draws candidates."""
        return not self.alone and not self.shown and (rounds > 1 or not self.ready)

    def of_round(self, number: int) -> list[PreferenceSet] | None:
        """What a round, from 1 on, learns from; None: its candidates are to be drawn."""
        if self.shown:
            return self.shown
        return [*self.people, *self.ready] if self.alone or (number == 1 and self.ready) else None


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
