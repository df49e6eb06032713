"""A classifier of renderings and takes."""

from __future__ import annotations

import pytest
import torch

from musetune.training.realness import realness


def test_takes_that_are_nearer_to_renderings_are_worth_more() -> None:
    g = torch.Generator().manual_seed(0)
    real = torch.randn(12, 4, 8, 4, generator=g)
    generated = torch.randn(24, 4, 8, 4, generator=g)
    generated[::2, 0] += 2.0  # every other take has what no rendering has
    requests = [i // 2 for i in range(24)]
    values = realness(generated, requests, real, range(12), steps=60)
    assert values.min() >= 0
    assert values.max() <= 1
    assert values[1::2].mean() > values[::2].mean() + 0.2
    assert torch.equal(values, realness(generated, requests, real, range(12), steps=60))


def test_one_request_tells_nothing() -> None:
    with pytest.raises(ValueError, match="at least two"):
        realness(torch.zeros(2, 1, 4, 4), [0, 0], torch.zeros(1, 1, 4, 4), [0])
