"""Slicing: on downbeats, without overlap, inside the recording."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musetune.datasets.clips import clip_starts, cut, rms_db


def test_on_downbeats_without_overlap() -> None:
    downbeats = np.arange(0.3, 60, 2.0)
    starts = clip_starts(downbeats, 60.0, 10.24)
    assert starts == pytest.approx([0.3, 12.3, 24.3, 36.3, 48.3])


def test_exactly_one_clip_long() -> None:
    assert clip_starts([0.0, 2.0, 4.0], 10.24, 10.24) == [0.0]
    assert clip_starts([1.0, 3.0], 10.24, 10.24) == [0.0]  # no downbeat leaves room
    assert clip_starts([], 12.0, 10.24) == [0.0]


@settings(deadline=None)
@given(
    bar=st.floats(0.8, 4), first=st.floats(0, 4), duration=st.floats(10.24, 120), clip=st.sampled_from([5.12, 10.24])
)
def test_laws(bar: float, first: float, duration: float, clip: float) -> None:
    downbeats = np.arange(first, duration, bar)
    starts = clip_starts(downbeats, duration, clip)
    assert starts == sorted(starts)
    assert all(b - a >= clip - 0.05 for a, b in pairwise(starts))
    assert all(0 <= s <= duration - clip + 0.05 for s in starts)
    assert starts == [0.0] or all(np.abs(downbeats - s).min() < 1e-9 for s in starts)
    assert len(starts) >= (duration - first) // (clip + bar)  # at most a bar is lost a clip


def test_cut_and_loudness() -> None:
    wave = np.arange(100, dtype=np.float32)
    np.testing.assert_array_equal(cut(wave, 10, 2.0, 3.0), wave[20:50])
    np.testing.assert_array_equal(cut(wave, 10, 9.0, 3.0), [*range(90, 100), *[0] * 20])
    assert rms_db(np.ones(10)) == pytest.approx(0)
    assert rms_db(np.full(10, 0.001)) == pytest.approx(-60)
    assert rms_db(np.zeros(10)) == -200
