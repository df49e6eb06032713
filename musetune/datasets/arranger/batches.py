"""Texts of stems as padded batches with their targets."""

from __future__ import annotations

import numpy as np
import torch

from musetune.planning.arranger.language import STEM
from musetune.symbols.arrangement import STEMS

Text = tuple[np.ndarray, np.ndarray]  # tokens (n,), contexts (n, 10)


def batch_of(texts: list[Text], only: str | None = None) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(tokens, contexts, targets): padded; a target of −100 counts nothing: padding, the head, the next stem's choice,
    all stems but ``only``.
    """
    longest = max(len(t) for t, _ in texts)
    tokens = torch.zeros(len(texts), longest, dtype=torch.long)
    table = torch.zeros(len(texts), longest, 10, dtype=torch.long)
    targets = torch.full((len(texts), longest), -100)
    for row, (text, context) in enumerate(texts):
        size = len(text)
        tokens[row, :size], table[row, :size] = (
            torch.from_numpy(text.astype(np.int64)),
            torch.from_numpy(context.astype(np.int64)),
        )
        following = tokens[row, 1:size].clone()
        stem = (following >= STEM) & (following < STEM + len(STEMS))
        foreign = table[row, : size - 1, 0] != STEMS.index(only) + 1 if only else stem
        targets[row, : size - 1] = torch.where(stem | foreign | (torch.arange(size - 1) < 4), -100, following)
    return tokens, table, targets
