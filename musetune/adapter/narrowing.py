"""A music adapter for a narrower U-Net: what touches the U-Net's channels keeps those that the U-Net keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from musetune.adapter.adapter import MusicAdapter, inner_width
from musetune.adapter.attention import MusicAttention
from musetune.adapter.film import FiLM, MapEntry
from musetune.adapter.lora import plain_weights, walk
from musetune.adapter.sites import music_sites, site_levels
from musetune.models.pruning import (
    Axis,
    KeptChannels,
    choose_channels,
    inner_space,
    level_space,
    narrow_unet,
)

if TYPE_CHECKING:
    from diffusers import AudioLDM2UNet2DConditionModel

PREFIX = "adapter."  # of the adapter's weights beside the U-Net's


def adapter_axes(adapter: MusicAdapter) -> dict[str, tuple[Axis, ...]]:
    """Return the spaces of the U-Net on the axes of those weights of an attached adapter that touch them, by name.

    Sites read and write hidden states inside a transformer; a map's entry writes what ``conv_in`` hands on.
    """
    unet = adapter.unet
    paths = {id(module): path for path, module in walk(unet)}
    sites = [inner_space(paths[id(attention)]) for attention in music_sites(unet)]
    entry = level_space(unet.config.block_out_channels[0])
    axes: dict[str, tuple[Axis, ...]] = {}
    for name, module in adapter.named_modules():
        if isinstance(module, MusicAttention):
            inner = (sites[int(name.rpartition(".")[2])],)
            axes[f"{name}.to_q.weight"] = (None, inner)
            axes |= _out(f"{name}.to_out", inner)
        elif isinstance(module, MapEntry):
            axes |= _out(f"{name}.out", (entry,))
        elif isinstance(module, FiLM):
            for i, space in enumerate(sites):
                axes |= _out(f"{name}.out.{i}", (space, space))  # scales, then shifts
    return axes


def _out(name: str, spaces: tuple[str, ...]) -> dict[str, tuple[Axis, ...]]:
    return {f"{name}.weight": (spaces,), f"{name}.bias": (spaces,)}


def fresh_narrow_adapter(adapter: MusicAdapter, widths: tuple[int, ...]) -> MusicAdapter:
    """Return a new adapter of the shape that an attached one has on a narrower U-Net, with its inner sizes.

    Args:
        adapter: on the wide U-Net.
        widths: of the narrow U-Net's levels.
    """
    shape = adapter.config
    given = {name: value for name, value in shape.items() if not name.startswith("_")}
    fresh: MusicAdapter = MusicAdapter.from_config(
        {
            **given,
            "channels": tuple(widths[level] for level in site_levels(adapter.unet)),
            "entry_channels": widths[0],
            "site_widths": tuple(shape.site_widths or map(inner_width, shape.channels)),
            "lora": False,
        }
    )
    return fresh


@torch.no_grad()
def narrow_adapter(adapter: MusicAdapter, kept: KeptChannels) -> MusicAdapter:
    """Return an adapter for the U-Net that keeps the channels ``kept``; it is not attached.

    Args:
        adapter: on the wide U-Net; it stays as it is.
        kept: from ``choose_channels``.

    Raises:
        ValueError: for an adapter with a LoRA, which a narrow U-Net can only hold in its weights.
    """
    if adapter.has_lora:
        raise ValueError("a LoRA of the wide U-Net does not fit the narrow one: absorb_lora() it first")
    axes = adapter_axes(adapter)
    narrow = fresh_narrow_adapter(adapter, kept.widths)
    narrow.load_state_dict({name: kept.select(w, axes.get(name, ())) for name, w in adapter.state_dict().items()})
    narrow.to(adapter.dtype).train(adapter.training)
    return narrow


def pair_weights(adapter: MusicAdapter) -> dict[str, nn.Parameter]:
    """Return the weights of a U-Net, by their plain names, and of the adapter on it, as ``adapter.…``."""
    own = {PREFIX + name: weight for name, weight in adapter.named_parameters()}
    return plain_weights(adapter.unet) | own


def prune_pair(
    adapter: MusicAdapter, widths: tuple[int, ...], importance: Mapping[str, Tensor]
) -> tuple[AudioLDM2UNet2DConditionModel, MusicAdapter]:
    """Return a narrower U-Net and a music adapter for it, not attached, that keep the channels that count most.

    Args:
        adapter: on the wide U-Net, without a LoRA; both stay as they are.
        widths: of the narrow U-Net's levels, from ``narrow_widths``.
        importance: of every weight of ``pair_weights``, by its name and in its shape, at least 0.

    Raises:
        ValueError: for an adapter with a LoRA, and for a U-Net of other blocks than AudioLDM 2's.
    """
    unet = adapter.unet
    axes = {PREFIX + name: spaces for name, spaces in adapter_axes(adapter).items()}
    kept = choose_channels(unet, widths, importance, axes)
    narrow = narrow_adapter(adapter, kept)
    adapter.detach()
    try:
        return narrow_unet(unet, kept), narrow
    finally:
        adapter.attach(unet)
