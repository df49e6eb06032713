"""The branch that reads stems: a map of its own, its entry and its modulation, on top of the lead sheet's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from musetune.adapter.film import FiLM, MapEntry
from musetune.conditioning import STEM_STREAMS, StemConditioner

if TYPE_CHECKING:
    from musetune.conditioning import MusicTokens

Modulation = tuple[tuple[Tensor, Tensor], ...]


class StemBranch(nn.Module):
    """Starts as nothing, like every part of an adapter.

    Where a row of the batch has no stem, it adds exactly nothing there.

    channels and levels: of the sites; see MusicAdapter for the rest.
    """

    def __init__(
        self,
        *,
        hidden: int,
        map_channels: int,
        cols: int,
        bins: int,
        frames_per_row: int,
        entry_channels: int,
        channels: tuple[int, ...],
        levels: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.conditioner = StemConditioner(
            hidden=hidden, map_channels=map_channels, cols=cols, bins=bins, frames_per_row=frames_per_row
        )
        self.entry = MapEntry(map_channels, entry_channels)
        self.modulation = FiLM(map_channels, channels, levels)

    def join(
        self, entry: Tensor | None, modulation: Modulation, tokens: MusicTokens, rows: int
    ) -> tuple[Tensor | None, Modulation]:
        """Return the lead sheet's entry and modulation (none: ``None``, ``()``) with those of the stems on top."""
        if not self.training and not any(bool(tokens.present[stream].any()) for stream in STEM_STREAMS):
            return entry, modulation
        frame_map, presence = self.conditioner(tokens, rows)
        own = self.entry(frame_map) * presence[:, None, None, None]
        pairs = tuple(
            (scale * presence[:, None, None], shift * presence[:, None, None])
            for scale, shift in self.modulation(frame_map)
        )
        if modulation:
            pairs = tuple((a + c, b + d) for (a, b), (c, d) in zip(modulation, pairs, strict=True))
        return own if entry is None else entry + own, pairs
