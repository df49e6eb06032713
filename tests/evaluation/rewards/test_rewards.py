"""Rewards: what they hear, what a user's own may be, and which takes are chosen."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small import SR, tones

from musetune import LeadSheet
from musetune.audio import find_soundfont, synthesize
from musetune.evaluation.notes import DRUM_PITCHES, notes_of, strokes_of
from musetune.evaluation.rewards import (
    DEFAULT_WEIGHTS,
    REWARDS,
    RequestedTake,
    advantage_scale,
    advantages,
    best_and_worst,
    find_rewards,
    measure_rewards,
    weighted_mean,
)
from musetune.evaluation.rewards.music import stroke_times
from musetune.evaluation.rewards.players import bass_share, drum_contrasts
from musetune.planning.rules.orchestrate import orchestrate

SHEET = LeadSheet.parse("| C | F | G | C |", key="C major", bpm=120, duration_seconds=8.0)
TOLD = ("notes", "drums")
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
    """A rendering, then without snares, with snares and kicks in each other's place, and of another song's bass."""
    find_soundfont()
    sheet = LeadSheet.parse("| G | D | Em | C |", bpm=90, duration_seconds=5.12, genre="pop")
    asked = orchestrate(sheet, seed=4).arrangement
    drums = asked.stems["drums"].notes
    kick, snare = DRUM_PITCHES["kick"], DRUM_PITCHES["snare"]
    swap = dict.fromkeys(kick, 38) | dict.fromkeys(snare, 36)
    bass = [replace(note, pitch=note.pitch + 1) for note in asked.stems["bass"].notes]
    versions = {
        "played": {},
        "no snare": {"drums": [note for note in drums if note.pitch not in snare]},
        "exchanged": {"drums": [replace(note, pitch=swap.get(note.pitch, note.pitch)) for note in drums]},
        "wrong bass": {"bass": bass},
    }
    heard = {}
    for name, other in versions.items():
        stems = {player: replace(asked.stems[player], notes=tuple(notes)) for player, notes in other.items()}
        wave = synthesize(replace(asked, stems={**asked.stems, **stems}).to_pretty_midi(), SR, duration_s=5.12)
        found = drum_contrasts(strokes_of(asked, 5.12), wave, SR)
        found["bass"] = bass_share(notes_of(asked, "bass", 5.12), wave, SR) or 0.0
        found |= measure_rewards(RequestedTake(wave, SR, sheet, arrangement=asked), {n: REWARDS[n] for n in TOLD})
        heard[name] = found
    played = heard.pop("played")
    assert all(value > 0.5 for value in played.values()), played
    assert heard["wrong bass"]["notes"] < played["notes"]
    assert max(heard["no snare"]["drums"], heard["exchanged"]["drums"]) < played["drums"]
    assert max(heard["no snare"]["snare"], heard["exchanged"]["snare"]) < 0.5
    assert heard["exchanged"]["kick"] < played["kick"]
    assert heard["wrong bass"]["bass"] < 0.2
    assert [REWARDS[name](take()) for name in TOLD] == [None, None]  # no notes were asked for
    hats = {"kick": np.zeros(0), "snare": np.zeros(0), "all": np.array([0.5, 1.0])}
    assert drum_contrasts(hats, np.zeros(2 * SR), SR) == {}  # nothing to be told from the hats


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
    values = advantages([0.1, 0.2, 0.9], 0.5)
    assert 0 <= values.min() < 0.5 < values.max() <= 1
    assert (np.argsort(values) == [0, 1, 2]).all()
    assert advantages([0.4, 0.4], 0.0).tolist() == [0.5, 0.5]


def test_takes_that_hardly_differ_hardly_count() -> None:
    wide, close = [0.2, 0.8], [0.5, 0.503]
    unit = advantage_scale([wide, close], 0.05)
    assert advantages(wide, unit)[1] > 0.8
    assert advantages(close, unit)[1] == pytest.approx(0.5, abs=0.01)
    assert advantage_scale([close], 0.05) == 0.05  # noise alone is no scale
    assert advantage_scale([], 0.05) == 0.05
