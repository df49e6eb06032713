"""What a style shifts: chords against chords, steps, meters; what it forbids comes only where nothing else may."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from musetune.planning.planner.constraints import StylePrior
from musetune.planning.planner.language import PlanChord
from musetune.planning.planner.song_styles import chord_kinds
from musetune.planning.planner.style_steering import StyleSteering
from musetune.planning.planner.vocabulary import CHORDS, FIRST, RANGE, TOKENS, chord_at, chord_index, word_index

FORMED, LABEL = FIRST["formed"], FIRST["label"]
NEXT_BAR = (*CHORDS, *RANGE["bass"], *RANGE["step"])  # what may come after a chord


def begin(prior: StylePrior, *bars: int) -> StyleSteering:
    """A plan in 4/4 and C major that has bars of one chord each."""
    steering = StyleSteering(prior)
    for word in (
        word_index("<meter:4/4>"),
        word_index("<mode:major>"),
        LABEL,
        FIRST["count"] + 15,
        FORMED,
        LABEL,
        *bars,
    ):
        steering.observe(word)
    return steering


def likelihoods(steering: StyleSteering, seed: int = 0) -> torch.Tensor:
    scores = torch.randn(len(TOKENS) + 1, generator=torch.Generator().manual_seed(seed))
    out = torch.full_like(scores, -torch.inf)
    out[list(NEXT_BAR)] = steering.shift(scores, NEXT_BAR)[list(NEXT_BAR)]
    return out.softmax(0)


def mass(likelihood: torch.Tensor, kind: str) -> float:
    words = [word for word in CHORDS if kind in chord_kinds(PlanChord(0, *chord_at(word)), "major")]
    return float(likelihood[words].sum() / likelihood[list(CHORDS)].sum())


@given(st.integers(0, 1000), st.floats(0, 1), st.floats(0, 1), st.integers(1, 6))
def test_chords_as_a_whole_stay_as_likely(seed: int, sevenths: float, outside: float, bars: int) -> None:
    prior = StylePrior(hold=2, shares={"sevenths": sevenths, "outside": outside})
    plain, shifted = begin(StylePrior()), begin(prior, *[chord_index(0, "maj")] * bars)
    before, after = (likelihoods(one, seed)[list(CHORDS)].sum() for one in (plain, shifted))
    assert float(after) == pytest.approx(float(before), abs=1e-4)


def test_a_chord_is_held_no_longer_than_the_style_does() -> None:
    tonic = chord_index(0, "maj")
    likely = [float(likelihoods(begin(StylePrior(hold=2), *[tonic] * bars))[tonic]) for bars in (1, 2)]
    assert likely[0] > 1e-4
    assert likely[1] < 1e-12


@pytest.mark.parametrize("kind", ["sevenths", "outside", "power"])
def test_shares_of_none_and_of_all_are_kept(kind: str) -> None:
    for wanted in (0.0, 1.0):
        steering = begin(StylePrior(shares={kind: wanted}), chord_index(0, "maj"))
        assert mass(likelihoods(steering), kind) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(("kind", "chord"), [("sevenths", "7"), ("power", "5"), ("outside", "7")])
def test_what_a_plan_lacks_becomes_likelier(kind: str, chord: str) -> None:
    prior = StylePrior(shares={kind: 0.5})
    without = begin(prior, *[chord_index(7, "maj")] * 6)
    with_it = begin(prior, *[chord_index(0, chord)] * 6)
    assert mass(likelihoods(without), kind) > mass(likelihoods(with_it), kind)


def test_chords_change_more_often_where_the_style_wants_it() -> None:
    held = [chord_index(0, "maj")] * 3
    steps = list(RANGE["step"])
    still, lively = (begin(StylePrior(changes=changes), *held) for changes in (0.25, 2.0))
    assert float(likelihoods(lively)[steps].sum()) > 5 * float(likelihoods(still)[steps].sum())
    assert float(likelihoods(lively)[held[0]]) < float(likelihoods(still)[held[0]])


def test_a_palette_that_is_full_takes_no_other_root() -> None:
    steering = begin(StylePrior(palette=2), chord_index(0, "maj"), chord_index(7, "maj"))
    likely = likelihoods(steering)
    roots = {chord_at(word)[0] for word in CHORDS if float(likely[word]) > 1e-9}
    assert roots == {0, 7}


def test_meters_are_weighted() -> None:
    steering = StyleSteering(StylePrior(meters=(("4/4", 3.0), ("3/4", 1.0))))
    choices = (word_index("<meter:3/4>"), word_index("<meter:4/4>"))
    shifted = steering.shift(torch.zeros(len(TOKENS) + 1), choices)[list(choices)].softmax(0)
    assert shifted.tolist() == pytest.approx([0.25, 0.75])
