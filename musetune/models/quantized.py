"""Quantised weights as the rest of the house meets them: how to tell them, and how to read them back."""

from __future__ import annotations

from torch import Tensor


def is_quantized(weight: Tensor) -> bool:
    """Whether a weight is held in fewer bits by a tensor of its own kind, such as torchao's."""
    return type(weight.data) is not Tensor


def plain(weight: Tensor) -> Tensor:
    """Return a weight's numbers as an ordinary tensor; quantised ones are read back, with their rounding."""
    return weight.detach().dequantize() if is_quantized(weight) else weight.detach()
