"""How much music asks for which training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from musetune.audio import save_audio
from musetune.training.own_songs.plan import minutes_of, plan_training


def test_more_music_is_trained_on_longer_and_within_bounds() -> None:
    plans = [plan_training(minutes) for minutes in (0.5, 4.0, 9.0, 12.0, 95.0, 1000.0)]
    steps = [plan.steps for plan in plans]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (60, 300)
    assert [plan.rank for plan in plans] == [4, 4, 4, 8, 8, 8]
    assert len(plans[0].transpose) > len(plans[-1].transpose)


@pytest.mark.parametrize("minutes", [3.0, 5.0, 8.0])
def test_the_reasons_say_what_happens(minutes: float) -> None:
    plan = plan_training(minutes)
    times = plan.steps * 16 * 5.12 / (60 * minutes)
    assert f"{plan.steps} steps" in plan.reasons[0]
    assert f"some {times:.0f} times" in plan.reasons[0]
    assert times == pytest.approx(30, abs=1)
    assert f"rank {plan.rank}" in plan.reasons[1]
    assert all(f"{n:+d}" in plan.reasons[2] for n in plan.transpose)


def test_minutes_come_from_heads_and_broken_files_count_nothing(tmp_path: Path) -> None:
    save_audio(tmp_path / "a.wav", np.zeros(3 * 8000, np.float32), 8000)
    midi = pretty_midi.PrettyMIDI()
    piano = pretty_midi.Instrument(0)
    piano.notes.append(pretty_midi.Note(80, 60, 0.0, 6.0))
    midi.instruments.append(piano)
    midi.write(str(tmp_path / "b.mid"))
    (tmp_path / "c.mp3").write_bytes(b"no music")
    assert minutes_of(sorted(tmp_path.iterdir())) * 60 == pytest.approx(9.0, abs=0.01)
