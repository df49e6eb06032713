"""What a style shifts: chords against chords, steps, meters; what it forbids comes only where nothing else may."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from musetune.planning.planner.constraints import PlanConstraints, StylePrior
from musetune.planning.planner.language import PlanChord
from musetune.planning.planner.prompt_constraints import narrow
from musetune.planning.planner.song_style import chord_kinds
from musetune.planning.planner.style_steering import StyleSteering
from musetune.planning.planner.vocabulary import CHORDS, FIRST, RANGE, TOKENS, chord_at, chord_index, word_index
from musetune.symbols import Key, Meter

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


@pytest.mark.parametrize(("kind", "chord"), [("sevenths", "7"), ("outside", "7")])
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


def test_no_root_outstays_the_style_where_sections_come_back() -> None:
    """A has four bars and comes three times: held through, its chord would last for twelve."""
    steering = StyleSteering(StylePrior(hold=8))
    count, tonic = FIRST["count"] + 3, chord_index(0, "maj")
    head = (word_index("<meter:4/4>"), word_index("<mode:major>"), LABEL, count, LABEL, LABEL, FORMED, LABEL)
    for word in (*head, tonic, tonic, tonic):
        steering.observe(word)
    assert float(likelihoods(steering)[tonic]) < 1e-12


def test_a_dominant_with_a_major_seventh_closes_nothing() -> None:
    steering = begin(StylePrior(), *[chord_index(0, "maj")] * 15)
    likely = likelihoods(steering)
    assert float(likely[chord_index(7, "7")]) > 20 * float(likely[chord_index(7, "maj7")])


def test_no_chord_follows_a_close() -> None:
    steps = list(RANGE["step"])
    open_end, closed = (begin(StylePrior(changes=2.0), *[chord_index(2, "min")] * 15, last) for last in
                        (chord_index(2, "min"), chord_index(0, "maj")))  # fmt: skip
    assert float(likelihoods(open_end)[steps].sum()) > 1e-3
    assert float(likelihoods(closed)[steps].sum()) < 1e-12


def test_a_section_with_power_chords_keeps_to_them() -> None:
    prior = StylePrior(shares={"power": 0.5})
    power, triads = (begin(prior, chord_index(0, quality)) for quality in ("5", "maj"))
    assert mass(likelihoods(power), "power") > 0.5
    assert mass(likelihoods(triads), "power") < 0.05


def test_the_next_section_has_what_the_style_lacks_of_power_chords() -> None:
    shares = []
    for quality in ("maj", "5"):
        steering = StyleSteering(StylePrior(shares={"power": 0.5}))
        form = (LABEL, FIRST["count"] + 3, LABEL + 1, FIRST["count"] + 3, FORMED, LABEL)
        bars = [chord_index(degree, quality) for degree in (0, 5, 7, 0)]
        for word in (word_index("<meter:4/4>"), word_index("<mode:major>"), *form, *bars, LABEL + 1):
            steering.observe(word)
        shares.append(mass(likelihoods(steering), "power"))
    assert shares[0] > 2 * shares[1]


def test_chords_change_on_the_groups_of_seven_eight() -> None:
    steering = StyleSteering(StylePrior())
    for word in (word_index("<meter:7/8>"), word_index("<mode:major>"), LABEL, FIRST["count"] + 15, FORMED, LABEL):
        steering.observe(word)
    steering.observe(chord_index(2, "min"))
    likely = likelihoods(steering)
    on_groups, other = ([RANGE["step"][step - 1] for step in steps] for steps in ((4, 8), (2, 6, 10, 12)))
    assert float(likely[on_groups].sum()) > 5 * float(likely[other].sum())


def test_three_chords_go_other_ways_in_other_sections() -> None:
    pins = narrow(PlanConstraints(), "punk rock, three chords", 1)
    sections = tuple((label, 8) for label in dict(pins.form))
    bars = pins.content(Key("C"), Meter(4, 4), sections)
    ways = {tuple(bars[label, number] for number in range(4) if (label, number) in bars) for label, _ in sections}
    assert len(ways) > 1
    assert len({chord.degree for bar in bars.values() for chord in bar}) <= 3
