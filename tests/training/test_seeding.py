"""Randomness is a function of (seed, step, sample) and of nothing else."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from musetune.training import seeding


def test_key_alone_decides() -> None:
    first = seeding.noise([seeding.generator(1, 2, "a"), seeding.generator(1, 2, "b")], (3,))
    torch.rand(100)  # the global generator moves on, which must not matter
    again = seeding.noise([seeding.generator(1, 2, "b"), seeding.generator(1, 2, "a")], (3,))
    assert torch.equal(first, again.flip(0))
    others = [seeding.generator(*key) for key in [(1, 2, "c"), (1, 3, "a"), (2, 2, "a"), (12, 0, "a"), (1, 20, "a")]]
    rows = torch.cat([first, seeding.noise(others, (3,))])
    assert len(torch.unique(rows, dim=0)) == 7


@settings(deadline=None)
@given(n=st.integers(1, 20), start=st.integers(0, 100), count=st.integers(1, 50), cut=st.integers(0, 50))
def test_stream_does_not_depend_on_where_it_is_entered(n: int, start: int, count: int, cut: int) -> None:
    whole = seeding.stream(n, 7, 0, start + count + cut)
    assert seeding.stream(n, 7, start, count) == whole[start : start + count]


@settings(deadline=None)
@given(n=st.integers(1, 20), epoch=st.integers(0, 5))
def test_every_epoch_has_every_clip_once(n: int, epoch: int) -> None:
    assert sorted(seeding.stream(n, 3, n * epoch, n)) == list(range(n))


def test_draws_have_their_distributions() -> None:
    generators = [seeding.generator(0, 0, str(i)) for i in range(2000)]
    assert abs(seeding.chance(generators, 0.3).float().mean() - 0.3) < 0.04
    t = seeding.timesteps(generators, 1000)
    assert t.min() >= 0
    assert t.max() <= 999
    assert abs(t.float().mean() - 500) < 25
    slices = [t // 100 for t in seeding.timesteps(generators[:10], 1000, sampling="stratified").tolist()]
    assert slices == list(range(10))
    later = seeding.timesteps(generators[:4], 1600, sampling="stratified", places=range(4, 8), of=16)
    assert [t // 100 for t in later.tolist()] == [4, 5, 6, 7]
    middle = seeding.timesteps(generators, 1000, sampling="logit_normal")
    assert ((middle > 250) & (middle < 750)).float().mean() > 0.68  # 0.73 for the logistic of a standard normal
    with pytest.raises(ValueError, match="'sigmoid' is not one of uniform, stratified, logit_normal"):
        seeding.timesteps(generators, 1000, sampling="sigmoid")
    assert set(seeding.integers(generators, 3).tolist()) == {0, 1, 2}
    with pytest.raises(ValueError, match=r"probability=1.5 is outside 0..1"):
        seeding.chance(generators, 1.5)
    with pytest.raises(ValueError, match="empty data set"):
        seeding.stream(0, 0, 0, 1)
