"""A song's clips as the base's latents, and its caption as the embeddings of the base's text encoders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from musetune.analysis.service.batch import reason
from musetune.analysis.service.cache import StoredAnalysis
from musetune.datasets.annotation.manifest import ManifestSong
from musetune.datasets.captions import caption, surely_heard
from musetune.datasets.clips import clip_starts, cut, rms_db
from musetune.datasets.latent_encoder import EncoderOptions, LatentEncoder, loaded_encoder, one_thread
from musetune.datasets.slicing import NOTHING, SAMPLE_RATE, SILENCE_DB, SliceJob, decode


@dataclass(frozen=True)
class EncodingJob:
    """One song to encode.

    Attributes:
        song: Where it lies.
        stored: What was heard in it.
        options: Which encoders.
    """

    song: ManifestSong
    stored: StoredAnalysis
    options: EncoderOptions


@dataclass(frozen=True)
class Encoding:
    """What `encode_song` gave, or why it gave nothing.

    Attributes:
        columns: Of the song's row.
        tensors: Arrays by name.
        fault: What is wrong with the song; None where nothing is.
    """

    columns: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, np.ndarray] = field(default_factory=dict)
    fault: str | None = None


def encode(job: EncodingJob) -> Encoding:
    """Encode a song, in this process.

    Raises:
        ValueError: The base cannot be loaded, or does not fit the clips: no song can be encoded with it.
        MemoryError: The memory does not suffice, which is not the song's fault.
    """
    encoder = loaded_encoder(job.options)
    try:
        return Encoding(*encode_song(encoder, job.song, job.stored, job.options.clip_seconds))
    except Exception as error:  # any decoder may raise anything
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's, of an accelerator
            raise
        return Encoding(fault=reason(error))


def encode_song(
    encoder: LatentEncoder, song: ManifestSong, stored: StoredAnalysis, clip_seconds: float
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The clips of one song, cut on its downbeats.

    Args:
        encoder: Of the base.
        song: Where it lies.
        stored: What was heard in it.
        clip_seconds: Length of a clip.

    Returns:
        The columns ``caption`` and ``clip_starts_s``; and arrays in half precision: ``latents`` (clips, channels, rows,
        cols), ``prompt_embeds`` (length, width), ``attention_mask`` (length,), ``generated_prompt_embeds``
        (length, width). A song that is silent or shorter than a clip has none.
    """
    job = SliceJob(Path(song.path), song.file, NOTHING, clip_seconds, (), None)
    try:
        wave = decode(job, 0)
    except ValueError:  # silent, or too short: its analysis is kept, there is nothing to encode
        return {}, {}
    starts = clip_starts(stored.lead_sheet.downbeats_s, len(wave) / SAMPLE_RATE, clip_seconds)
    pieces = [(start, cut(wave, SAMPLE_RATE, start, clip_seconds)) for start in starts]
    pieces = [(start, piece) for start, piece in pieces if rms_db(piece) >= SILENCE_DB]
    if not pieces:
        return {}, {}
    genre = (stored.record.get("genre_analysis") or {}).get("primary_genre")
    named = genre if genre != "unsure" else None
    words = song.fields.get("text") or caption(stored.lead_sheet, song.file, named, surely_heard(wave, SAMPLE_RATE))
    with one_thread():
        latents = encoder.latents(np.stack([piece for _, piece in pieces]))
        text = encoder.text(str(words))
    tensors = {
        "latents": latents.to(torch.float16),
        "prompt_embeds": text.prompt_embeds.to(torch.float16),
        "attention_mask": text.attention_mask.to(torch.uint8),
        "generated_prompt_embeds": text.generated_prompt_embeds.to(torch.float16),
    }
    arrays = {name: tensor.contiguous().numpy() for name, tensor in tensors.items()}
    return {"caption": str(words), "clip_starts_s": [float(start) for start, _ in pieces]}, arrays
