"""The stems' token language: what is written reads back, and its grammar is closed."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musetune.planning.arranger.grammar import CONTEXT, StemTextReader, contexts, read_events, write
from musetune.planning.arranger.language import (
    BODY,
    CYMBALS,
    DRUM_CLASSES,
    HITS,
    METERS,
    STEM_RANGES,
    STEPS,
    TOMS,
    VOCABULARY,
    Passage,
    PassageChord,
    StemEvent,
    beats_of,
    drums_in,
    hit_of,
    offsets_of,
    position,
    position_step,
    tonic_offset,
)
from musetune.planning.arranger.passages import cuts, nearest_step, passage_at
from musetune.planning.rules.sheet_bars import bars_of
from musetune.symbols import Key, LeadSheet
from musetune.symbols.arrangement import STEMS

CHORDS = (PassageChord(0, 0, 0, 0), PassageChord(18, 9, 1, 9), PassageChord(24, 12, 18, 12))


def passage(meter: str = "4/4", bars: int = 2, offset: int = 0) -> Passage:
    return Passage("pop", meter, "major", 100, offset, bars, CHORDS)


def test_every_hit_names_what_is_struck() -> None:
    for hit in range(1, HITS):
        names = drums_in(hit)
        assert names
        assert hit_of({DRUM_CLASSES[name][0] for name in names}) == hit
    assert hit_of({36, 42, 49}) == hit_of({36, 49})  # of two cymbals the louder


def test_positions_read_back() -> None:
    for meter in METERS:
        for beat, offset in product(range(beats_of(meter)), offsets_of(meter)):
            assert position_step(position(beat * STEPS + offset)) == beat * STEPS + offset


@given(st.sampled_from(STEMS), st.sampled_from(METERS), st.integers(1, 8), st.data())
def test_what_the_grammar_writes_reads_back(stem: str, meter: str, bars: int, data: st.DataObject) -> None:
    own, player = passage(meter, bars), STEM_RANGES[stem]
    grid = [b * STEPS + o for b in range(bars * beats_of(meter)) for o in offsets_of(meter)]
    steps = data.draw(st.lists(st.sampled_from(grid), unique=True, max_size=3 * bars))
    steps = [
        s for s in steps if sum(t // own.bar_steps == s // own.bar_steps for t in steps) <= 4
    ]  # as many as a bar holds
    pitch = st.integers(1, HITS - 1) if stem == "drums" else st.integers(player.low, player.high)
    events = [StemEvent(step, data.draw(pitch), 3 if stem == "drums" else 2) for step in sorted(steps)]
    tokens = write(stem, events, own)
    read = read_events(tokens, own)[stem]
    assert [(e.step, e.pitch) for e in read] == [(e.step, e.pitch) for e in events]
    assert write(stem, read, own) == tokens
    walker = StemTextReader(own)
    for before, token in enumerate(tokens):
        if before:
            assert walker.allowed()[token]
        walker.push(token)
    assert walker.stem == ""


@given(
    st.sampled_from(STEMS), st.sampled_from(METERS), st.integers(1, 8), st.integers(-6, 5), st.integers(0, 2**32 - 1)
)
def test_whatever_is_drawn_is_a_whole_passage_in_range(
    stem: str, meter: str, bars: int, offset: int, seed: int
) -> None:
    """A walk at random through what is allowed ends, has all its bars, and stays inside the instrument's range."""
    own, rng = passage(meter, bars, offset), np.random.default_rng(seed)
    walker = StemTextReader(own)
    walker.push(write(stem, [], own)[0])
    for _ in range(4000):
        if not walker.stem:
            break
        token = int(rng.choice(np.flatnonzero(walker.allowed())))
        walker.push(token)
        assert all(0 <= value < size for value, size in zip(walker.context(), CONTEXT))
    assert walker.stem == ""
    player = STEM_RANGES[stem]
    for event in walker.events[stem]:
        assert 0 <= event.step < event.step + event.steps <= own.steps or stem == "drums"
        assert stem == "drums" or player.low <= event.pitch + offset <= player.high


def test_a_token_knows_the_chord_where_it_stands() -> None:
    own = passage()
    tokens = write("bass", [StemEvent(0, 36, 12), StemEvent(18, 45, 6), StemEvent(48, 36, 12)], own)
    table = contexts(tokens, own)
    root, following, until = 4, 7, 9  # columns
    at = {(row[1], row[3]): row for row in table}
    assert at[0, position(18) - position(0)][root] == 9
    assert at[0, 0][following] == 9
    assert at[0, 0][until] == 2
    assert at[1, 0][root] == 12
    assert at[1, 0][following] == 13


def test_errors_name_value_and_range() -> None:
    with pytest.raises(ValueError, match="5/4"):
        passage("5/4")
    with pytest.raises(ValueError, match=r"bars=9 .*1–8"):
        passage(bars=9)
    with pytest.raises(ValueError, match="step 0"):
        Passage("pop", "4/4", "major", 100, 0, 1, CHORDS[1:])
    with pytest.raises(RuntimeError, match="no stem"):
        StemTextReader(passage()).allowed()


def test_keys_come_free() -> None:
    """The same progression in every key is the same passage but for the offset."""
    sheets = [LeadSheet.from_progression(["I", "vi", "ii7", "V7"], key=f"{k} major") for k in ("C", "F#", "Bb", "E")]
    seen = [passage_at(s, s.downbeats()[0], 4, "4/4") for s in sheets]
    assert {p.harmony for p in seen} == {seen[0].harmony}
    assert [p.offset for p in seen] == [0, -6, -2, 4]
    assert {tonic_offset(Key(n)) for n in ("F#", "G", "F")} == {-6, -5, 5}


def test_bars_and_cuts() -> None:
    sheet = LeadSheet.parse("| C | F . G . | C |", key="C major", time_signature="4/4")
    assert [float(b.start) for b in bars_of(sheet)] == [0, 4, 8]
    assert cuts(8) == [8]
    assert cuts(12) == [8, 4]
    assert cuts(9) == [5, 4]
    assert all(sum(cuts(n)) == n and max(cuts(n)) <= 8 for n in range(1, 60))
    assert nearest_step(1.01, "4/4") == 12
    assert nearest_step(0.97, "4/4") == 12
    assert nearest_step(0.66, "4/4") == 8
    assert nearest_step(0.66, "4/4", triplets=False) == 9
    assert len(BODY) + len(CYMBALS) + len(TOMS) == 12
    assert VOCABULARY > HITS


def test_a_bar_holds_no_more_than_its_player_plays() -> None:
    """What is beyond the limits is left out.

    Onsets in a bar, notes at once (the outer voices stay), notes out of range or off the grid.
    """
    own = passage("2/4", 1)
    many = [StemEvent(s, 36, 3) for s in (0, 3, 6, 9, 12, 15)]
    assert [e.step for e in read_events(write("bass", many, own), own)["bass"]] == [0, 3, 6, 9]
    chord = [StemEvent(0, p, 12) for p in (50, 52, 55, 57, 60, 64, 67)]
    assert [e.pitch for e in read_events(write("keys", chord, own), own)["keys"]] == [50, 57, 60, 64, 67]
    assert not read_events(write("bass", [StemEvent(0, 70, 3), StemEvent(5, 36, 3), StemEvent(24, 36, 3)], own), own)[
        "bass"
    ]
