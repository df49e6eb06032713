"""A score by hand: what moves and what stays."""

from __future__ import annotations

import numpy as np
import pytest

from musetune.datasets.rendering.performance import LOOSEST_S, perform
from musetune.planning.rules.orchestrate import orchestrate
from musetune.symbols import LeadSheet

SHEET = LeadSheet.parse("| C | F . G7 . | Am | Dm7 |", bpm=110, duration_seconds=30, genre="jazz")
WRITTEN = orchestrate(SHEET, seed=3).arrangement


@pytest.mark.parametrize("seed", range(4))
def test_bound_to_the_score_only_onsets_and_velocities_move(seed: int) -> None:
    played = perform(WRITTEN, "jazz", np.random.default_rng(seed), free=False)
    assert played.grid == WRITTEN.grid
    assert played.stems.keys() == WRITTEN.stems.keys()
    seconds = np.diff(WRITTEN.grid.times_s).mean()
    moves = []
    for name, stem in played.stems.items():
        pairs = list(zip(WRITTEN.stems[name].notes, stem.notes, strict=True))
        assert all((a.pitch, a.beats) == (b.pitch, b.beats) for a, b in pairs)
        moves += [(b.start - a.start) * seconds for a, b in pairs if a.start > 0.5]
        assert len({b.velocity for _, b in pairs}) > 1
    assert 0 < np.std(moves) < 1.2 * LOOSEST_S


def test_free_tempo_sways_and_a_machine_keeps_time() -> None:
    free = perform(WRITTEN, "classical", np.random.default_rng(1))
    assert free.grid != WRITTEN.grid
    assert np.abs(np.diff(free.grid.times_s) / np.diff(WRITTEN.grid.times_s) - 1).max() < 0.5
    machine = perform(WRITTEN, "electronic", np.random.default_rng(1), free=False)
    for name, stem in machine.stems.items():
        assert [note.start for note in stem.notes] == [note.start for note in WRITTEN.stems[name].notes]


def test_a_state_gives_one_performance() -> None:
    first, again, other = (perform(WRITTEN, "rock", np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert first == again != other
