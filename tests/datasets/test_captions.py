"""Prompts made from analysis: varied, always alike for one file, and true."""

from __future__ import annotations

import pytest

from musetune.audio import synthesize
from musetune.datasets.captions import caption, surely_heard
from musetune.planning.rules.orchestrate import orchestrate
from musetune.symbols import LeadSheet
from musetune.symbols.arrangement import Arrangement

SHEET = LeadSheet.parse("| Am | F | C | G |", key="A minor", bpm=150, duration_seconds=10)
FILES = [f"song {n}.flac" for n in range(60)]


def test_captions_vary_and_each_file_keeps_its_own() -> None:
    texts = [caption(SHEET, file, "folk", ["piano", "drums"]) for file in FILES]
    assert texts == [caption(SHEET, file, "folk", ["piano", "drums"]) for file in FILES]
    assert len(set(texts)) > 10
    assert all("folk " in text and " with piano and drums" in text for text in texts)
    assert all("fast" in text or "150 bpm" in text for text in texts)
    assert not [text for text in texts if "slow" in text or "major" in text]


def test_what_is_unknown_is_not_said() -> None:
    texts = {caption(SHEET, file) for file in FILES}
    assert not [text for text in texts if " with " in text or "None" in text or "  " in text]


def test_three_four_may_be_called_a_waltz() -> None:
    waltz = LeadSheet.parse("| C | G |", key="C major", bpm=90, time_signature="3/4", duration_seconds=10)
    assert any("waltz" in caption(waltz, file) for file in FILES)
    assert not any("waltz" in caption(SHEET, file) for file in FILES)


@pytest.mark.slow
def test_drums_are_named_where_they_play() -> None:
    said = {True: 0, False: 0}
    takes = [orchestrate(SHEET, genre="rock", seed=seed).arrangement for seed in range(8)]
    for take in (take for take in takes if "drums" in take.stems):
        without = Arrangement(take.grid, {name: stem for name, stem in take.stems.items() if name != "drums"})
        for arranged in (take, without):
            wave = synthesize(arranged.to_pretty_midi(), 16000, duration_s=10.0)
            said["drums" in arranged.stems] += surely_heard(wave, 16000) == ["drums"]
    assert said[True] >= 4
    assert said[False] == 0
