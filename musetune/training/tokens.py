"""What training does to a batch's tokens: crops, hidden streams, hidden stretches; and embeddings that nothing has
trained.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from musetune.conditioning import EXPRESSION, SHEET_STREAMS, STEM_STREAMS, MusicConditioner, MusicTokens
from musetune.conditioning.stem_frames import HIDDEN
from musetune.datasets.tokens import TokenTable
from musetune.training.seeding import chance, integers


@torch.no_grad()
def zero_unseen_embeddings(conditioner: MusicConditioner, table: TokenTable) -> None:
    """Set to zero what no clip of the table has (a meter, a section): it says nothing then, instead of something
    random, and never learns. The nulls stay: they are learned wherever a stream is hidden.
    """
    events = table.tensors["events"][table.tensors["event_mask"]]
    events_by_table = {f"fields.{i}": events[:, i] for i in range(len(conditioner.fields))}
    events_by_table |= {f"globals.{i}": table.tensors["globals"][:, i] for i in range(len(conditioner.globals))}
    for name, values in events_by_table.items():
        weight = conditioner.get_parameter(f"{name}.weight")
        unseen = torch.ones(len(weight), dtype=torch.bool)
        unseen[torch.unique(values.long())] = False
        unseen[-1] = False
        weight[unseen.to(weight.device)] = 0.0


def crop(tokens: MusicTokens, starts: Tensor, n_frames: int, frame_s: float) -> MusicTokens:
    """The tokens of `n_frames` frames from frame `starts` (B,) on; time 0 moves to the crop's start."""
    index = starts[:, None] + torch.arange(n_frames)
    frames, stems, expression = (
        x.gather(1, index[..., None].expand(-1, -1, x.shape[2]))
        for x in (tokens.frames, tokens.stems, tokens.expression)
    )
    times = tokens.event_times_s - (starts * frame_s)[:, None, None].to(tokens.event_times_s.dtype)
    seconds = n_frames * frame_s
    inside = (times[..., 0] < seconds) & (times[..., 1] > 0)
    mask = tokens.event_mask & inside
    times = times.clamp(max=seconds)
    return replace(tokens, frames=frames, stems=stems, expression=expression, event_mask=mask, event_times_s=times)


def hide_streams(
    tokens: MusicTokens,
    generators: list[torch.Generator],
    *,
    stream_dropout: float,
    condition_dropout: float,
    genre_dropout: float | None = None,
    stem_dropout: float | None = None,
    arrangement_dropout: float = 0.0,
) -> MusicTokens:
    """Hide each stream with probability `stream_dropout` (the genre and each stem with their own, where given), all
    stems together with `arrangement_dropout`, and everything with `condition_dropout`; expression is left alone
    (`hide_expression`).
    """
    nothing = chance(generators, condition_dropout)
    often = {"genre": genre_dropout} | dict.fromkeys(STEM_STREAMS, stem_dropout)
    present = dict(tokens.present)
    for name in (*sorted(SHEET_STREAMS), *STEM_STREAMS):  # in this order, which fixes the draws
        share = often.get(name)
        present[name] = present[name] & ~nothing & ~chance(generators, stream_dropout if share is None else share)
    if arrangement_dropout:
        alone = chance(generators, arrangement_dropout)
        present |= {name: present[name] & ~alone for name in STEM_STREAMS}
    return replace(tokens, present=present)


def hide_expression(tokens: MusicTokens, generators: list[torch.Generator], dropout: float) -> MusicTokens:
    """Hide each feature of expression with probability `dropout`, and all of it with half of that.

    Nothing is drawn for rows that have none, so that a run without expression repeats bit for bit.
    """
    played, present = tokens.expression.clone(), tokens.present[EXPRESSION].clone()
    for row in present.nonzero().flatten().tolist():
        own = [generators[row]]
        present[row] = ~chance(own, dropout / 2)[0]
        for feature in range(played.shape[2]):
            if bool(chance(own, dropout)[0]):
                played[row, :, feature] = HIDDEN
    return replace(tokens, expression=played, present=tokens.present | {EXPRESSION: present})


def hide_spans(
    tokens: MusicTokens, generators: list[torch.Generator], frame_s: float, probability: float
) -> MusicTokens:
    """With `probability`, hide a random stretch (a tenth to nine tenths of the clip) of what the tokens say of its
    time.
    """
    n = tokens.frames.shape[1]
    chosen_rows = chance(generators, probability)
    length = n // 10 + integers(generators, max(1, n - 2 * (n // 10)))
    start = torch.stack([integers([g], max(1, n - int(m)))[0] for g, m in zip(generators, length, strict=True)])
    frame = torch.arange(n)
    hidden = chosen_rows[:, None] & (frame >= start[:, None]) & (frame < (start + length)[:, None])
    seconds = torch.stack([start, start + length], 1) * frame_s
    middle = tokens.event_times_s.mean(2)
    silent = chosen_rows[:, None] & (middle >= seconds[:, :1]) & (middle < seconds[:, 1:])
    return replace(
        tokens,
        frames=tokens.frames.masked_fill(hidden[..., None], 0),
        stems=tokens.stems.masked_fill(hidden[..., None], HIDDEN),
        expression=tokens.expression.masked_fill(hidden[..., None], HIDDEN),
        event_mask=tokens.event_mask & ~silent,
    )


def draw_crops(generators: list[torch.Generator], rows: int, crop_rows: int) -> Tensor:
    """First latent row of a random crop of `crop_rows` out of `rows`, (B,) long."""
    if not 1 <= crop_rows <= rows:
        raise ValueError(f"crop_rows={crop_rows} is outside 1..{rows}, the rows of a clip's latent")
    return integers(generators, rows - crop_rows + 1)
