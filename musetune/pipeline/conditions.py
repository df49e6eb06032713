"""What the U-Net is told: rows of nothing, of words, of words and music, perhaps of stems too, for every window; a step takes those that it needs."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from musetune.adapter import MusicAdapter, Prepared
from musetune.conditioning import STEM_STREAMS, MusicTokens, tokenize
from musetune.pipeline.piece import Piece
from musetune.pipeline.windows import window_starts


@dataclass
class ConditionBatch:
    """Conditions of some passes in one window. text: the U-Net's arguments of the T5 stream; generated: GPT-2's (rows, tokens, width)."""

    text: dict[str, Tensor]
    generated: Tensor
    music: Prepared


@dataclass
class Conditions:
    """Those of ``n`` waveforms at every level (``levels`` · n rows: without conditions, with words, with words and music, with stems too) and
    in every window."""

    n: int
    levels: int
    text: dict[str, Tensor]
    generated: Tensor
    windows: list[Prepared]
    _chosen: dict[tuple[int, tuple[int, ...]], ConditionBatch] = field(default_factory=dict)

    def told(self, window: int, which: tuple[int, ...]) -> ConditionBatch:
        """The rows of the levels ``which`` (of 0 … levels − 1) in a window."""
        if (window, which) not in self._chosen:
            music = self.windows[window]
            if which == tuple(range(self.levels)):
                chosen = ConditionBatch(self.text, self.generated, music)
            else:
                rows = torch.cat([torch.arange(p * self.n, (p + 1) * self.n) for p in which]).to(self.generated.device)
                text = {name: tensor[rows] for name, tensor in self.text.items()}
                chosen = ConditionBatch(text, self.generated[rows], some_rows(music, rows))
            self._chosen[window, which] = chosen
        return self._chosen[window, which]


def prepare_windows(
    adapter: MusicAdapter, piece: Piece, n: int, grid: tuple[int, int, float], device: torch.device
) -> list[Prepared]:
    """What is asked for of a piece's sheet and arrangement in every window, embedded for all levels of ``n`` waveforms.

    grid: latent rows of the whole, of a window, and seconds of one.
    """
    rows, size, row_s = grid
    out, frame_s = [], row_s / adapter.config.frames_per_row
    length = min(size, rows)
    for start in window_starts(rows, size, size // 2):
        start_s = start * row_s
        part = piece.sheet if start == 0 else piece.sheet.crop(start_s, length * row_s)
        frames = length * adapter.config.frames_per_row
        played = None if piece.arrangement is None else piece.arrangement.shift(-start_s)
        options = {"frame_s": frame_s, "n_frames": frames, "event_s": adapter.config.event_s}
        tokens = piece.asked.hide(tokenize(part, arrangement=played, **options).to(device), start_s, frame_s)
        levels = [tokens.drop()] * 2 + [tokens.drop(STEM_STREAMS)] + [tokens] * (played is not None)
        batch = MusicTokens.stack([level for level in levels for _ in range(n)])
        out.append(adapter.prepare(batch, length, adapter.config.cols, row_s))
    return out


def some_rows(music: Prepared, rows: Tensor) -> Prepared:
    """The same of some rows of the batch."""
    stream = music.stream
    keys, values = (tuple(None if x is None else x[rows] for x in site) for site in (stream.keys, stream.values))
    modulation = tuple((scale[rows], shift[rows]) for scale, shift in stream.modulation)
    part = stream._replace(keys=keys, values=values, mask=stream.mask[rows], modulation=modulation)
    return Prepared(None if music.entry is None else music.entry[rows], part)
