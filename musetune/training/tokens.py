"""Music tokens of every clip of a data set, computed once, held small, cropped and partly hidden for each batch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import pad
from tqdm import tqdm

from musetune.conditioning import SHEET_STREAMS, STEM_STREAMS, MusicConditioner, MusicTokens, tokenize
from musetune.conditioning.stem_frames import HIDDEN
from musetune.datasets.latent_dataset import Clip, LatentDataset
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement
from musetune.training.seeding import chance, integers

_CHUNK = 256
_SMALL = {torch.int64: torch.int16, torch.float32: torch.float16}
_EXACT = ("event_times_s", "features")  # seconds and tempi need more than half precision


class TokenTable:
    """The tokens of n clips as padded tensors in small types; `batch(indices)` gives them back as MusicTokens."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors

    def batch(self, indices: list[int]) -> MusicTokens:
        """Tokens of some clips (B, …), without the padding that none of them needs."""
        rows = {k: _enlarged(v[indices]) for k, v in self.tensors.items()}
        mask = rows["event_mask"]
        longest = max(1, int(mask.any(0).nonzero().max()) + 1) if bool(mask.any()) else 1
        return MusicTokens.from_tensors({k: v[:, :longest] if k.startswith("event") else v for k, v in rows.items()})


def load_tokens(
    dataset: LatentDataset,
    frames_per_row: int,
    event_s: float | None = None,
    *,
    write: bool = True,
    quiet: bool = False,
) -> TokenTable:
    """Tokens of all clips at `frames_per_row` frames a latent row, from the folder's cache where it is still true.

    The cache is named after the clips and after what the tokenizer says now about three of them, so that a change of
    either makes a new one. `write` False (processes other than the main one) leaves the folder alone.
    """
    info = dataset.info
    frame_s, n_frames = info.row_s / frames_per_row, info.rows * frames_per_row
    path = dataset.folder / f"tokens-{_fingerprint(dataset.clips, frame_s, n_frames, event_s)}.safetensors"
    if path.exists():
        return TokenTable(load_file(path))
    table = tabulate(*_symbols_of(dataset.clips), frame_s, n_frames, event_s, quiet=quiet)
    if write:
        scratch = path.with_suffix(f".{os.getpid()}.tmp")
        save_file(table.tensors, scratch)
        os.replace(scratch, path)
    return table


def tabulate(
    sheets: Sequence[dict],
    arrangements: Sequence[dict | None],
    frame_s: float,
    n_frames: int,
    event_s: float | None = None,
    *,
    quiet: bool = False,
) -> TokenTable:
    """The tokens of lead sheets and their arrangements, where known, given as JSON, each for `n_frames` frames of `frame_s` seconds;
    `event_s` as in tokenize."""
    pairs = list(zip(sheets, arrangements, strict=True))
    chunks = [
        _shrunk(MusicTokens.stack(list(_tokens(pairs[i : i + _CHUNK], frame_s, n_frames, event_s))).tensors())
        for i in tqdm(range(0, len(sheets), _CHUNK), desc="tokens", unit_scale=_CHUNK, unit="clip", disable=quiet)
    ]
    longest = max(chunk["event_mask"].shape[1] for chunk in chunks)
    return TokenTable({k: torch.cat([_padded(k, chunk[k], longest) for chunk in chunks]) for k in chunks[0]})


@torch.no_grad()
def zero_unseen_embeddings(conditioner: MusicConditioner, table: TokenTable) -> None:
    """Set to zero what no clip of the table has (a metre, a section): it says nothing then, instead of something random, and never
    learns. The nulls stay: they are learned wherever a stream is hidden."""
    events = table.tensors["events"][table.tensors["event_mask"]]
    seen = {f"fields.{i}": events[:, i] for i in range(len(conditioner.fields))}
    seen |= {f"globals.{i}": table.tensors["globals"][:, i] for i in range(len(conditioner.globals))}
    for name, values in seen.items():
        weight = conditioner.get_parameter(f"{name}.weight")
        unseen = torch.ones(len(weight), dtype=torch.bool)
        unseen[values.long().unique()] = False
        unseen[-1] = False
        weight[unseen.to(weight.device)] = 0.0


def crop(tokens: MusicTokens, starts: Tensor, n_frames: int, frame_s: float) -> MusicTokens:
    """The tokens of `n_frames` frames from frame `starts` (B,) on; time 0 moves to the crop's start."""
    index = starts[:, None] + torch.arange(n_frames)
    frames, stems = (x.gather(1, index[..., None].expand(-1, -1, x.shape[2])) for x in (tokens.frames, tokens.stems))
    times = tokens.event_times_s - (starts * frame_s)[:, None, None].to(tokens.event_times_s.dtype)
    seconds = n_frames * frame_s
    inside = (times[..., 0] < seconds) & (times[..., 1] > 0)
    mask = tokens.event_mask & inside
    return replace(tokens, frames=frames, stems=stems, event_mask=mask, event_times_s=times.clamp(max=seconds))


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
    """Hide each stream with probability `stream_dropout` (the genre and each stem with their own, where given), all stems together with
    `arrangement_dropout`, and everything with `condition_dropout`."""
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


def hide_spans(
    tokens: MusicTokens, generators: list[torch.Generator], frame_s: float, probability: float
) -> MusicTokens:
    """With `probability`, hide a random stretch (a tenth to nine tenths of the clip) of what the tokens say of its time."""
    n = tokens.frames.shape[1]
    struck = chance(generators, probability)
    length = n // 10 + integers(generators, max(1, n - 2 * (n // 10)))
    start = torch.stack([integers([g], max(1, n - int(m)))[0] for g, m in zip(generators, length, strict=True)])
    frame = torch.arange(n)
    hidden = struck[:, None] & (frame >= start[:, None]) & (frame < (start + length)[:, None])
    seconds = torch.stack([start, start + length], 1) * frame_s
    middle = tokens.event_times_s.mean(2)
    silent = struck[:, None] & (middle >= seconds[:, :1]) & (middle < seconds[:, 1:])
    return replace(
        tokens,
        frames=tokens.frames.masked_fill(hidden[..., None], 0),
        stems=tokens.stems.masked_fill(hidden[..., None], HIDDEN),
        event_mask=tokens.event_mask & ~silent,
    )


def _symbols_of(clips: Sequence[Clip]) -> tuple[list[dict], list[dict | None]]:
    return [clip.lead_sheet for clip in clips], [clip.arrangement for clip in clips]


def _tokens(
    pairs: Sequence[tuple[dict, dict | None]], frame_s: float, n_frames: int, event_s: float | None
) -> Iterator[MusicTokens]:
    for sheet_json, arrangement_json in pairs:
        sheet = LeadSheet.from_json(sheet_json)
        arrangement = None if arrangement_json is None else Arrangement.from_json(arrangement_json, sheet.grid)
        yield tokenize(
            sheet,
            duration_s=frame_s * n_frames,
            frame_s=frame_s,
            n_frames=n_frames,
            event_s=event_s,
            arrangement=arrangement,
        )


def _fingerprint(clips: list[Clip], frame_s: float, n_frames: int, event_s: float | None) -> str:
    digest = hashlib.blake2b(f"{frame_s} {n_frames} {event_s}".encode(), digest_size=8)
    for clip in clips:
        digest.update(clip.id.encode())
    three = _symbols_of([clips[0], clips[len(clips) // 2], clips[-1]])
    for tokens in _tokens(list(zip(*three, strict=True)), frame_s, n_frames, event_s):
        for name, tensor in sorted(tokens.tensors().items()):
            digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _shrunk(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: v if k in _EXACT else v.to(_SMALL.get(v.dtype, v.dtype)) for k, v in tensors.items()}


def _enlarged(tensor: Tensor) -> Tensor:
    return tensor.to({v: k for k, v in _SMALL.items()}.get(tensor.dtype, tensor.dtype))


def _padded(name: str, tensor: Tensor, longest: int) -> Tensor:
    if not name.startswith("event"):
        return tensor
    return pad(tensor, [0, 0] * (tensor.ndim - 2) + [0, longest - tensor.shape[1]])


def draw_crops(generators: list[torch.Generator], rows: int, crop_rows: int) -> Tensor:
    """First latent row of a random crop of `crop_rows` out of `rows`, (B,) long."""
    if not 1 <= crop_rows <= rows:
        raise ValueError(f"crop_rows={crop_rows} is outside 1..{rows}, the rows of a clip's latent")
    return integers(generators, rows - crop_rows + 1)
