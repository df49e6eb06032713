"""Rewards: what they hear, what a user's own may be, and which takes are chosen."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from small import SR, tones

from musetune import LeadSheet
from musetune.evaluation.rewards import (
    DEFAULT_WEIGHTS,
    REWARDS,
    RequestedTake,
    advantages,
    best_and_worst,
    find_rewards,
    measure_rewards,
    weighted_mean,
)
from musetune.evaluation.rewards.music import stroke_times
from musetune.planning.rules.orchestrate import orchestrate

SHEET = LeadSheet.parse("| C | F | G | C |", key="C major", bpm=120, duration_seconds=8.0)
OTHER = LeadSheet.parse("| Ebm | Bbm | Abm | Ebm |", key="Eb minor", bpm=97, duration_seconds=8.0)


def take(sheet: LeadSheet = SHEET, **changes) -> RequestedTake:  # type: ignore[no-untyped-def]
    return RequestedTake(tones(SHEET, 8.0), SR, sheet, "pop", **changes)


@pytest.mark.slow
def test_what_was_asked_is_worth_more_than_another_song() -> None:
    names = ("chords", "beats", "key")
    asked, stranger = (
        measure_rewards(take(sheet), {n: REWARDS[n] for n in (*names, "bars")}) for sheet in (SHEET, OTHER)
    )
    for name in names:
        assert asked[name] > 0.8 > 0.5 > stranger[name], name  # type: ignore[operator]
    assert asked["bars"] >= stranger["bars"]  # type: ignore[operator]


@pytest.mark.slow
def test_notes_are_worth_what_is_played_of_them() -> None:
    arrangement = orchestrate(SHEET, seed=0).arrangement
    drums = np.zeros(8 * SR)
    for second in arrangement.grid.time_at(np.array([note.start for note in arrangement.stems["drums"].notes])):
        place = round(float(second) * SR)
        drums[place : place + 400] += np.exp(-np.arange(400) / 60)[: len(drums[place : place + 400])]
    only = type(arrangement)(stems={"drums": arrangement.stems["drums"]}, grid=arrangement.grid)
    late = np.roll(drums, round(0.0625 * SR))  # half a sixteenth
    played, missed = (REWARDS["notes"](RequestedTake(wave, SR, SHEET, arrangement=only)) for wave in (drums, late))
    assert played > 0.6 > missed  # type: ignore[operator]
    assert REWARDS["notes"](take()) is None  # no notes were asked for


def test_strokes_are_heard_where_they_are() -> None:
    clicks = np.zeros(2 * SR)
    clicks[[4000, 12000, 20000, 28000]] = 1.0
    assert stroke_times(clicks, SR) == pytest.approx([0.25, 0.75, 1.25, 1.75], abs=0.02)
    assert not len(stroke_times(np.zeros(SR), SR))


def test_loudness_and_clipping() -> None:
    sine = np.sin(np.arange(SR) / 10)
    right, faint, square = (
        RequestedTake(wave, SR, SHEET) for wave in (0.3 * sine, 1e-3 * sine, (10 * sine).clip(-1, 1))
    )
    assert REWARDS["loudness"](right) == 1
    assert REWARDS["loudness"](faint) == 0
    assert REWARDS["clipping"](right) == 1
    assert REWARDS["clipping"](square) == 0
    assert REWARDS["words"](take(text_similarity=-0.2)) == 0
    assert REWARDS["words"](take()) is None


def test_a_reward_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_taste.py").write_text(
        "def quiet(take):\n    return 1 - float(abs(take.wave).max())\n\ndef wild(take):\n    return 7\n\nnumber = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_taste", raising=False)
    rewards = find_rewards({"my_taste:quiet": 1.0, "chords": 0.0, "sound": 0.5})
    assert measure_rewards(RequestedTake(np.full(SR, 0.25), SR, SHEET), rewards) == {"my_taste:quiet": 0.75}
    with pytest.raises(ValueError, match="my_taste:wild gives 7: it has to lie in 0…1"):
        measure_rewards(take(), find_rewards({"my_taste:wild": 1.0}))
    for name, message in (("my_taste:none", "cannot be found"), ("my_taste:number", "a int, not a function")):
        with pytest.raises(ValueError, match=message):
            find_rewards({name: 1.0})


def test_names_and_weights_are_checked() -> None:
    assert find_rewards(DEFAULT_WEIGHTS).keys() == REWARDS.keys()
    with pytest.raises(ValueError, match="did you mean chords"):
        find_rewards({"chord": 1.0})
    with pytest.raises(ValueError, match="from 0 on"):
        find_rewards({"chords": -1.0})
    with pytest.raises(ValueError, match="no reward weighs anything"):
        find_rewards({"chords": 0.0})


def test_a_mean_of_what_has_a_value() -> None:
    assert weighted_mean({"a": 1.0, "b": 0.0, "c": None}, {"a": 1.0, "b": 1.0, "c": 5.0}) == 0.5
    assert weighted_mean({"a": None}, {"a": 1.0}) == 0.0


def test_best_and_worst_beyond_a_margin() -> None:
    assert best_and_worst([0.2, 0.9, 0.5], 0.3) == [(1, 0)]
    assert best_and_worst([0.2, 0.5, 0.5], 0.3) == []  # no further apart than the margin
    assert best_and_worst([0.1, 0.9, 0.5, 0.3], 0.1, pairs=3) == [(1, 0), (2, 3)]  # no take twice
    assert best_and_worst([], 0.0) == []
    with pytest.raises(ValueError, match="margin"):
        best_and_worst([0.1], -0.1)


def test_advantages_are_centred_and_bounded() -> None:
    values = advantages([0.1, 0.2, 0.9])
    assert 0 <= values.min() < 0.5 < values.max() <= 1
    assert (np.argsort(values) == [0, 1, 2]).all()
    assert advantages([0.4, 0.4]).tolist() == [0.5, 0.5]
