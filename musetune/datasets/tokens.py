"""Music tokens of every clip of a data set, computed once and held small."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import pad
from tqdm import tqdm

from musetune.conditioning import MusicTokens, tokenize
from musetune.datasets.latent_dataset import Clip, LatentDataset
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement
from musetune.symbols.expression import Expression
from musetune.symbols.json_values import JsonObject

_CHUNK = 256
_SMALL = {torch.int64: torch.int16, torch.float32: torch.float16}
_EXACT = ("event_times_s", "features")  # seconds and tempi need more than half precision


class TokenTable:
    """The tokens of n clips as padded tensors in small types; `batch(indices)` gives them back as MusicTokens."""

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        self.tensors = tensors

    def batch(self, indices: list[int]) -> MusicTokens:
        """Tokens of some clips (B, …), without the padding that none of them needs."""
        rows = {k: _enlarge(v[indices]) for k, v in self.tensors.items()}
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
    """Tokens of all clips of a data set, from its folder's cache where that is still true.

    The cache is named after the clips and after what the tokenizer says now about three of them, so that a change of
    either makes a new one.

    Args:
        dataset: Whose lead sheets and arrangements are tokenized.
        frames_per_row: Frames of beats and chroma in a latent row, at least 1.
        event_s: Seconds between further events; None: beats and changes only.
        write: Leave the cache for the next time; False for processes other than the main one.
        quiet: Show no progress.
    """
    info = dataset.info
    frame_s, n_frames = info.row_s / frames_per_row, info.rows * frames_per_row
    path = dataset.folder / f"tokens-{_fingerprint(dataset.clips, frame_s, n_frames, event_s)}.safetensors"
    if path.exists():
        return TokenTable(load_file(path))
    sheets, arrangements, expressions = _symbols_of(dataset.clips)
    table = tabulate(sheets, arrangements, frame_s, n_frames, event_s, expressions=expressions, quiet=quiet)
    if write:
        scratch = path.with_suffix(f".{os.getpid()}.tmp")
        save_file(table.tensors, scratch)
        os.replace(scratch, path)
    return table


def tabulate(
    sheets: Sequence[JsonObject],
    arrangements: Sequence[JsonObject | None],
    frame_s: float,
    n_frames: int,
    event_s: float | None = None,
    *,
    expressions: Sequence[JsonObject | None] | None = None,
    quiet: bool = False,
) -> TokenTable:
    """The tokens of lead sheets, their arrangements and how they are played, where known, given as JSON, each for
    `n_frames` frames of `frame_s` seconds; `event_s` as in tokenize.
    """
    rows = list(zip(sheets, arrangements, expressions or [None] * len(sheets), strict=True))
    chunks = []
    with tqdm(total=len(rows), desc="tokens", unit="clip", disable=quiet) as progress:
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            chunks.append(_shrunk(MusicTokens.stack(list(_tokens(part, frame_s, n_frames, event_s))).tensors()))
            progress.update(len(part))
    longest = max(chunk["event_mask"].shape[1] for chunk in chunks)
    return TokenTable({k: torch.cat([_pad(k, chunk[k], longest) for chunk in chunks]) for k in chunks[0]})


def _symbols_of(
    clips: Sequence[Clip],
) -> tuple[list[JsonObject], list[JsonObject | None], list[JsonObject | None]]:
    return (
        [clip.lead_sheet for clip in clips],
        [clip.arrangement for clip in clips],
        [clip.expression for clip in clips],
    )


def _tokens(
    rows: Sequence[tuple[JsonObject, JsonObject | None, JsonObject | None]],
    frame_s: float,
    n_frames: int,
    event_s: float | None,
) -> Iterator[MusicTokens]:
    for sheet_json, arrangement_json, expression_json in rows:
        sheet = LeadSheet.from_json(sheet_json)
        arrangement = None if arrangement_json is None else Arrangement.from_json(arrangement_json, sheet.grid)
        yield tokenize(
            sheet,
            duration_s=frame_s * n_frames,
            frame_s=frame_s,
            n_frames=n_frames,
            event_s=event_s,
            arrangement=arrangement,
            expression=None if expression_json is None else Expression.from_json(expression_json),
        )


def _fingerprint(clips: list[Clip], frame_s: float, n_frames: int, event_s: float | None) -> str:
    digest = hashlib.blake2b(f"{frame_s} {n_frames} {event_s}".encode(), digest_size=8)
    for clip in clips:
        digest.update(clip.id.encode(errors="backslashreplace"))
    three = _symbols_of([clips[0], clips[len(clips) // 2], clips[-1]])
    for tokens in _tokens(list(zip(*three, strict=True)), frame_s, n_frames, event_s):
        for name, tensor in sorted(tokens.tensors().items()):
            digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _shrunk(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: v if k in _EXACT else v.to(_SMALL.get(v.dtype, v.dtype)) for k, v in tensors.items()}


def _enlarge(tensor: Tensor) -> Tensor:
    return tensor.to({v: k for k, v in _SMALL.items()}.get(tensor.dtype, tensor.dtype))


def _pad(name: str, tensor: Tensor, longest: int) -> Tensor:
    if not name.startswith("event"):
        return tensor
    return pad(tensor, [0, 0] * (tensor.ndim - 2) + [0, longest - tensor.shape[1]])
