"""Stem frames → a map for the latent grid.

Learned nulls stand in for absent stems; where none is given the map is nothing at all.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from musetune.conditioning.conditioner import ConvBlock
from musetune.conditioning.harmonic_templates import HarmonicTemplateEncoder
from musetune.conditioning.stem_frames import HIDDEN, STEM_COLUMNS, STEM_FIELDS, STEM_STREAMS
from musetune.conditioning.tokens import MusicTokens


class StemConditioner(nn.Module):
    """Network that reads stem frames.

    Args:
        hidden: width of the frame network.
        map_channels: channels of the map.
        cols: columns of the latent grid.
        bins: bins of the base's spectrum in a column.
        frames_per_row: frames folded into a latent row.
    """

    def __init__(self, *, hidden: int, map_channels: int, cols: int, bins: int, frames_per_row: int) -> None:
        super().__init__()
        self.map_channels, self.cols, self.frames_per_row = map_channels, cols, frames_per_row
        self.null = nn.Parameter(torch.zeros(len(STEM_FIELDS)))
        self.frame_in = nn.Linear(len(STEM_FIELDS) + len(STEM_STREAMS), hidden)
        self.blocks = nn.ModuleList(ConvBlock(hidden, 5, dilation) for dilation in (1, 2, 4))
        self.fold = nn.Linear(hidden * frames_per_row, 2 * hidden)
        self.unfold = nn.Linear(2 * hidden, map_channels * cols)
        self.sketch = HarmonicTemplateEncoder(
            hidden=hidden, map_channels=map_channels, cols=cols, bins=bins, frames_per_row=frames_per_row
        )

    def forward(self, tokens: MusicTokens, rows: int) -> tuple[Tensor, Tensor]:
        """Embed tokens of rows · frames_per_row frames.

        Returns:
            The map (B, map_channels, rows, cols), and (B,) bool: whether any stem is given.
        """
        dtype = self.null.dtype
        presence = torch.stack([tokens.present[stream] for stream in STEM_STREAMS], 1)  # (B, 4)
        visible = tokens.stems != HIDDEN
        for index, stream in enumerate(STEM_STREAMS):
            visible[..., STEM_COLUMNS[stream]] &= presence[:, None, index, None]
        flags = torch.stack([visible[..., columns[0]] for columns in STEM_COLUMNS.values()], -1).to(dtype)
        stems = tokens.stems.to(dtype)
        x = self.frame_in(torch.cat([torch.where(visible, stems, self.null), flags], -1))
        for block in self.blocks:
            x = block(x)
        x = F.gelu(self.fold(x.unflatten(1, (rows, self.frames_per_row)).flatten(2)))
        frame_map = self.unfold(x).unflatten(2, (self.map_channels, self.cols)).transpose(1, 2)
        return frame_map + self.sketch(stems * visible, rows), presence.any(1)
