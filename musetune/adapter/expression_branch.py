"""The branch that reads expression: a map of its own, its entry and its modulation, on top of the lead sheet's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from musetune.adapter.film import FiLM, MapEntry
from musetune.conditioning import EXPRESSION, ExpressionConditioner

if TYPE_CHECKING:
    from musetune.adapter.stem_branch import Modulation
    from musetune.conditioning import MusicTokens


class ExpressionBranch(nn.Module):
    """Starts as nothing, like every part of an adapter.

    Where and when nothing of expression is said, it adds exactly nothing.

    channels and levels: of the sites; see MusicAdapter for the rest.
    """

    def __init__(
        self,
        *,
        hidden: int,
        map_channels: int,
        cols: int,
        frames_per_row: int,
        entry_channels: int,
        channels: tuple[int, ...],
        levels: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.levels = levels
        self.conditioner = ExpressionConditioner(
            hidden=hidden, map_channels=map_channels, cols=cols, frames_per_row=frames_per_row
        )
        self.entry = MapEntry(map_channels, entry_channels)
        self.modulation = FiLM(map_channels, channels, levels)

    def join(
        self, entry: Tensor | None, modulation: Modulation, tokens: MusicTokens, rows: int
    ) -> tuple[Tensor | None, Modulation]:
        """Return entry and modulation (none: ``None``, ``()``) with those of expression on top."""
        if not self.training and not bool(tokens.present[EXPRESSION].any()):
            return entry, modulation
        frame_map, said = self.conditioner(tokens, rows)
        gate = said.to(frame_map.dtype)[:, None, :, None].expand(-1, -1, -1, frame_map.shape[3])
        own = self.entry(frame_map) * gate
        grids = [gate]  # of every level of the U-Net: the places in whose time something is said
        for _ in range(max(self.levels)):
            height, width = (-(-size // 2) for size in grids[-1].shape[2:])
            grids.append(F.adaptive_max_pool2d(grids[-1], (height, width)))
        pairs = tuple(
            (scale * places, shift * places)
            for (scale, shift), level in zip(self.modulation(frame_map), self.levels, strict=True)
            for places in [grids[level].flatten(2).transpose(1, 2)]
        )
        if modulation:
            pairs = tuple((a + c, b + d) for (a, b), (c, d) in zip(modulation, pairs, strict=True))
        return own if entry is None else entry + own, pairs
