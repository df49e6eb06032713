"""Whatever a model thinks, what it writes under the grammar is a song whose bars add up."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from small_planner import small_planner

from musetune.planning.planner.constrained_decoding import PlanGrammar
from musetune.planning.planner.constraints import MOST_BARS, PlanConstraints
from musetune.planning.planner.grammar import FREE, parse, share, song
from musetune.planning.planner.language import Plan, bars_in, bars_of
from musetune.planning.planner.vocabulary import END, TOKENS
from musetune.symbols import Key, LeadSheet


def drawn(pins: PlanConstraints, rng: random.Random) -> Plan:
    """A plan of words drawn evenly from those allowed."""
    grammar = song(pins)
    allowed = next(grammar)
    while True:
        try:
            allowed = grammar.send(rng.choice(allowed))
        except StopIteration as done:
            return done.value


def check(plan: Plan) -> LeadSheet:
    """The lead sheet, which must add up."""
    sheet, per_bar = plan.sheet(), plan.meter.beats_per_bar
    assert sheet.length == plan.bars * per_bar <= MOST_BARS * per_bar
    assert sum(section.beats for section in sheet.sections) == sheet.length
    assert sheet.chords[0].start == 0
    assert sheet.chords[-1].end == sheet.length
    assert all(one.end == two.start for one, two in zip(sheet.chords, sheet.chords[1:], strict=False))
    if plan.length[0] == "bars":
        assert plan.length[1] == plan.bars
    if plan.length[0] == "seconds":
        assert bars_in(plan.length[1], plan.bpm, plan.meter) == plan.bars
    return sheet


@pytest.mark.slow
def test_hundreds_of_plans_of_a_model_that_knows_nothing_all_add_up():
    planner = small_planner()
    with torch.no_grad():
        planner.model.shared.weight.mul_(3)  # wild opinions instead of none
    plans = planner.write(["a song"] * 300, [FREE] * 300, seed=1, temperature=1.5)
    for plan in plans:
        check(plan)
    assert len({tuple(plan.words()) for plan in plans}) > 270


def test_reading_undoes_writing():
    rng = random.Random(2)
    for _ in range(40):
        plan = drawn(FREE, rng)
        assert parse([*plan.words(), END]) == plan


def test_bars_of_a_sheet_are_the_plans_bars():
    rng = random.Random(3)
    for _ in range(10):
        plan = drawn(PlanConstraints(bars=12), rng)
        again = [bar for label in plan.form for bar in plan.content[label]]
        plain = [tuple(c for i, c in enumerate(bar) if not i or c[1:] != bar[i - 1][1:]) for bar in again]
        assert bars_of(plan.sheet()) == plain


def test_sections_of_one_label_have_the_same_chords():
    rng = random.Random(4)
    sheet = drawn(PlanConstraints(form=(("A", 4), ("B", 3), ("A", 4)), closed=True), rng).sheet()
    first, _, third = sheet.sections
    start = third.start
    assert [(s.start, s.chord) for s in sheet.chords if s.start < first.beats] == [
        (s.start - start, s.chord) for s in sheet.chords if s.start >= start
    ]


@pytest.mark.parametrize("bars", [1, 3, 5, 33, 97, 200, MOST_BARS])
def test_any_length_can_be_filled(bars):
    rng = random.Random(bars)
    for _ in range(5):
        assert check(drawn(PlanConstraints(bars=bars), rng)).length


@pytest.mark.parametrize("seconds", [0.4, 7, 61.5, 999])
def test_seconds_become_the_nearest_whole_bars(seconds):
    rng = random.Random(5)
    for _ in range(5):
        plan = drawn(PlanConstraints(seconds=seconds), rng)
        bar = plan.meter.beats_per_bar * 60 / plan.bpm
        assert abs(plan.bars * bar - seconds) <= bar / 2 + 1e-6 or plan.bars == 1


def test_a_word_out_of_place_is_named():
    words = drawn(PlanConstraints(bars=4), random.Random(6)).words()
    with pytest.raises(ValueError, match="word 1 of the plan"):
        parse([words[0], words[0]])
    with pytest.raises(ValueError, match="ends after"):
        parse(words[:-1])


def test_shares_add_up():
    assert share("AABA", 32) == {"A": 8, "B": 8}
    assert share("AABA", 30) == {"A": 8, "B": 6}
    assert share("AA", 15) is None
    for bars in range(4, 120):
        lengths = share("ABAC", bars)
        assert lengths is not None
        assert sum(lengths[label] for label in "ABAC") == bars


def test_the_processor_starts_again_when_rows_change_places():
    plans = [drawn(PlanConstraints(bars=4), random.Random(seed)).words()[:12] for seed in (7, 8)]
    ids = list(range(len(TOKENS) + 1))
    both = torch.tensor([[END, *words] for words in plans])
    stepwise, at_once = (PlanGrammar([FREE, FREE], ids, len(ids)) for _ in range(2))
    blank = torch.zeros(2, len(ids))
    for length in range(1, both.shape[1] + 1):
        slow = stepwise(both[:, :length], blank)
    assert torch.equal(slow, at_once(both, blank))
    assert torch.equal(stepwise(both.flip(0), blank), slow.flip(0))
    with pytest.raises(ValueError, match="one grammar a row"):
        stepwise(both[:1], blank[:1])


def test_plans_are_key_relative():
    plan = drawn(PlanConstraints(bars=8, keys=(Key("C", "minor"),)), random.Random(9))
    moved = replace(plan, key=Key("F#", "minor"))
    assert [c.chord.root_pc for c in plan.sheet().transpose(6).chords] == [
        c.chord.root_pc for c in moved.sheet().chords
    ]
    assert plan.words()[4:] == moved.words()[4:]
