"""Decoding under the grammar: whatever a model thinks, what it writes is a plan."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from transformers import LogitsProcessor

from musetune.planning.planner.constraints import PlanConstraints
from musetune.planning.planner.grammar import song
from musetune.planning.planner.style_steering import StyleSteering
from musetune.planning.planner.vocabulary import END, RANGE

COLDER = 2.0  # numbers are copied more often than made up: digits are drawn at half the temperature


class _PartialPlan:
    """One plan as it grows, and the places ``choices`` next."""

    def __init__(self, pins: PlanConstraints) -> None:
        self.grammar = song(pins)
        self.steering = None if pins.prior is None else StyleSteering(pins.prior, pins.content)
        self.choices = next(self.grammar)

    def push(self, word: int) -> None:
        """Go on by a word; after the end, whatever comes is padding."""
        if self.choices is not ENDED:
            if self.steering is not None:
                self.steering.observe(word)
            try:
                self.choices = self.grammar.send(word)
            except StopIteration:
                self.choices = ENDED


ENDED = (END,)  # compared by identity: the grammar yields tuples of its own


class PlanGrammar(LogitsProcessor):
    """Leaves to each row of a batch the tokens that its grammar allows, shifted by what its style wants.

    ``ids``: token of each place, the END's last.
    """

    def __init__(self, pins: Sequence[PlanConstraints], ids: Sequence[int], vocab_size: int) -> None:
        self.pins = list(pins)
        self.rows: list[_PartialPlan] = []
        self.previous_ids: Tensor | None = None
        self.word_of_token = {token: index for index, token in enumerate(ids)}
        tokens = self.tokens = torch.tensor(ids)

        @lru_cache(maxsize=4096)
        def forbidden(choices: tuple[int, ...]) -> Tensor:
            mask = torch.ones(vocab_size, dtype=torch.bool)
            mask[tokens[list(choices)]] = False
            return mask

        self.forbidden = forbidden

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """input_ids (rows, words + 1), the first the decoder's start; scores (rows, vocabulary).

        Raises ValueError where rows and grammars are not as many.
        """
        if len(input_ids) != len(self.pins):
            raise ValueError(f"{len(input_ids)} rows for {len(self.pins)} grammars: give one grammar a row")
        if self.previous_ids is None or not torch.equal(
            self.previous_ids, input_ids[:, :-1]
        ):  # a new song, or beams that changed places
            self.rows, new = [_PartialPlan(one) for one in self.pins], input_ids[:, 1:]
        else:
            new = input_ids[:, -1:]
        for row, tokens_of_row in zip(self.rows, new.tolist(), strict=True):
            for token in tokens_of_row:
                row.push(self.word_of_token.get(token, END))
        self.previous_ids = input_ids
        digits = torch.tensor([row.choices[0] in RANGE["digit"] for row in self.rows], device=scores.device)
        scores = torch.where(digits[:, None], COLDER * scores, scores)
        for index, row in enumerate(self.rows):
            if row.steering is not None and len(row.choices) > 1:
                tokens = self.tokens.to(scores.device)
                scores[index, tokens] = row.steering.shift(scores[index, tokens].cpu(), row.choices).to(scores.device)
        masks = torch.stack([self.forbidden(row.choices) for row in self.rows])
        return scores.masked_fill(masks.to(scores.device), -torch.inf)
