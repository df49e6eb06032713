"""The conditions of a call: rows of nothing, of words, of words and music, perhaps of notes too, for every window."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from musetune.adapter import MusicAdapter, MusicInputs
from musetune.conditioning import STEM_STREAMS, MusicTokens, tokenize
from musetune.pipeline.request import GenerationRequest
from musetune.pipeline.windows import circular_starts, window_starts


@dataclass
class ConditionBatch:
    """Conditions of some passes in one window.

    Attributes:
        text: the U-Net's arguments of the T5 stream.
        generated: GPT-2's embeddings (rows, tokens, width).
        music: what the adapter adds.
    """

    text: dict[str, Tensor]
    generated: Tensor
    music: MusicInputs


@dataclass
class Conditions:
    """Conditions of ``n`` waveforms at every level and in every window.

    The levels are nested: 0 nothing, 1 words, 2 words and music, 3 notes too; ``levels`` · ``n`` rows, level after
    level.
    """

    n: int
    levels: int
    text: dict[str, Tensor]
    generated: Tensor
    windows: list[MusicInputs]
    _selected: dict[tuple[int, tuple[int, ...]], ConditionBatch] = field(default_factory=dict)

    def select(self, window: int, levels: tuple[int, ...]) -> ConditionBatch:
        """Return the rows of some ``levels`` in a window; kept, since most steps need the same."""
        if (window, levels) not in self._selected:
            music = self.windows[window]
            if levels == tuple(range(self.levels)):
                batch = ConditionBatch(self.text, self.generated, music)
            else:
                rows = torch.cat([torch.arange(i * self.n, (i + 1) * self.n) for i in levels]).to(self.generated.device)
                text = {name: tensor[rows] for name, tensor in self.text.items()}
                batch = ConditionBatch(text, self.generated[rows], select_rows(music, rows))
            self._selected[window, levels] = batch
        return self._selected[window, levels]


def prepare_windows(
    adapter: MusicAdapter,
    request: GenerationRequest,
    rows: int,
    window_rows: int,
    row_s: float,
    device: torch.device,
    circular: bool = False,
) -> list[MusicInputs]:
    """Embed what a request follows of its sheets and arrangements, window by window, at all levels.

    Args:
        rows: latent rows of the whole.
        window_rows: latent rows of a window.
        row_s: seconds of a latent row.
        circular: the windows are a loop's; the sheets go on into its repetition.
    """
    frame_s, per_row = row_s / adapter.config.frames_per_row, adapter.config.frames_per_row
    length = min(window_rows, rows)
    windows = []
    for start in circular_starts(rows, length) if circular else window_starts(rows, window_rows, window_rows // 2):
        start_s = start * row_s
        levels: list[list[MusicTokens]] = [[] for _ in range(request.guidance.levels)]
        for music in request.music:
            sheet, notes = music.lead_sheet, music.arrangement
            tokens = tokenize(
                sheet if start == 0 else sheet.crop(start_s, length * row_s),
                arrangement=None if notes is None else notes.shift(-start_s),
                expression=None if music.expression is None else music.expression.crop(start_s),
                frame_s=frame_s,
                n_frames=length * per_row,
                event_s=adapter.config.event_s,
            ).to(device)
            tokens = music.mask.hide(tokens, start_s, frame_s)
            nested = [tokens.drop()] * 2 + [tokens.drop(STEM_STREAMS), tokens]
            for level, own in zip(levels, nested):
                level += [own] * request.waveforms
        batch = MusicTokens.stack([tokens for level in levels for tokens in level])
        windows.append(adapter.prepare(batch, length, adapter.config.cols, row_s))
    return windows


def select_rows(music: MusicInputs, rows: Tensor) -> MusicInputs:
    """Return some rows of the batch."""
    stream = music.stream
    keys, values = (tuple(None if x is None else x[rows] for x in site) for site in (stream.keys, stream.values))
    modulation = tuple((scale[rows], shift[rows]) for scale, shift in stream.modulation)
    part = stream._replace(keys=keys, values=values, mask=stream.mask[rows], modulation=modulation)
    return MusicInputs(None if music.entry is None else music.entry[rows], part)
