"""A prompt and a duration are a song.

Planned, arranged, played; by the shipped planner and arranger on a small base.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_pipe import make_pipe, play, seeded

from musetune import LeadSheet, MuseTunePipeline
from musetune.audio import mel_frontend
from musetune.evaluation import Report

ALONE = {"harmonic_progression": None, "bpm": None, "duration_seconds": 6, "num_inference_steps": 1}


@pytest.fixture(scope="module")
def pipe(tiny_base: Path) -> MuseTunePipeline:
    pipe = make_pipe(tiny_base)
    torch.manual_seed(4)
    with torch.no_grad():
        for p in pipe.adapter.add_stems(16, 8, mel_frontend(pipe).frequencies).parameters():
            p.normal_(std=0.1)
    return pipe


def song(pipe: MuseTunePipeline, **settings):  # type: ignore[no-untyped-def]
    return play(pipe, **(ALONE | settings))


@pytest.mark.slow
def test_a_prompt_becomes_a_song_that_carries_plan_notes_and_report(pipe: MuseTunePipeline) -> None:
    made = song(pipe, key="D minor", bpm=120, time_signature="3/4", genre="jazz")
    plan = made.plan
    assert (str(plan.key), plan.bpm, str(plan.meter), plan.genre) == ("D minor", pytest.approx(120), "3/4", "jazz")
    assert plan.duration_s == pytest.approx(6, abs=0.76)  # whole bars of 1.5 s
    assert made.audios.shape == (1, round(plan.duration_s * made.sampling_rate))
    assert made.arrangement.stems
    assert made.arrangement.stems["drums"].credit == "by rule pop_backbeat"  # "warm pop" names a style
    assert isinstance(made.reports[0], Report)


@pytest.mark.slow
def test_the_generators_seed_is_the_songs(pipe: MuseTunePipeline) -> None:
    one, same, other = (song(pipe, generator=seeded(seed)) for seed in (1, 1, 2))
    assert (one.plan, one.arrangement) == (same.plan, same.arrangement)
    assert np.array_equal(one.audios, same.audios)
    assert (one.plan, one.arrangement) != (other.plan, other.arrangement)


def test_each_step_apart_is_the_same_as_together(pipe: MuseTunePipeline) -> None:
    together = song(pipe)
    plan = pipe.plan("warm pop", duration_seconds=6, seed=seeded().initial_seed())
    notes = pipe.arrange(plan, seed=seeded().initial_seed())
    assert (plan, notes) == (together.plan, together.arrangement)
    apart = song(pipe, lead_sheet=plan, arrangement=notes, duration_seconds=None)
    assert np.array_equal(apart.audios, together.audios)


@pytest.mark.slow
def test_players_of_a_song(pipe: MuseTunePipeline) -> None:
    made = song(pipe, stems=True)
    assert made.stems.keys() == {name for name, stem in made.arrangement.stems.items() if stem.notes}
    np.testing.assert_allclose(sum(made.stems.values()), made.audios[0], atol=1e-6)


@pytest.mark.slow
def test_without_a_branch_for_stems_the_plan_is_played(tiny_base: Path) -> None:
    made = song(make_pipe(tiny_base))
    assert made.arrangement.stems
    assert isinstance(made.plan, LeadSheet)


def test_the_stock_call_is_still_there(pipe: MuseTunePipeline) -> None:
    stock = pipe("warm pop", audio_length_in_s=1.28, num_inference_steps=1, generator=seeded())
    assert not hasattr(stock, "plan")
    with pytest.raises(ValueError, match="call once for each prompt"):
        pipe(["pop", "jazz"], duration_seconds=4)
    with pytest.raises(ValueError, match="bpm=900 is outside 30–300"):
        song(pipe, bpm=900)
