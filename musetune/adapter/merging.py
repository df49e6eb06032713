"""MergedWeights: the U-Net's weights with its LoRAs added to them, kept for calls that want the same again.

The base's own tensors are never written to: while something plays, the parameters point to merged copies. So the base
is bit for bit what it was, and a call with the same LoRAs costs no arithmetic.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial, reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from musetune.adapter.lora import LoraDelta, plain_weights, walk
from musetune.models.quantized import is_quantized

_Extra = tuple[nn.Parameter, Sequence[LoraDelta]]  # a weight and the LoRAs that come on top


class MergedWeights:
    """Merged copies of the weights that LoRAs adapt, of the last U-Net and mix that were asked for.

    They take as much memory as those weights. They are made anew where a LoRA, its scale or the weight beneath it is
    another one; of the weight beneath, changes through ``.data`` that keep its memory are not noticed (``clear``).
    """

    def __init__(self) -> None:
        self._copies: _Copies | None = None

    def clear(self) -> None:
        """Give the memory back."""
        self._copies = None

    @property
    def megabytes(self) -> float:
        """How much memory the copies take, in 10⁶ bytes; 0 where there are none."""
        return 0.0 if self._copies is None else sum(t.nbytes for t in self._copies.merged) / 1e6

    @contextmanager
    def playing(self, unet: nn.Module, beside: Mapping[str, Sequence[LoraDelta]] | None = None) -> Iterator[None]:
        """A context in which every LoRA that is on lies in the weights that it adapts, so that it costs nothing.

        After it the weights are what they were, bit for bit. What is merged already, or offloaded (on ``meta``), stays
        as it is. LoRAs on quantised weights are added to the outputs instead, and cost their own arithmetic.

        Args:
            unet: with peft's LoRAs in it, or without.
            beside: LoRAs that come on top, by the plain name of their weight.

        Raises:
            ValueError: where a weight of ``beside`` is offloaded: these LoRAs cannot be added otherwise.
        """
        layers = _layers_of(unet)
        weights = plain_weights(unet) if beside else {}
        all_extra = [(weights[name], parts) for name, parts in (beside or {}).items()]
        extra = [(weight, parts) for weight, parts in all_extra if not is_quantized(weight)]
        rounded = [(weight, parts) for weight, parts in all_extra if is_quantized(weight)]
        if any(weight.is_meta for weight, _ in extra):
            raise ValueError(
                "a LoRA cannot be added to weights that are offloaded: use enable_model_cpu_offload instead"
            )
        touched = list({id(w): w for w in [m.get_base_layer().weight for m in layers] + [w for w, _ in extra]}.values())
        own = [weight.data for weight in touched]
        added = ExitStack()
        try:
            self.prepare(touched, layers, extra)
            added.enter_context(_added_to_outputs(unet, rounded))
            yield
        finally:
            added.close()
            for layer in layers:
                layer.merged_adapters.clear()  # peft's `unmerge` would subtract, which rounds
            # where the U-Net was moved or cast meanwhile, its own weights follow
            _point(touched, [tensor.to(weight.device, weight.dtype) for weight, tensor in zip(touched, own)])

    def prepare(self, touched: list[nn.Parameter], layers: list[Any], extra: list[_Extra]) -> None:
        """Let the weights point to merged copies, those that are there or new ones.

        Args:
            touched: every weight that a LoRA adapts.
            layers: peft's layers whose LoRAs are added.
            extra: weights with the LoRAs that come on top.
        """
        wanted = _Wanted.of(touched, layers, extra)
        if self._copies is not None and self._copies.wanted.equals(wanted):
            _point(touched, self._copies.merged)
            for layer in layers:
                layer.merged_adapters[:] = layer.active_adapters
            return
        self._copies = None  # before the new ones are made: there may not be room for both
        for layer in layers:
            layer.get_base_layer().weight.data = layer.get_base_layer().weight.data.clone()
        _merge(layers, extra)
        self._copies = _Copies(wanted, [weight.data for weight in touched])


class _Wanted(NamedTuple):
    """What merged copies follow from.

    beneath: the weights; places: memory, version and precision of each; scales: of each share; shares: all numbers of
    the LoRAs themselves, (n,).
    """

    beneath: list[weakref.ref[nn.Parameter]]
    places: tuple[tuple[object, ...], ...]
    scales: tuple[tuple[object, ...], ...]
    shares: Tensor

    @classmethod
    def of(cls, touched: list[nn.Parameter], layers: list[Any], extra: list[_Extra]) -> _Wanted:
        places = tuple((w.data_ptr(), 0 if w.is_inference() else w._version, w.dtype, str(w.device)) for w in touched)
        scales: list[tuple[object, ...]] = [
            (id(layer), *((name, layer.scaling.get(name)) for name in layer.active_adapters)) for layer in layers
        ]
        scales += [(id(weight), *(part.scale for part in parts)) for weight, parts in extra]
        shares = [p for layer in layers for key, p in layer.named_parameters() if "lora_" in key]
        shares += [share for _, parts in extra for part in parts for share in (part.down, part.up)]
        flat = [share.detach().float().flatten().cpu() for share in shares]
        beneath = [weakref.ref(weight) for weight in touched]
        return cls(beneath, places, tuple(scales), torch.cat(flat) if flat else torch.empty(0))

    def equals(self, other: _Wanted) -> bool:
        if (self.places, self.scales) != (other.places, other.scales):
            return False
        beneath = all(mine() is theirs() for mine, theirs in zip(self.beneath, other.beneath, strict=True))
        return beneath and torch.equal(self.shares, other.shares)


class _Copies(NamedTuple):
    wanted: _Wanted
    merged: list[Tensor]


def _layers_of(unet: nn.Module) -> list[Any]:
    """Return peft's layers whose LoRAs are on, not merged and not offloaded."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers: list[Any] = [
        m for _, m in walk(unet) if isinstance(m, BaseTunerLayer) and not m.merged and not m.disable_adapters
    ]
    layers = [m for m in layers if not is_quantized(m.get_base_layer().weight)]
    return [m for m in layers if not m.get_base_layer().weight.is_meta and any(map(m.scaling.get, m.active_adapters))]


def _point(weights: Sequence[nn.Parameter], tensors: Iterable[Tensor]) -> None:
    """Let each parameter hold another tensor; none is written to."""
    for weight, tensor in zip(weights, tensors, strict=True):
        weight.data = tensor


@torch.no_grad()
def _merge(layers: list[Any], extra: list[_Extra]) -> None:
    for layer in layers:
        layer.merge()
    for weight, parts in extra:
        # not copy_, which would count as a change of the base's own weight
        weight.data = reduce(lambda sum_, part: part.added_to(sum_), parts, weight.detach()).to(weight.dtype)


@contextmanager
def _added_to_outputs(unet: nn.Module, extra: list[_Extra]) -> Iterator[None]:
    """A context in which LoRAs are added to what the matrices make of their input, instead of to the matrices."""
    modules = {id(m.weight): m for m in unet.modules() if isinstance(m, nn.Linear)} if extra else {}
    handles = [modules[id(weight)].register_forward_hook(partial(_add, parts)) for weight, parts in extra]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _add(parts: Sequence[LoraDelta], _: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    """Return output (…, out) + Σ scale · up · down · input (…, in)."""
    for part in parts:
        down, up = (matrix.flatten(1).to(output) for matrix in (part.down, part.up))
        output = output + part.scale * linear(linear(inputs[0], down), up)
    return output


def merged(unet: nn.Module, beside: Mapping[str, Sequence[LoraDelta]] | None = None) -> AbstractContextManager[None]:
    """Return ``MergedWeights.playing`` of copies that nobody keeps."""
    return MergedWeights().playing(unet, beside)
