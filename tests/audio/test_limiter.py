"""The limiter: peaks stay below the ceiling, pieces give what the whole gives, quiet audio passes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musetune.audio.limiter import PeakLimiter


@settings(max_examples=50)
@given(st.lists(st.integers(0, 90), max_size=4), st.integers(1, 12), st.integers(0, 2**31))
def test_pieces_give_what_the_whole_gives(cuts: list[int], reach: int, seed: int) -> None:
    wave = np.random.default_rng(seed).normal(scale=0.7, size=(2, 90))
    ahead = np.zeros((2, reach))
    whole = PeakLimiter(2, reach, 0.9).process(wave, ahead)
    limiter, pieces = PeakLimiter(2, reach, 0.9), []
    places = [0, *sorted(cuts), 90]
    for start, end in pairwise(places):
        rest = np.concatenate([wave[:, end:], ahead], axis=1)
        pieces.append(limiter.process(wave[:, start:end], rest))
    assert np.allclose(np.concatenate(pieces, axis=1), whole, atol=1e-6)
    assert np.abs(whole).max() <= 0.9 + 1e-6


def test_the_gain_moves_slowly_and_needs_no_clipping() -> None:
    wave = 0.5 * np.ones((1, 400))
    wave[0, 200] = 2.0
    out = PeakLimiter(1, 50, 1.0).process(wave, np.zeros((1, 50)))
    gain = out / wave
    assert out.max() == pytest.approx(1.0)
    assert np.abs(np.diff(gain)).max() < 0.011
    assert np.array_equal(out[0, :150], wave[0, :150].astype(np.float32))


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match=r"piece \(3, 5\)"):
        PeakLimiter(2, 4).process(np.zeros((3, 5)), np.zeros((3, 4)))
    with pytest.raises(ValueError, match="reach=0"):
        PeakLimiter(1, 0)
