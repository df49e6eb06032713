"""Losses on preferences do what their formulas say; a frozen copy is what the model was."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from musetune.training.frozen_copy import FrozenCopy
from musetune.training.preference_loss import (
    crpo_loss,
    dpo_loss,
    nft_loss,
    preference_margin,
    refl_loss,
    sample_errors,
)


def test_the_reference_itself_is_indifferent() -> None:
    error = torch.rand(6)
    assert dpo_loss(error, error, 2000.0).tolist() == pytest.approx([math.log(2)] * 3)
    assert preference_margin(error, error).tolist() == [0, 0, 0]


def test_dpo_pulls_the_better_take_nearer_and_pushes_the_worse_away() -> None:
    error = torch.tensor([0.5, 0.7], requires_grad=True)
    dpo_loss(error, torch.tensor([0.5, 0.7]), 10.0).sum().backward()
    assert error.grad is not None
    assert error.grad[0] > 0 > error.grad[1]  # going down lowers the error of the better take
    assert error.grad.tolist() == pytest.approx([2.5, -2.5])  # β/2 · σ(0)


def test_without_its_own_loss_the_better_take_may_get_worse() -> None:
    """Both get worse, the worse one faster: DPO is content, CRPO is not."""
    before, after = torch.tensor([0.5, 0.5]), torch.tensor([0.6, 0.9])
    assert dpo_loss(after, before, 20.0) < dpo_loss(before, before, 20.0)
    assert crpo_loss(after, before, 20.0, 100.0) > crpo_loss(before, before, 20.0, 100.0)
    assert crpo_loss(after, before, 20.0, 0.0) == dpo_loss(after, before, 20.0)


def test_nft_moves_towards_good_takes_and_away_from_bad_ones() -> None:
    reference, target = torch.zeros(2, 4), torch.ones(2, 4)
    prediction = torch.zeros(2, 4, requires_grad=True)
    nft_loss(prediction, reference, target, torch.tensor([1.0, 0.0]), 1.0).sum().backward()
    assert prediction.grad is not None
    assert bool((prediction.grad[0] < 0).all())
    assert bool((prediction.grad[1] > 0).all())
    indifferent = torch.zeros(1, 4, requires_grad=True)
    nft_loss(indifferent, reference[:1], target[:1], torch.tensor([0.5]), 1.0).sum().backward()
    assert indifferent.grad is not None
    assert not indifferent.grad.any()


def test_refl_holds_the_policy_at_its_reference() -> None:
    ill, reference = torch.tensor([0.3, 0.3]), torch.zeros(2, 4)
    prediction = torch.stack([torch.zeros(4), torch.ones(4)])
    assert refl_loss(ill, prediction, reference, 6.0).tolist() == pytest.approx([0.3, 6.3])
    assert refl_loss(ill, prediction, reference, 0.0).tolist() == pytest.approx([0.3, 0.3])


def test_wrong_values_are_named() -> None:
    one, three = torch.ones(1), torch.ones(3)
    with pytest.raises(ValueError, match="3 errors are no pairs"):
        preference_margin(three, three)
    with pytest.raises(ValueError, match="beta=0"):
        dpo_loss(torch.ones(2), torch.ones(2), 0.0)
    with pytest.raises(ValueError, match="winner_weight=-1"):
        crpo_loss(torch.ones(2), torch.ones(2), 1.0, -1.0)
    with pytest.raises(ValueError, match="nft_beta=0"):
        nft_loss(one[None], one[None], one[None], one, 0.0)
    with pytest.raises(ValueError, match="refl_anchor=-1"):
        refl_loss(one, one[None], one[None], -1.0)


def test_a_frozen_copy_shares_what_does_not_learn() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    model[0].requires_grad_(False)
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    copy, x = FrozenCopy(model, named), torch.rand(4, 3)
    before = model(x).detach()
    with torch.no_grad():
        model[1].weight.add_(1)
    assert torch.equal(copy(x), before)
    assert not torch.equal(model(x), before)
    assert copy.parameters.keys() == {"1.weight", "1.bias"}  # nothing of the first layer is held twice
    assert not copy(x).requires_grad
    model(x).sum().backward()  # the model itself still learns
    assert model[1].weight.grad is not None
    assert sample_errors(torch.zeros(2, 3, 4), torch.ones(2, 3, 4)).shape == (2,)
