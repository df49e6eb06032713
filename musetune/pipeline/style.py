"""A clip as a style: its sound by the base's own CLAP in place of the words, or mixed with them.

AudioLDM 2's U-Net reads a prompt twice: by GPT-2, which hears CLAP's one embedding and T5's states, and by T5's states
alone. CLAP embeds sound and words in one space (Wu et al., arXiv 2211.06687), so for GPT-2 a clip's embedding stands
where that of the words does. For T5's place a base may bring a ``style_projection``, which makes states of the
embedding; with a base that has none T5 goes on reading the prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, pad

from musetune.audio import resample
from musetune.pipeline.checks import check_shares, or_default, reject_arguments
from musetune.pipeline.pieces import open_piece

if TYPE_CHECKING:
    from musetune.pipeline.pieces import StyleAudio


@dataclass(frozen=True)
class StyleReference:
    """A clip's sound for the base.

    Attributes:
        embedding: (width,), of unit length, CLAP's of the clip.
        strength: 0–1: 0 the prompt's own embedding, 1 the clip's in its place.
    """

    embedding: Tensor
    strength: float


def load_style(pipe: Any, style_audio: StyleAudio | None, strength: float | None) -> StyleReference | None:
    """Return what a call's ``style_audio`` and ``style_strength`` mean; None without a clip.

    Args:
        style_audio: a path, a result, or floats (samples,) or (channels, samples) with their rate in Hz.
        strength: 0–1; 1.

    Raises:
        ValueError: for a strength outside 0–1 or without a clip, and for a clip that is none or silent.
    """
    if style_audio is None:
        reject_arguments({"style_strength": strength}, "needs style_audio: the clip whose sound is meant")
        return None
    check_shares(style_strength=strength)
    wave, rate = style_audio if isinstance(style_audio, tuple) else (style_audio, None)
    piece = open_piece(wave, rate)
    if float(np.abs(piece.wave).max()) < 1e-4:
        raise ValueError("style_audio is silent: give a clip with the sound that is meant")
    return StyleReference(audio_embedding(pipe, piece.mono(piece.rate), piece.rate), or_default(strength, 1.0))


def audio_embedding(pipe: Any, wave: np.ndarray, rate: int) -> Tensor:
    """Return what the base's CLAP makes of a mono clip (samples,), (width,) of unit length.

    Of a clip that is longer than CLAP hears at once, the mean of its pieces.
    """
    extractor, clap = pipe.feature_extractor, pipe.text_encoder
    sound = resample(wave, rate, extractor.sampling_rate) if rate != extractor.sampling_rate else wave
    most = int(extractor.sampling_rate * extractor.max_length_s)
    count = max(1, -(-len(sound) // most))
    pieces = [np.asarray(part, np.float32) for part in np.array_split(sound, count)]
    features = extractor(pieces, sampling_rate=extractor.sampling_rate, return_tensors="pt").input_features
    heard = clap.get_audio_features(input_features=features.to(pipe._execution_device, clap.dtype))
    heard = getattr(heard, "pooler_output", heard)
    return normalize(heard.float().mean(dim=0), dim=0)


def word_embedding(pipe: Any, prompt: str) -> Tensor:
    """Return what the base's CLAP makes of a text, (width,) of unit length, as ``encode_prompt`` asks it."""
    tokens = pipe.tokenizer(
        prompt,
        padding="max_length",
        max_length=pipe.tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).to(pipe._execution_device)
    told = pipe.text_encoder.get_text_features(tokens.input_ids, attention_mask=tokens.attention_mask)
    return normalize(getattr(told, "pooler_output", told)[0].float(), dim=0)


def steer(
    pipe: Any, prompt: str, style: StyleReference, encoded: tuple[Tensor, Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Mix a style into a prompt.

    Args:
        prompt: the words.
        style: what is mixed in.
        encoded: what ``encode_prompt`` returned of the prompt: T5's states, masks and GPT-2's embeddings, rows without
            words before equally many rows with them.

    Returns:
        The same; rows with words have others of GPT-2's embeddings. Where the base brings a ``style_projection``, its
        states stand after T5's, and at a strength of 1 in their place.
    """
    embeds, mask, generated = encoded
    without, told = generated.chunk(2)
    own_embeds, own_mask = embeds.chunk(2)[1][:1], mask.chunk(2)[1][:1]
    own = word_embedding(pipe, prompt)
    mixed = normalize((1 - style.strength) * own + style.strength * style.embedding.to(own), dim=0)
    found = pipe.projection_model(
        hidden_states=mixed[None, None].to(own_embeds.dtype),
        hidden_states_1=own_embeds,
        attention_mask=own_mask.new_ones((1, 1)),
        attention_mask_1=own_mask,
    )
    heard = pipe.generate_language_model(
        found.hidden_states, attention_mask=found.attention_mask, max_new_tokens=told.shape[1]
    )
    if pipe.style_projection is not None and style.strength > 0:
        states = pipe.style_projection(mixed[None].to(pipe.style_projection.dtype)).to(embeds)
        embeds, mask = _with_states(embeds, mask, states, alone=style.strength == 1)
    return embeds, mask, torch.cat([without, heard.to(told).expand_as(told)])


def _with_states(embeds: Tensor, mask: Tensor, states: Tensor, *, alone: bool) -> tuple[Tensor, Tensor]:
    """T5's states (2n, length, width) and their mask with ``states`` (1, tokens, width) after the last n rows' own, or
    ``alone`` in their place.
    """
    rows, (empty, words) = len(embeds) // 2, embeds.chunk(2)
    empty_mask, words_mask = mask.chunk(2)
    states, heard = states.expand(rows, -1, -1), mask.new_ones(rows, states.shape[1])
    told, told_mask = (
        (states, heard) if alone else (torch.cat([words, states], dim=1), torch.cat([words_mask, heard], dim=1))
    )
    longest = max(empty.shape[1], told.shape[1])
    both = [pad(part, (0, 0, 0, longest - part.shape[1])) for part in (empty, told)]
    masks = [pad(part, (0, longest - part.shape[1])) for part in (empty_mask, told_mask)]
    return torch.cat(both), torch.cat(masks)
