"""A pipeline on a small base, with an adapter and a LoRA of random weights, and how to play it."""

from __future__ import annotations

from pathlib import Path

import torch

from musetune import MuseTunePipeline, MusicAdapter


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def quiet(pipe):  # type: ignore[no-untyped-def]
    pipe.set_progress_bar_config(disable=True)
    return pipe


def make_pipe(base: Path) -> MuseTunePipeline:
    """With an adapter and a LoRA of random weights: they do something."""
    pipe = quiet(MuseTunePipeline.from_pretrained(base))
    adapter = MusicAdapter.for_unet(pipe.unet, dim=32, hidden=16, map_channels=8)
    pipe.load_adapter(adapter)
    adapter.add_lora(2)
    torch.manual_seed(3)
    with torch.no_grad():
        for p in adapter.trainable_parameters():
            p.normal_(std=0.1)
    return pipe


def play(pipe: MuseTunePipeline, **settings):  # type: ignore[no-untyped-def]
    request = {
        "harmonic_progression": "I V vi IV",
        "bpm": 120,
        "duration_seconds": 2.56,
        "num_inference_steps": 2,
        "generator": seeded(),
    }
    return pipe("warm pop", **(request | settings))
