"""Batches of captions and plans for the structure transformer, and the prompts that its tokenizer learns from."""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import Tensor

from musetune.datasets.planner.examples import Pair, PlannerExamples, order, pairs
from musetune.datasets.planner.words import FILLERS, GENRE_WORDS, METER_WORDS, MOODS_OF, NOUNS, TEMPO_WORDS
from musetune.planning.planner.tokenizer import read_prompts

LINE = {
    "genre": [0],
    "meter": [1],
    "mode": [2],
    "tonic": [3],
    "bpm": [4, 5, 6],
    "length": [7, 8, 9, 10],
}  # places in the first line
BUCKET = 4  # batches sorted by length together


def sample_prompts(examples: PlannerExamples) -> list[str]:
    """What the tokenizer learns from: captions of orders and songs, and every word of the tables."""
    rng = random.Random("words")
    tables = [*GENRE_WORDS.values(), *METER_WORDS.values(), *MOODS_OF.values(), TEMPO_WORDS, FILLERS, NOUNS]
    words = [word for table in tables for word in table]
    titles = [song.name.split("/")[-2].replace("_", " ") for song in examples.songs if "/" in song.name]
    return [order(rng)[0] for _ in range(12000)] + words * 3 + titles


def collate(batch: list[Pair], tokenizer: Any, ids: list[int]) -> dict[str, Tensor]:
    """input_ids, attention_mask (B, prompt) and labels (B, words), −100 where nothing is to be learned."""
    labels = torch.full((len(batch), max(len(words) for _, words, _ in batch) + 1), -100)
    inputs = torch.full_like(labels, tokenizer.pad_token_id)
    for row, (_, words, named) in enumerate(batch):
        places = [*words, len(ids) - 1] if named is None else words
        labels[row, : len(places)] = inputs[row, : len(places)] = torch.tensor([ids[index] for index in places])
        for name in set(LINE) - named if named is not None else ():
            labels[row, LINE[name]] = -100
    shifted = inputs.roll(1, 1)  # the decoder hears the masked words too: they are its past
    shifted[:, 0] = tokenizer.pad_token_id
    read = read_prompts(tokenizer, [text for text, _, _ in batch])
    return {
        "input_ids": read.input_ids,
        "attention_mask": read.attention_mask,
        "labels": labels,
        "decoder_input_ids": shifted,
    }


def batches(
    examples: PlannerExamples, tokenizer: object, ids: list[int], step: int, *, songs: int, orders: int, seed: int
) -> list[dict[str, Tensor]]:
    """What step ``step`` learns from: ``songs`` of like length, from BUCKET steps' worth, and ``orders``."""
    block, index = divmod(step, BUCKET)
    block_pairs = pairs(examples, f"{seed}/block {block}", songs * BUCKET, 0)
    block_pairs.sort(key=lambda pair: len(pair[1]))
    places = random.Random(f"{seed}/places {block}").sample(range(BUCKET), BUCKET)
    batch = block_pairs[places[index] * songs :][:songs]
    lines = pairs(examples, f"{seed}/orders {step}", 0, orders)
    return [collate(part, tokenizer, ids) for part in (batch, lines) if part]
