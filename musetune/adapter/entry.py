"""The frame map's way in: the U-Net's first convolution, wrapped to take the map as further input channels."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class MapEntry(nn.Module):
    """Frame map (B, map_channels, rows, cols) → what is added to conv_in's output; the last convolution starts at zero."""

    def __init__(self, map_channels: int, channels: int) -> None:
        super().__init__()
        self.mix = nn.Conv2d(map_channels, map_channels, 3, padding=1)
        self.out = nn.Conv2d(map_channels, channels, 3, padding=1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)  # type: ignore[arg-type]

    def forward(self, frame_map: Tensor) -> Tensor:
        return self.out(F.gelu(self.mix(frame_map)))


class EntryConv(nn.Module):
    """Stands where ``conv_in`` stood: (B, in_channels [+ map_channels], rows, cols); without the map it is ``conv_in``."""

    def __init__(self, conv: nn.Conv2d, entry: MapEntry) -> None:
        super().__init__()
        self.conv = conv
        self._entry = [entry]  # a list keeps the adapter's weights out of the U-Net's state

    def forward(self, sample: Tensor) -> Tensor:
        own = self.conv.in_channels
        if sample.shape[1] == own:
            return self.conv(sample)
        latents, frame_map = sample.split([own, sample.shape[1] - own], dim=1)
        return self.conv(latents) + self._entry[0](frame_map)
