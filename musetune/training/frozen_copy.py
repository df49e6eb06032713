"""A frozen copy of what learns, as a reference: the base's weights are shared, so it costs the adapter's memory once
more and no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


class FrozenCopy:
    """A model as it was: its trained parameters, copied, in place of those that go on learning.

    Args:
        model: The model, without wrappers such as DDP.
        named: Its parameters that learn, by their names in `model`.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> before = FrozenCopy(model, dict(model.named_parameters()))
        >>> weight = model.weight.item()
        >>> _ = model.weight.data.zero_()
        >>> bool(before(torch.ones(1, 1)).item() == weight), model(torch.ones(1, 1)).item()
        (True, 0.0)
    """

    def __init__(self, model: nn.Module, named: Mapping[str, nn.Parameter]) -> None:
        self.model = model
        self.parameters = {name: value.detach().clone() for name, value in named.items()}

    @torch.no_grad()
    def __call__(self, *args: Any) -> Tensor:
        """What the model as it was answers."""
        answer: Tensor = functional_call(self.model, self.parameters, args)
        return answer
