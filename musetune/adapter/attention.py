"""Cross-attention from latent rows to music events, with rotary positions in seconds (RoFormer, arXiv 2104.09864)."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PERIODS_S = (0.25, 60.0)  # fastest and slowest rotation: a semiquaver to a minute


class RowAngles(NamedTuple):
    """Rotation of every query of one U-Net level: ``queries`` = rows · cols; cos and sin (queries, head_dim / 2)."""

    queries: int
    cos: Tensor
    sin: Tensor


class MusicStream(NamedTuple):
    """What the sites read: keys and values per site (B, heads, N, head_dim), the events' mask (B, N), row angles per
    level, strength, and scale and shift per site (B, places, channels), none without modulation. A site that reads no
    events has no keys and values.
    """

    keys: tuple[Tensor | None, ...]
    values: tuple[Tensor | None, ...]
    mask: Tensor
    angles: tuple[RowAngles, ...]
    strength: float
    modulation: tuple[tuple[Tensor, Tensor], ...] = ()


def frequencies(head_dim: int, device: torch.device) -> Tensor:
    """Return angular frequencies (head_dim / 2,) in radians a second, geometric between PERIODS_S."""
    fast, slow = (2 * math.pi / p for p in PERIODS_S)
    return torch.logspace(math.log10(slow), math.log10(fast), head_dim // 2, device=device)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the halves of x (…, head_dim) as complex numbers by angles (…, head_dim / 2)."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


def row_angles(
    rows: int, cols: int, row_s: float, levels: int, head_dim: int, device: torch.device
) -> tuple[RowAngles, ...]:
    """Return the angles of every level of a U-Net; a row's time is its centre.

    Each level halves rows and columns, rounding up.
    """
    omega, out = frequencies(head_dim, device), []
    for _ in range(levels):
        times = ((torch.arange(rows, device=device) + 0.5) * row_s).repeat_interleave(cols)
        angle = times[:, None] * omega
        out.append(RowAngles(rows * cols, angle.cos(), angle.sin()))
        rows, cols, row_s = -(-rows // 2), -(-cols // 2), row_s * 2
    return tuple(out)


class MusicAttention(nn.Module):
    """One site's layer: query from the U-Net's hidden states (B, L, channels), keys and values from events.

    Its output starts at zero.

    rotary: turn queries and keys by their time; without it the site knows what sounds, not when.
    """

    def __init__(self, channels: int, dim: int, width: int, heads: int, *, rotary: bool = True) -> None:
        super().__init__()
        if width % (2 * heads):
            raise ValueError(
                f"width={width} is not a multiple of twice heads={heads}; rotary positions need even head sizes"
            )
        self.heads, self.rotary = heads, rotary
        self.to_q = nn.Linear(channels, width, bias=False)
        self.to_k = nn.Linear(dim, width, bias=False)
        self.to_v = nn.Linear(dim, width, bias=False)
        self.to_out = nn.Linear(width, channels)
        nn.init.zeros_(self.to_out.weight)  # zero: an untrained adapter leaves the base as it is
        nn.init.zeros_(self.to_out.bias)

    def keys_values(self, events: Tensor, times_s: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys, rotated to their time, and values, each (B, heads, N, head_dim).

        Args:
            events: (B, N, dim).
            times_s: (B, N) seconds.
        """
        k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (self.to_k(events), self.to_v(events)))
        if not self.rotary:
            return k, v
        angle = times_s[:, None, :, None].float() * frequencies(k.shape[-1], k.device)
        return rotate(k, angle.cos().to(k.dtype), angle.sin().to(k.dtype)), v

    def forward(self, hidden: Tensor, keys: Tensor, values: Tensor, stream: MusicStream) -> Tensor:
        """Return what music adds to hidden states (B, L, channels), in their shape."""
        angles = next((a for a in stream.angles if a.queries == hidden.shape[1]), None)
        if angles is None:
            raise ValueError(f"no level has {hidden.shape[1]} places; levels have {[a.queries for a in stream.angles]}")
        q = self.to_q(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        if self.rotary:
            q = rotate(q, angles.cos.to(q.dtype), angles.sin.to(q.dtype))
        out = F.scaled_dot_product_attention(q, keys, values, attn_mask=stream.mask[:, None, None, :])
        result: Tensor = self.to_out(out.transpose(1, 2).flatten(2))
        return result


class MusicAttnProcessor:
    """Processor around a site's own: attention to text as before, plus music where text comes as (text, MusicStream).

    Music is events by attention, and the frames' scale and shift of what came in; a site has one of them or both.
    """

    def __init__(self, base, layer: MusicAttention | None, index: int) -> None:  # type: ignore[no-untyped-def]
        self.base, self.layer, self.index = base, layer, index

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **kwargs):  # type: ignore[no-untyped-def]
        """Attend to the words as before, and add what the music says where it is given."""
        if not isinstance(encoder_hidden_states, tuple):
            return self.base(attn, hidden_states, encoder_hidden_states, attention_mask, **kwargs)
        text, stream = encoder_hidden_states
        out = self.base(attn, hidden_states, text, attention_mask, **kwargs)
        if stream.strength == 0.0:
            return out
        if self.layer is not None:
            music = self.layer(hidden_states, stream.keys[self.index], stream.values[self.index], stream)
            out = out + stream.strength * music
        if stream.modulation:
            scale, shift = stream.modulation[self.index]
            out = torch.add(out, torch.addcmul(shift, scale, hidden_states), alpha=stream.strength)
        return out
