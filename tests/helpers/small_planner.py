"""A planner with random weights, small enough for tests."""

from __future__ import annotations

import torch
from transformers import T5Config, T5ForConditionalGeneration

from musetune.planning.planner.planner import Planner
from musetune.planning.planner.tokenizer import train_tokenizer

WORDS = [
    "a slow sad waltz in F sharp minor",
    "fast rock, 120 bpm, 32 bars",
    "jazz in B flat major, a minute long",
    "electronic, 6/8",
]


def small_planner(seed: int = 0) -> Planner:
    """Three words of prompt are as good as any: its weights know nothing."""
    torch.manual_seed(seed)
    tokenizer = train_tokenizer(WORDS, vocab_size=300)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=16,
        d_kv=8,
        d_ff=16,
        num_layers=1,
        num_heads=2,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    return Planner(T5ForConditionalGeneration(config), tokenizer)
