"""Players whose notes no pattern explains, and one alone; what they play goes from the rendering into the data set."""

from __future__ import annotations

import random

import pytest

from musetune.datasets.rendering.players import RANGES, free, solo
from musetune.planning.rules.orchestrate import orchestrate
from musetune.symbols import LeadSheet

SHEET = LeadSheet.parse("| C | F . G7 . | Am | N |", bpm=110, duration_seconds=12, genre="rock")
TAKE = orchestrate(SHEET, seed=3)


@pytest.mark.parametrize("seed", range(8))
def test_free_notes_stay_in_range_and_time_and_comp_the_chords(seed: int) -> None:
    made = free(TAKE, SHEET, random.Random(seed)).arrangement
    assert TAKE.arrangement.stems.keys() <= made.stems.keys()
    for name, stem in made.stems.items():
        assert stem.notes
        assert all(0 <= n.start < SHEET.length and n.start + n.beats <= float(SHEET.length) + 0.25 for n in stem.notes)
        if name in RANGES:
            low, high = RANGES[name]
            assert all(low <= n.pitch <= high for n in stem.notes)
        elif name != "drums":
            assert all(n.pitch % 12 in SHEET.chord_at(n.start).pitch_classes for n in stem.notes)
    assert made != free(TAKE, SHEET, random.Random(seed + 1)).arrangement
    assert made == free(TAKE, SHEET, random.Random(seed)).arrangement


def test_one_alone_keeps_its_notes_and_is_named() -> None:
    made = [solo(TAKE, SHEET, random.Random(seed)) for seed in range(12)]
    names = {name for take in made for name in take.arrangement.stems}
    assert names == TAKE.arrangement.stems.keys()
    for take in made:
        ((name, stem),) = take.arrangement.stems.items()
        assert stem == TAKE.arrangement.stems[name]
        assert ("drums" in take.prompt) == stem.is_drum
        assert "solo" in take.prompt or "alone" in take.prompt
