"""The frame map's ways in: what is added to the U-Net's first convolution, and a scale and a shift at every site (FiLM,
arXiv 1709.07871).

Both are computed once for all steps. The first travels as further channels of ``sample``, so that checkpointing and
compilation see it.
"""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F


class MapEntry(nn.Module):
    """Frame map (B, map_channels, rows, cols) → what is added to conv_in's output.

    The last convolution starts at zero.
    """

    def __init__(self, map_channels: int, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(map_channels, map_channels, 3, padding=1)
        self.out = nn.Conv2d(map_channels, channels, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, frame_map: Tensor) -> Tensor:
        """Mix the frame map (B, channels, rows, cols) and bring it to its output's width."""
        result: Tensor = self.out(F.gelu(self.mix(frame_map)))
        return result


class FiLM(nn.Module):
    """Frame map → per site a scale and a shift of every place and channel; both start at zero.

    It is computed once for all steps.

    channels and levels: of the sites, a level's grid being half its predecessor's, rounded up.
    """

    def __init__(self, map_channels: int, channels: tuple[int, ...], levels: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = levels
        halve = partial(nn.Conv2d, map_channels, map_channels, 3, stride=2, padding=1)
        self.down = nn.ModuleList(halve() for _ in range(max(levels)))
        self.out = nn.ModuleList(nn.Conv2d(map_channels, 2 * c, 1) for c in channels)
        for conv in self.out:
            nn.init.zeros_(conv.weight)  # type: ignore[arg-type]
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]

    def forward(self, frame_map: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
        """(B, map_channels, rows, cols) → for each site scale and shift, each (B, places, channels)."""
        grids = [F.gelu(frame_map)]
        for conv in self.down:
            grids.append(F.gelu(conv(grids[-1])))
        pairs = (conv(grids[level]).chunk(2, dim=1) for conv, level in zip(self.out, self.levels, strict=True))
        return tuple((_places(scale), _places(shift)) for scale, shift in pairs)


def _places(grid: Tensor) -> Tensor:
    """Return (B, places, channels) of a grid (B, channels, rows, cols), in memory as the steps read it."""
    return grid.flatten(2).transpose(1, 2).contiguous()


class ConditionedConvIn(nn.Module):
    """Stands where ``conv_in`` stood.

    (B, in_channels [+ further], rows, cols); further channels are added to its output.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, sample: Tensor) -> Tensor:
        """Convolve the latents, and add the music's channels where the sample (B, channels, rows, cols) has them."""
        own = self.conv.in_channels
        if sample.shape[1] == own:
            result: Tensor = self.conv(sample)
            return result
        result = self.conv(sample[:, :own]) + sample[:, own:]
        return result
