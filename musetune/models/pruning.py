"""Structured pruning of an AudioLDM 2 U-Net: narrower levels, the channels that count least left out.

Every weight's axes lie in spaces: the channels of a level, the inner channels of a layer, a head's dimensions. What is
left out is left out of a whole space, in every weight that touches it, so that the result is an ordinary
``AudioLDM2UNet2DConditionModel`` with smaller ``block_out_channels``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import AudioLDM2UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import Tensor, nn

Axis = tuple[str, ...] | None  # the spaces that lie side by side on an axis; None: all of it stays


@dataclass(frozen=True)
class Space:
    """Channels that are kept or left out together.

    Attributes:
        size: how many there are.
        kept: how many stay.
        parts: equal parts, of each of which equally many stay: groups of a norm, heads of an attention.
    """

    size: int
    kept: int
    parts: int = 1


class ChannelMap:
    """The spaces of a U-Net's weights, for a narrower one.

    Args:
        unet: the wide one.
        widths: of the narrow one's levels.
    """

    def __init__(self, unet: AudioLDM2UNet2DConditionModel, widths: tuple[int, ...]) -> None:
        self.wide, self.narrow = tuple(unet.config.block_out_channels), widths
        self.groups = unet.config.norm_num_groups
        heads = unet.config.num_attention_heads or unet.config.attention_head_dim
        self.heads = tuple(heads) if isinstance(heads, list | tuple) else (heads,) * len(widths)
        self.spaces: dict[str, Space] = {}
        self.axes: dict[str, tuple[Axis, ...]] = {}
        for width, kept in zip(self.wide, widths):  # levels of one width may share channels: they keep the same
            self._space(level_space(width), width, kept, self.groups)
        self._space("waves", self.wide[0], widths[0])
        self._space("time", 4 * self.wide[0], 4 * widths[0])
        self._space("time inside", 4 * self.wide[0], 4 * widths[0])
        self._walk(unet)

    def _space(self, name: str, size: int, kept: int, parts: int = 1) -> str:
        self.spaces[name] = Space(size, kept, parts)
        return name

    def _walk(self, unet: AudioLDM2UNet2DConditionModel) -> None:
        first = level_space(self.wide[0])
        self._affine("conv_in", (first,), None)
        self._affine("time_embedding.linear_1", ("time inside",), ("waves",))
        self._affine("time_embedding.linear_2", ("time",), ("time inside",))
        self._affine("conv_norm_out", (first,))
        self._affine("conv_out", None, (first,))
        last = len(self.wide) - 1
        inputs = [self.wide[0]]  # what the way down hands to the way up
        for level, block in enumerate(unet.down_blocks):
            width, source = self.wide[level], self.wide[max(0, level - 1)]
            for i, _ in enumerate(block.resnets):
                self._resnet(unet, f"down_blocks.{level}.resnets.{i}", level, (source if i == 0 else width,))
                inputs.append(width)
            self._transformers(unet, f"down_blocks.{level}", level)
            if block.downsamplers:
                self._affine(f"down_blocks.{level}.downsamplers.0.conv", (level_space(width),), (level_space(width),))
                inputs.append(width)
        for i, _ in enumerate(unet.mid_block.resnets):
            self._resnet(unet, f"mid_block.resnets.{i}", last, (self.wide[last],))
        self._transformers(unet, "mid_block", last)
        source = self.wide[last]
        for up, block in enumerate(unet.up_blocks):
            level = last - up
            for i, _ in enumerate(block.resnets):
                self._resnet(unet, f"up_blocks.{up}.resnets.{i}", level, (source, inputs.pop()))
                source = self.wide[level]
            self._transformers(unet, f"up_blocks.{up}", level)
            if block.upsamplers:
                width = self.wide[level]
                self._affine(f"up_blocks.{up}.upsamplers.0.conv", (level_space(width),), (level_space(width),))

    def _affine(self, name: str, out: Axis, into: Axis | str = "norm") -> None:
        """A convolution or a matrix; a norm where ``into`` is not given."""
        self.axes[f"{name}.weight"] = (out,) if isinstance(into, str) else (out, into)
        self.axes[f"{name}.bias"] = (out,)

    def _resnet(self, unet: nn.Module, name: str, level: int, sources: tuple[int, ...]) -> None:
        module = unet.get_submodule(name)
        if not isinstance(module, ResnetBlock2D):
            raise ValueError(f"{name} is a {type(module).__name__}: only ResnetBlock2D can be pruned")
        out = (level_space(self.wide[level]),)
        into = tuple(map(level_space, sources))
        inner = (self._space(f"{name} inside", self.wide[level], self.narrow[level], self.groups),)
        self._affine(f"{name}.norm1", into)
        self._affine(f"{name}.conv1", inner, into)
        self._affine(f"{name}.time_emb_proj", inner, ("time",))
        self._affine(f"{name}.norm2", inner)
        self._affine(f"{name}.conv2", out, inner)
        if module.conv_shortcut is not None:
            self._affine(f"{name}.conv_shortcut", out, into)

    def _transformers(self, unet: nn.Module, name: str, level: int) -> None:
        for i, module in enumerate(getattr(unet.get_submodule(name), "attentions", None) or ()):
            if not isinstance(module, Transformer2DModel):
                raise ValueError(f"{name} holds a {type(module).__name__}: only Transformer2DModel can be pruned")
            path, out = f"{name}.attentions.{i}", (level_space(self.wide[level]),)
            inner = (self._space(f"{path} inside", self.wide[level], self.narrow[level]),)
            self._affine(f"{path}.norm", out)
            self._affine(f"{path}.proj_in", inner, out)
            self._affine(f"{path}.proj_out", out, inner)
            for j, block in enumerate(module.transformer_blocks):
                self._block(block, f"{path}.transformer_blocks.{j}", level, inner)

    def _block(self, block: BasicTransformerBlock, path: str, level: int, inner: tuple[str]) -> None:
        wide, narrow, heads = self.wide[level], self.narrow[level], self.heads[level]
        for norm in ("norm1", "norm2", "norm3"):
            self._affine(f"{path}.{norm}", inner)
        for name in ("attn1", "attn2"):
            attention = f"{path}.{name}"
            asked = (self._space(f"{attention} asked", wide, narrow, heads),)
            told = (self._space(f"{attention} told", wide, narrow, heads),)
            crossing = getattr(block, name) is not None and getattr(block, name).is_cross_attention
            self._affine(f"{attention}.to_q", asked, inner)
            self._affine(f"{attention}.to_k", asked, None if crossing else inner)
            self._affine(f"{attention}.to_v", told, None if crossing else inner)
            self._affine(f"{attention}.to_out.0", inner, told)
        hidden = self._space(f"{path} hidden", 4 * wide, 4 * narrow)
        self._affine(f"{path}.ff.net.0.proj", (hidden, hidden), inner)  # GEGLU: values, then their gates
        self._affine(f"{path}.ff.net.2", inner, (hidden,))


def level_space(width: int) -> str:
    """Return the name of the space of a level's channels: what ``conv_in``, the resnets and the skips hand on."""
    return f"level {width}"


def inner_space(attention: str) -> str:
    """Return the name of the space of an attention's hidden states, those inside its ``Transformer2DModel``.

    Args:
        attention: its path in the U-Net.

    Example:
        >>> inner_space("mid_block.attentions.1.transformer_blocks.0.attn2")
        'mid_block.attentions.1 inside'
    """
    return f"{attention.partition('.transformer_blocks.')[0]} inside"


@dataclass(frozen=True)
class KeptChannels:
    """What stays of a U-Net's spaces in a narrower one.

    Attributes:
        widths: of the narrow one's levels.
        sizes: channels of each space in the wide one.
        indices: of the channels that stay of each space, rising.
    """

    widths: tuple[int, ...]
    sizes: Mapping[str, int]
    indices: Mapping[str, Tensor]

    def select(self, weight: Tensor, axes: Sequence[Axis]) -> Tensor:
        """Return a weight without the channels that do not stay.

        Args:
            weight: of the wide U-Net, or of what is plugged into it.
            axes: the spaces on each of its axes; axes that are not named stay whole.
        """
        for axis, spaces in enumerate(axes):
            if spaces is not None:
                weight = weight.index_select(axis, self._places(spaces).to(weight.device))
        return weight

    def _places(self, spaces: tuple[str, ...]) -> Tensor:
        start, places = 0, []
        for name in spaces:
            places.append(self.indices[name] + start)
            start += self.sizes[name]
        return torch.cat(places)


def narrow_widths(unet: AudioLDM2UNet2DConditionModel, ratio: float) -> tuple[int, ...]:
    """Return the widths of a U-Net whose levels have ``ratio`` of the channels, in whole groups and heads.

    Args:
        unet: the wide one.
        ratio: above 0 and below 1.

    Raises:
        ValueError: for another ratio, and where no level would become narrower.
    """
    if not 0 < ratio < 1:
        raise ValueError(f"ratio={ratio} is outside 0–1: 0.75 keeps three channels of four")
    heads = unet.config.num_attention_heads or unet.config.attention_head_dim
    each = math.lcm(unet.config.norm_num_groups, *(heads if isinstance(heads, list | tuple) else (heads,)))
    wide = tuple(unet.config.block_out_channels)
    widths = tuple(max(each, round(ratio * width / each) * each) for width in wide)
    if widths == wide:
        raise ValueError(f"ratio={ratio} leaves the widths {wide}: they come in multiples of {each}; give less")
    return widths


def importance_of(gradients: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return |weight · gradient|: to first order, what the loss would change by (arXiv 1906.10771).

    Args:
        gradients: of a loss, by the weights' names.
        weights: by name.
    """
    return {name: (weights[name].detach() * gradient).abs() for name, gradient in gradients.items()}


def choose_channels(
    unet: AudioLDM2UNet2DConditionModel,
    widths: tuple[int, ...],
    importance: Mapping[str, Tensor],
    beside: Mapping[str, tuple[Axis, ...]] | None = None,
) -> KeptChannels:
    """Choose of every space of a U-Net the channels that count most.

    Args:
        unet: the wide one.
        widths: of the narrow one's levels, from ``narrow_widths``.
        importance: of every single weight, by its name and in its shape, at least 0.
        beside: the axes of further weights that touch the U-Net's spaces and whose importance counts too.

    Raises:
        ValueError: for a U-Net of other blocks than AudioLDM 2's.
    """
    found = ChannelMap(unet, widths)
    totals = _scores(found, found.axes | dict(beside or {}), importance)
    indices = {name: _choose(space, totals[name]) for name, space in found.spaces.items() if name != "waves"}
    indices["waves"] = _waves(found.wide[0], widths[0])
    return KeptChannels(widths, {name: space.size for name, space in found.spaces.items()}, indices)


@torch.no_grad()
def narrow_unet(unet: AudioLDM2UNet2DConditionModel, kept: KeptChannels) -> AudioLDM2UNet2DConditionModel:
    """Return a narrower U-Net that keeps the channels ``kept``.

    Args:
        unet: the wide one, with nothing plugged in; it stays as it is.
        kept: from ``choose_channels``.
    """
    axes, weights = ChannelMap(unet, kept.widths).axes, dict(unet.named_parameters())
    narrow: AudioLDM2UNet2DConditionModel = AudioLDM2UNet2DConditionModel.from_config(
        {**unet.config, "block_out_channels": kept.widths}
    )
    for name, target in narrow.named_parameters():
        weight = kept.select(weights[name], axes[name])
        if name.endswith(".to_q.weight"):  # attention divides by the root of a head's dimensions, now fewer
            weight = weight * math.sqrt(len(target) / len(weights[name]))
        target.copy_(weight)
    return narrow.to(unet.dtype).train(unet.training)


def prune_unet(
    unet: AudioLDM2UNet2DConditionModel, widths: tuple[int, ...], importance: Mapping[str, Tensor]
) -> AudioLDM2UNet2DConditionModel:
    """Return a narrower U-Net that keeps of every space the channels that count most.

    Args:
        unet: the wide one; it stays as it is.
        widths: of the narrow one's levels, from ``narrow_widths``.
        importance: of every single weight, by its name and in its shape, at least 0.

    Raises:
        ValueError: for a U-Net of other blocks than AudioLDM 2's.
    """
    return narrow_unet(unet, choose_channels(unet, widths, importance))


def _scores(
    found: ChannelMap, axes_of: Mapping[str, tuple[Axis, ...]], importance: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Return how much each channel of each space counts: the sum over all weights that touch it."""
    totals = {name: torch.zeros(space.size) for name, space in found.spaces.items()}
    for name, axes in axes_of.items():
        for axis, spaces in enumerate(axes if name in importance else ()):
            if spaces is None or spaces == ("waves",):
                continue
            others = [i for i in range(importance[name].ndim) if i != axis]
            score = importance[name].float().cpu().sum(others) if others else importance[name].float().cpu()
            parts = score.split([found.spaces[space].size for space in spaces])
            for space, part in zip(spaces, parts, strict=True):
                totals[space] += part
    return totals


def _choose(space: Space, score: Tensor) -> Tensor:
    """Return the indices of what stays, rising; equally many of each part."""
    parts = score.view(space.parts, -1)
    best = parts.topk(space.kept // space.parts, dim=1).indices.sort(dim=1).values
    return (best + torch.arange(space.parts)[:, None] * parts.shape[1]).flatten()


def _waves(wide: int, narrow: int) -> Tensor:
    """Return which of the time step's sines and cosines come nearest to the narrow U-Net's."""
    half, small = wide // 2, narrow // 2
    nearest = (torch.arange(small) * half / small).round().long()
    return torch.cat([nearest, nearest + half])


def describe_widths(unet: AudioLDM2UNet2DConditionModel) -> dict[str, Any]:
    """Return a U-Net's widths and its number of parameters."""
    return {
        "block_out_channels": list(unet.config.block_out_channels),
        "parameters": sum(p.numel() for p in unet.parameters()),
    }
