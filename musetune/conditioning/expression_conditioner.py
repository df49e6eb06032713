"""Expression frames → a map for the latent grid, with the beats beside them: swing is a place between two of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from musetune.conditioning.conditioner import ConvBlock
from musetune.conditioning.expression_frames import EXPRESSION, EXPRESSION_FIELDS
from musetune.conditioning.stem_frames import HIDDEN
from musetune.conditioning.tokens import BEAT_COLUMNS, FRAME_FIELDS, KERNEL_S, MusicTokens
from musetune.symbols.expression import RANGES

SPREAD = 8.0  # brings features of 0 to 1, which fill a part of that, to about unit variance
SWING = EXPRESSION_FIELDS.index("swing")
SINE, COSINE = FRAME_FIELDS.index("beat_sin"), FRAME_FIELDS.index("beat_cos")
INPUTS = 2 * len(EXPRESSION_FIELDS) + len(range(*BEAT_COLUMNS.indices(len(FRAME_FIELDS)))) + 2


class ExpressionConditioner(nn.Module):
    """Network that reads expression frames.

    Args:
        hidden: width of the frame network.
        map_channels: channels of the map.
        cols: columns of the latent grid.
        frames_per_row: frames folded into a latent row.
    """

    def __init__(self, *, hidden: int, map_channels: int, cols: int, frames_per_row: int) -> None:
        super().__init__()
        self.map_channels, self.cols, self.frames_per_row = map_channels, cols, frames_per_row
        self.frame_in = nn.Linear(INPUTS, hidden)
        self.blocks = nn.ModuleList(ConvBlock(hidden, 5, dilation) for dilation in (1, 2, 4))
        self.fold = nn.Linear(hidden * frames_per_row, 2 * hidden)
        self.unfold = nn.Linear(2 * hidden, map_channels * cols)

    def forward(self, tokens: MusicTokens, rows: int) -> tuple[Tensor, Tensor]:
        """Embed tokens of rows · frames_per_row frames.

        Returns:
            The map (B, map_channels, rows, cols), and (B, rows) bool: where any feature is said.
        """
        dtype = self.frame_in.weight.dtype
        said = (tokens.expression != HIDDEN) & tokens.present[EXPRESSION][:, None, None]
        beats = tokens.present["beats"][:, None, None].to(dtype)
        pulse = tokens.frames[..., BEAT_COLUMNS].to(dtype) * beats
        features = torch.where(said, (tokens.expression.to(dtype) - 0.5) * SPREAD, 0.0)
        half = off_beats(tokens).to(dtype)[..., None] * beats * said[..., SWING, None]
        x = torch.cat([features, said.to(dtype), pulse, half, beats.expand_as(half)], -1)
        x = self.frame_in(x)
        for block in self.blocks:
            x = block(x)
        x = F.gelu(self.fold(x.unflatten(1, (rows, self.frames_per_row)).flatten(2)))
        frame_map = self.unfold(x).unflatten(2, (self.map_channels, self.cols)).transpose(1, 2)
        return frame_map, said.any(2).reshape(-1, rows, self.frames_per_row).any(2)


def off_beats(tokens: MusicTokens) -> Tensor:
    """Kernels like those of the beats where swing puts the second half of each beat.

    Args:
        tokens: B rows of F frames; the phase in the beat is that of their beats, the beat's length their tempo's.

    Returns:
        (B, F) float32; 0 where no beat is.
    """
    low, high = RANGES["swing"]
    frames, place = tokens.frames.float(), low + tokens.expression[..., SWING].float() * (high - low)
    phase = torch.atan2(frames[..., SINE], frames[..., COSINE]) / (2 * math.pi)
    apart = (phase - place + 0.5) % 1 - 0.5  # beats, to the nearest
    beat_s = 0.5 / torch.exp2(tokens.features[:, :1].float())
    there = frames[..., SINE].square() + frames[..., COSINE].square() > 0.25
    return torch.exp(-0.5 * (apart * beat_s / KERNEL_S).square()) * there
