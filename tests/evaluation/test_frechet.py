"""The change of a Fréchet distance: values that are known, and intervals that hold them."""

from __future__ import annotations

import numpy as np
import pytest

from musetune.evaluation.audio_similarity import frechet_distance
from musetune.evaluation.frechet import frechet_change


def clips(shift: float, seed: int, requests: int = 12, dimensions: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [shift + rng.normal(size=(10, dimensions)) for _ in range(requests)]


def test_distances_are_those_of_all_clips_together() -> None:
    before, after, real = clips(1.0, 0), clips(2.0, 1), clips(0.0, 2)
    change = frechet_change(before, after, real)
    assert change is not None
    assert change.before == pytest.approx(frechet_distance(np.concatenate(before), np.concatenate(real)))
    assert change.after == pytest.approx(frechet_distance(np.concatenate(after), np.concatenate(real)))
    assert change.rise.low < change.rise.mean < change.rise.high
    assert 1 < change.rise.low < 3 < change.rise.high + 1  # twice as far away is four times the square


def test_a_policy_is_as_far_as_itself_whatever_is_drawn() -> None:
    change = frechet_change(clips(1.0, 0), clips(1.0, 0), clips(0.0, 2))
    assert change is not None
    assert (change.rise.mean, change.rise.low, change.rise.high) == (0.0, 0.0, 0.0)
    another = frechet_change(clips(1.0, 0), clips(1.0, 3), clips(0.0, 2))
    assert another is not None
    assert another.rise.low < 0 < another.rise.high  # another draw of the same kind: nothing can be told


def test_components_are_those_of_what_is_real() -> None:
    real = [points * [10.0, 10.0, 0.01] for points in clips(0.0, 2)]
    before = [points * [10.0, 10.0, 0.01] for points in clips(0.0, 4)]
    aside = [points + np.array([0.0, 0.0, 5.0]) for points in before]  # where real clips do not move
    whole, reduced = frechet_change(before, aside, real), frechet_change(before, aside, real, components=2)
    assert whole is not None
    assert reduced is not None
    assert whole.rise.low > 0.5 > 0.1 > abs(reduced.rise.mean)


def test_few_points_tell_nothing() -> None:
    assert frechet_change(clips(1.0, 0, 2), clips(1.0, 1, 2), clips(0.0, 2, 2)) is None  # 20 of 3 dimensions
    assert frechet_change([], [], []) is None
    with pytest.raises(ValueError, match="not the same"):
        frechet_change(clips(1.0, 0), clips(1.0, 1), clips(0.0, 2, 3))
