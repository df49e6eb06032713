"""One training batch: clips in, tensors out, with all augmentation drawn from each sample's own generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from musetune.conditioning import MusicTokens
from musetune.datasets.latent_dataset import LatentDataset, TextEmbedding
from musetune.datasets.tokens import TokenTable
from musetune.training.seeding import chance
from musetune.training.tokens import crop, draw_crops, hide_expression, hide_spans, hide_streams


@dataclass(frozen=True)
class Dropout:
    """How often conditions are hidden from the model, so that one adapter serves partial requests and guidance.

    Attributes:
        text: Of the prompt, 0…1 as all of them.
        stream: Of each stream by itself.
        condition: Of all streams but expression together.
        span: Of a stretch of time of all streams.
        genre: Of the genre; None: as every stream.
        stem: Of each stem; None: as every stream.
        arrangement: Of all stems together.
        expression: Of each feature of expression.
    """

    text: float = 0.15
    stream: float = 0.5
    condition: float = 0.1
    span: float = 0.1
    genre: float | None = None
    stem: float | None = None
    arrangement: float = 0.0
    expression: float = 0.0


@dataclass(frozen=True)
class Batch:
    """latents (B, channels, rows, cols) float32, the tokens of the same stretch, and the prompts' embeddings;
    row_weights (B, rows): how much each row counts in the loss, None where all count fully.
    """

    ids: list[str]
    latents: Tensor
    tokens: MusicTokens
    text: TextEmbedding
    row_weights: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """Return the batch on ``device``."""
        return self._with_each(lambda tensor: tensor.to(device), self.ids)

    def part(self, places: Tensor) -> Batch:
        """Return the samples at ``places`` (n,)."""
        return self._with_each(lambda tensor: tensor[places], [self.ids[place] for place in places.tolist()])

    def _with_each(self, change: Callable[[Tensor], Tensor], ids: list[str]) -> Batch:
        text = (self.text.prompt_embeds, self.text.attention_mask, self.text.generated_prompt_embeds)
        return Batch(
            ids,
            change(self.latents),
            MusicTokens.from_tensors({name: change(value) for name, value in self.tokens.tensors().items()}),
            TextEmbedding(*map(change, text)),
            None if self.row_weights is None else change(self.row_weights),
        )


def draw_batch(
    dataset: LatentDataset,
    table: TokenTable,
    indices: list[int],
    generators: list[torch.Generator],
    *,
    frames_per_row: int,
    crop_rows: int | None,
    dropout: Dropout,
    row_weights: Tensor | None = None,
) -> Batch:
    """One batch of clips, cropped, with some of their conditions hidden.

    Args:
        dataset: Holds the clips.
        table: Their tokens.
        indices: Of the batch's clips, B of them.
        generators: One a sample; all that is drawn for it comes from it.
        frames_per_row: Frames of beats and chroma in a latent row.
        crop_rows: Latent rows of a random crop, in 1…rows; None takes whole clips.
        dropout: How often conditions are hidden.
        row_weights: How much each latent row counts in the loss, (clips, rows); None: fully.

    Raises:
        ValueError: `crop_rows` is outside that range.
    """
    clips = [dataset.clips[i] for i in indices]
    latents, tokens = dataset.latents[indices].float(), table.batch(indices)
    frame_s = dataset.info.row_s / frames_per_row
    weights = None if row_weights is None else row_weights[indices]
    if crop_rows is not None:
        starts = draw_crops(generators, dataset.info.rows, crop_rows)
        latents = torch.stack([x[:, s : s + crop_rows] for x, s in zip(latents, starts.tolist(), strict=True)])
        if weights is not None:
            weights = torch.stack([w[s : s + crop_rows] for w, s in zip(weights, starts.tolist(), strict=True)])
        tokens = crop(tokens, starts * frames_per_row, crop_rows * frames_per_row, frame_s)
    wordless = chance(generators, dropout.text).tolist()
    text = dataset.collate_texts(["" if hide else clip.text for clip, hide in zip(clips, wordless, strict=True)])
    tokens = hide_streams(
        tokens,
        generators,
        stream_dropout=dropout.stream,
        condition_dropout=dropout.condition,
        genre_dropout=dropout.genre,
        stem_dropout=dropout.stem,
        arrangement_dropout=dropout.arrangement,
    )
    tokens = hide_spans(tokens, generators, frame_s, dropout.span)
    tokens = hide_expression(tokens, generators, dropout.expression)
    if weights is not None and bool((weights == 1).all()):
        weights = None  # the plain mean then, bit for bit
    return Batch([clip.id for clip in clips], latents, tokens, text, weights)
