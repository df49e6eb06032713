"""What unsure bars mean for training."""

from __future__ import annotations

import pytest
import torch

from musetune.datasets.bar_weights import row_weights, sure_share

BARS = [[0.0, 2.0, 0.9], [2.0, 3.0, 0.2]]


def test_a_row_counts_as_its_bar_is_sure() -> None:
    weights = row_weights([BARS], rows=4, row_s=1.0, min_confidence=0.4)
    assert weights is not None
    assert weights.tolist() == [[1.0, 1.0, 0.5, 0.5]]  # the last row lies past the bars: as the nearest one


def test_nothing_unsure_weighs_nothing() -> None:
    assert row_weights([BARS, None, []], rows=4, row_s=1.0, min_confidence=0.0) is None
    assert row_weights([BARS, None], rows=4, row_s=1.0, min_confidence=0.2) is None
    assert row_weights([None], rows=4, row_s=1.0, min_confidence=0.9) is None


def test_a_later_first_bar_holds_for_what_comes_before_it() -> None:
    weights = row_weights([[[1.0, 2.0, 0.25]]], rows=3, row_s=1.0, min_confidence=0.5)
    assert weights is not None
    assert torch.equal(weights, torch.full((1, 3), 0.5))


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_a_confidence_is_from_0_to_1(value: float) -> None:
    with pytest.raises(ValueError, match=f"min_confidence={value} is outside 0…1"):
        row_weights([BARS], rows=4, row_s=1.0, min_confidence=value)


def test_the_share_of_a_clip_that_is_sure() -> None:
    assert sure_share(BARS, 0.5) == pytest.approx(2 / 3)
    assert sure_share(BARS, 0.2) == 1
    assert sure_share([], 0.9) == 1
