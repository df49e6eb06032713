"""Music adapters of one origin as one: the weighted mean of their weights.

An adapter that was tuned and the one that it was tuned from lie near each other, and so do two that were tuned from the
same one. What lies between them on the straight line often keeps most of what tuning gained and loses less of what was
there before (WiSE-FT, Wortsman et al. 2022, arXiv:2109.01903), and gains of several tunings add up (task arithmetic,
Ilharco et al. 2023, arXiv:2212.04089).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from musetune.adapter.adapter import MusicAdapter

EXACT = 1e-6  # weights sum to 1 within this


@torch.no_grad()
def average_adapters(adapters: Sequence[MusicAdapter], weights: Sequence[float]) -> MusicAdapter:
    """Let the first adapter hold Σ weight · parameters, its LoRA's two matrices each by itself too; returns it.

    Args:
        adapters: At least one; attached to no U-Net, of one configuration, and one trained from the other or all from
            the same one: the mean of strangers is noise.
        weights: One each, summing to 1. One below 0 leads away from its adapter: with 1 each of two tuned ones and −1
            of what they were tuned from, what both learned is added.

    Raises:
        ValueError: The weights are not finite, do not sum to 1 or are not as many; or the adapters' shapes or settings
            differ.

    Example:
        >>> from musetune.hub.locate import find_adapter
        >>> theory = MusicAdapter.from_pretrained(find_adapter("theory"))
        >>> average_adapters([theory, theory], [0.5, 0.5]) is theory
        True
    """
    if len(weights) != len(adapters) or not adapters:
        raise ValueError(f"{len(weights)} weights for {len(adapters)} adapters: give one each")
    if not all(map(math.isfinite, weights)) or abs(sum(weights) - 1) > EXACT:
        raise ValueError(f"weights {', '.join(f'{w:g}' for w in weights)} sum to {sum(weights):g}: they must sum to 1")
    own = [adapter.state_dict() for adapter in adapters]
    loras = [adapter.lora_weights() for adapter in adapters]
    for kind, states in (("weights", own), ("a LoRA", loras)):
        _check_shapes(states, kind)
    _check_settings(adapters)
    first = adapters[0]
    first.load_state_dict(_mean(own, weights))
    first.replace_lora_weights(_mean(loras, weights))
    return first


def _check_shapes(states: Sequence[Mapping[str, Tensor]], kind: str) -> None:
    shapes = [{name: tuple(tensor.shape) for name, tensor in state.items()} for state in states]
    for place, other in enumerate(shapes[1:], start=2):
        if wrong := sorted(name for name in shapes[0].keys() | other.keys() if shapes[0].get(name) != other.get(name)):
            raise ValueError(
                f"adapter {place} has {kind} of other names or shapes than the first, such as {wrong[0]}: only "
                "adapters of one origin can be averaged"
            )


def _check_settings(adapters: Sequence[MusicAdapter]) -> None:
    settings = [
        {key: value for key, value in adapter.config.items() if not key.startswith("_")}
        | {"lora_scale": adapter.lora_scale}
        for adapter in adapters
    ]
    for place, other in enumerate(settings[1:], start=2):
        if wrong := sorted(key for key in settings[0].keys() | other.keys() if settings[0].get(key) != other.get(key)):
            key = wrong[0]
            raise ValueError(
                f"adapter {place} has {key}={other.get(key)} and the first {key}={settings[0].get(key)}: only adapters "
                "of one configuration can be averaged"
            )


def _mean(states: Sequence[Mapping[str, Tensor]], weights: Sequence[float]) -> dict[str, Tensor]:
    """The weighted mean of each tensor, in its own precision; one that holds no real numbers is the first one's."""
    mean = {}
    for name, tensor in states[0].items():
        if tensor.is_floating_point():
            total = sum(w * state[name].double() for w, state in zip(weights, states, strict=True))
            assert isinstance(total, Tensor)
            mean[name] = total.to(tensor)
        else:
            mean[name] = tensor
    return mean
