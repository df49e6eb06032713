"""Weights that are no numbers, or might not be safetensors, are refused before they play."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from musetune.formats.json_object import JSON_BYTES
from musetune.models.quantized import plain
from musetune.symbols.limits import read_bytes

SHARD = re.compile(r"[\w.-]+\.safetensors")


def check_finite(owner: str, weights: Mapping[str, Tensor]) -> None:
    """Raise ValueError, which names ``owner`` and the weight, where one of ``weights`` holds NaN or infinity."""
    for name, stored in weights.items():
        weight = plain(stored)
        if not weight.is_floating_point() or weight.is_meta or not weight.numel() or weight.element_size() < 2:
            continue
        if not all(bool(torch.isfinite(extreme)) for extreme in torch.aminmax(weight)):  # NaN is both of them
            raise ValueError(f"{owner} is damaged: {name} holds NaN or infinity; get it anew or train it again")


def refuse_weight_indices(folder: str | Path) -> None:
    """Raise ValueError where ``folder`` holds an index of sharded weights, which may name a pickle."""
    for path in sorted(Path(folder).glob("*.index*.json")):
        raise ValueError(f"{path} is an index of weights; an adapter has one safetensors file: remove the index")


def check_weight_indices(folder: str | Path) -> None:
    """Raise ValueError where an index of sharded weights names anything but safetensors beside itself: a pickle may
    run any code.
    """
    for path in sorted(Path(folder).rglob("*.safetensors.index*.json")):
        try:
            files = set(json.loads(read_bytes(path, JSON_BYTES))["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{path} is no index of weights ({error})") from error
        if wrong := sorted(str(f) for f in files if not (isinstance(f, str) and SHARD.fullmatch(f))):
            raise ValueError(f"{path} names {wrong[0]!r}: only safetensors beside it are read; convert the weights")
