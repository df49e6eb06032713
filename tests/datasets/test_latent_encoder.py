"""Embeddings of prompts: those that were used last stay, and memory does not grow with a collection."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch

from musetune.datasets.latent_encoder import TEXTS, LatentEncoder


def test_the_last_prompts_are_kept() -> None:
    asked: list[str] = []

    def encode_prompt(prompt: str, *_: Any) -> tuple[torch.Tensor, ...]:
        asked.append(prompt)
        return torch.zeros(1, 2, 3), torch.ones(1, 2), torch.zeros(1, 8, 3)

    encoder: Any = LatentEncoder.__new__(LatentEncoder)
    encoder.pipe, encoder.device, encoder.texts = SimpleNamespace(encode_prompt=encode_prompt), "cpu", {}
    for number in range(3 * TEXTS):
        encoder.text("")
        encoder.text(f"song {number}")
        assert len(encoder.texts) <= TEXTS
    assert asked.count("") == 1, "what is used again and again stays"
    assert len(asked) == 1 + 3 * TEXTS
