"""A pipeline on a small base, with an adapter and a LoRA of random weights, and how to play it."""

from __future__ import annotations

from pathlib import Path

import torch
from small_lora import genre_folder, random_lora

from musetune import MuseTunePipeline, MusicAdapter

__all__ = [
    "genre_folder",
    "random_lora",
    "seeded",
    "quiet",
    "make_pipe",
    "read_stems",
    "play",
    "genre_folders",
    "words",
    "music",
    "GENRES",
]
GENRES = ("jazz", "rock", "blues")


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


def read_stems(pipe: MuseTunePipeline) -> MuseTunePipeline:
    """With a branch for stems of random weights."""
    from musetune.audio import mel_frontend

    torch.manual_seed(4)
    with torch.no_grad():
        for p in pipe.adapter.add_stems(16, 8, mel_frontend(pipe).frequencies).parameters():
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


def genre_folders(base: Path, out: Path) -> Path:
    """``out`` with a genre adapter for this base in a folder each."""
    unet = MuseTunePipeline.from_pretrained(base).unet
    for seed, name in enumerate(GENRES, start=11):
        genre_folder(unet, out / name, seed)
    return out


def words(pipe: MuseTunePipeline, **settings):  # type: ignore[no-untyped-def]
    """Audio of words alone, as short as can be."""
    return pipe("warm pop", num_inference_steps=1, audio_length_in_s=1.28, generator=seeded(), **settings).audios


def music(pipe: MuseTunePipeline, **settings):  # type: ignore[no-untyped-def]
    """Audio with music, as short as can be."""
    return play(pipe, **{"num_inference_steps": 1, "duration_seconds": 1.28, **settings}).audios
