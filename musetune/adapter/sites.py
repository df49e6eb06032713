"""Where an adapter plugs in: the cross-attentions of the GPT-2 stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diffusers.models.attention_processor import Attention
from torch import nn

from musetune.adapter.lora import walk

if TYPE_CHECKING:
    from diffusers import AudioLDM2UNet2DConditionModel


def music_sites(unet: AudioLDM2UNet2DConditionModel) -> list[Attention]:
    """The GPT-2 stream's cross-attentions in the U-Net's order.

    A block's ``attentions`` come in groups of one transformer a stream (self, GPT-2, T5); the first that crosses is
    GPT-2's, and all of its layers are sites.
    """
    sites: list[Attention] = []
    for _, block in walk(unet):
        transformers = block._modules.get("attentions")
        if transformers is None:
            continue
        streams = len(block.cross_attention_dim)  # type: ignore[arg-type]
        for first in range(0, len(transformers), streams):  # type: ignore[arg-type]
            crossing = [_cross_attentions(t) for t in transformers[first : first + streams]]  # type: ignore[index]
            sites += next((attentions for attentions in crossing if attentions), [])
    return sites


def site_levels(unet: AudioLDM2UNet2DConditionModel) -> tuple[int, ...]:
    """Return the level of every site of ``music_sites``: 0 at the latents' own size, each further one half of it."""
    levels: dict[int, int] = {}
    last = len(unet.down_blocks) - 1
    for level, block in [
        *enumerate(unet.down_blocks),
        (last, unet.mid_block),
        *((last - i, b) for i, b in enumerate(unet.up_blocks)),
    ]:
        levels |= {id(attn): level for attn in _cross_attentions(block)}
    return tuple(levels[id(attn)] for attn in music_sites(unet))


def _cross_attentions(module: nn.Module) -> list[Attention]:
    return [m for _, m in walk(module) if isinstance(m, Attention) and m.is_cross_attention]
