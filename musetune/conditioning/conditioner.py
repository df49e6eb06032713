"""MusicTokens → embeddings: events for cross-attention, a map for the latent grid.

Learned nulls stand in for absent streams.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from musetune.conditioning.tokens import (
    BEAT_COLUMNS,
    CHORD_COLUMNS,
    EVENT_SIZES,
    EVENT_STREAMS,
    FRAME_FIELDS,
    GLOBAL_SIZES,
    MusicTokens,
)


@dataclass(frozen=True)
class MusicConditioning:
    """Embedded tokens.

    Attributes:
        events: (B, N, dim).
        times_s: (B, N): the events' centres in seconds.
        mask: (B, N) bool: False for padding.
        frame_map: (B, map_channels, rows, cols).
    """

    events: Tensor
    times_s: Tensor
    mask: Tensor
    frame_map: Tensor


class MusicConditioner(nn.Module):
    """Embeds tokens.

    ``frames_per_row`` frames are folded into each latent row; the map says per column what sounds where.

    dim: width of the event embeddings; hidden: width of the frame network; cols: columns of the latent grid.
    """

    def __init__(self, *, dim: int, hidden: int, map_channels: int, cols: int, frames_per_row: int) -> None:
        super().__init__()
        self.map_channels, self.cols, self.frames_per_row = map_channels, cols, frames_per_row
        # one more row in each table is that field's null
        self.fields = nn.ModuleList(nn.Embedding(size + 1, dim) for size in EVENT_SIZES)
        self.chroma = nn.Linear(12, dim)
        self.globals = nn.ModuleList(nn.Embedding(size + 1, dim) for size in GLOBAL_SIZES)
        self.tempo = nn.Linear(1, dim)
        self.tempo_null = nn.Parameter(torch.zeros(dim))
        self.context = nn.ModuleList(ConvBlock(dim, 3, 1) for _ in range(2))
        self.event_norm = nn.LayerNorm(dim)
        self.nothing = nn.Parameter(
            torch.randn(dim) * 0.02
        )  # an event that is always there: attention has somewhere to look
        self.frame_null = nn.Parameter(torch.zeros(len(FRAME_FIELDS)))
        self.frame_in = nn.Linear(len(FRAME_FIELDS) + 2, hidden)
        self.global_to_frame = nn.Linear(dim, hidden)
        self.frame_blocks = nn.ModuleList(ConvBlock(hidden, 5, dilation) for dilation in (1, 2, 4))
        self.fold = nn.Linear(hidden * frames_per_row, 2 * hidden)
        self.unfold = nn.Linear(2 * hidden, map_channels * cols)

    def forward(self, tokens: MusicTokens, rows: int, cols: int) -> MusicConditioning:
        """Embed tokens.

        Args:
            tokens: with rows · frames_per_row frames.
            rows: of the latents.
            cols: of the latents, as the network was built for.

        Raises:
            ValueError: for another number of frames or columns.
        """
        if cols != self.cols or tokens.frames.shape[1] != rows * self.frames_per_row:
            raise ValueError(
                f"latents of {rows}×{cols} need {rows * self.frames_per_row} frames and {self.cols} columns; "
                f"the tokens have {tokens.frames.shape[1]} frames"
            )
        tokens = tokens.hold()
        whole = self._global(tokens)
        events, times, mask = self._events(tokens, whole)
        return MusicConditioning(events, times, mask, self._map(tokens, whole, rows))

    def _global(self, tokens: MusicTokens) -> Tensor:
        """Return (B, dim): key, mode, meter, genre and tempo."""
        streams = ("key", "key", "beats", "genre")
        parts = [
            table(torch.where(tokens.present[stream], column, table.weight.shape[0] - 1))  # type: ignore[index]
            for table, column, stream in zip(self.globals, tokens.globals.unbind(1), streams, strict=False)
        ]
        tempo = torch.where(
            tokens.present["beats"][:, None], self.tempo(tokens.features.to(self.tempo.weight.dtype)), self.tempo_null
        )
        return torch.stack(parts).sum(0) + tempo

    def _events(self, tokens: MusicTokens, whole: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        present = tokens.present
        x = whole[:, None, :]
        for table, column, stream in zip(self.fields, tokens.events.unbind(2), EVENT_STREAMS, strict=False):
            x = x + table(torch.where(present[stream][:, None], column, table.weight.shape[0] - 1))  # type: ignore[index]
        chroma = tokens.event_chroma * present["chords"][:, None, None]
        x = x + self.chroma(chroma.to(x.dtype))
        mask = tokens.event_mask & (present["chords"] | present["beats"] | present["function"])[:, None]
        for block in self.context:
            x = block(x, mask)
        nothing = (self.nothing + whole)[:, None]
        events = self.event_norm(torch.cat([nothing, x], dim=1))
        times = F.pad(tokens.event_times_s.mean(2), (1, 0))
        return events, times, F.pad(mask, (1, 0), value=True)

    def _map(self, tokens: MusicTokens, whole: Tensor, rows: int) -> Tensor:
        beats, chords = tokens.present["beats"], tokens.present["chords"]
        frames = tokens.frames.to(whole.dtype)
        there = torch.zeros_like(frames, dtype=torch.bool)
        there[..., BEAT_COLUMNS] = beats[:, None, None]
        there[..., CHORD_COLUMNS] = chords[:, None, None]
        flags = torch.stack([beats, chords], 1).to(frames.dtype)[:, None].expand(-1, frames.shape[1], -1)
        x = self.frame_in(torch.cat([torch.where(there, frames, self.frame_null), flags], -1))
        x = x + self.global_to_frame(whole)[:, None]
        for block in self.frame_blocks:
            x = block(x)
        x = F.gelu(self.fold(x.unflatten(1, (rows, self.frames_per_row)).flatten(2)))
        result: Tensor = self.unfold(x).unflatten(2, (self.map_channels, self.cols)).transpose(1, 2)
        return result


class ConvBlock(nn.Module):
    """Residual block over time: normalise, convolve, GELU, mix; (B, T, dim) in and out.

    Masked-out places read as zero padding.
    """

    def __init__(self, dim: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.conv = nn.Conv1d(dim, dim, kernel, padding=dilation * (kernel // 2), dilation=dilation)
        self.mix = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Add a convolution over time to x (B, frames, width); where the mask (B, frames) is 0 nothing is read."""
        h = self.norm(x) if mask is None else self.norm(x) * mask[..., None]
        result: Tensor = x + self.mix(F.gelu(self.conv(h.transpose(1, 2)).transpose(1, 2)))
        return result
