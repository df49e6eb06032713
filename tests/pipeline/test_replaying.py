"""One player plays again; the others stay as they are, and the mix is the sum."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_pipe import make_pipe, play, read_stems, seeded

from musetune import LeadSheet, MuseTunePipeline
from musetune.pipeline.output import MuseTuneOutput
from musetune.pipeline.replaying import beside
from musetune.planning.rules.orchestrate import orchestrate
from musetune.symbols.arrangement import Arrangement

SHEET = LeadSheet.parse("I V vi IV", bpm=120, duration_seconds=2.56, genre="pop")
NOTES = orchestrate(SHEET, seed=1).arrangement
QUICK: dict[str, Any] = {"num_inference_steps": 1}


@pytest.fixture(scope="module")
def pipe(tiny_base: Path) -> MuseTunePipeline:
    return read_stems(make_pipe(tiny_base))


@pytest.fixture(scope="module")
def take(pipe: MuseTunePipeline) -> MuseTuneOutput:
    music = {"harmonic_progression": None, "bpm": None, "duration_seconds": None, "lead_sheet": SHEET}
    return play(pipe, **music, arrangement=NOTES, stems=True, num_inference_steps=1)  # type: ignore[no-any-return]


def test_the_others_stay_sample_for_sample(pipe: MuseTunePipeline, take: MuseTuneOutput) -> None:
    made = pipe.replay(take, "bass", generator=seeded(7), **QUICK)
    assert list(made.stems) == list(take.stems)
    for name, stem in take.stems.items():
        assert np.array_equal(made.stems[name], stem) == (name != "bass")
    assert np.array_equal(made.audios[0], sum(made.stems.values()))
    assert np.abs(made.audios).max() <= 0.99 + 1e-6
    loudness = [np.sqrt(np.square(one.stems["bass"]).mean()) for one in (take, made)]
    assert loudness[1] <= loudness[0] * 1.01
    assert made.arrangement is NOTES
    again = pipe.replay(made, "drums", generator=seeded(8), **QUICK)
    assert np.array_equal(again.stems["bass"], made.stems["bass"])


def test_new_notes_are_written_after_the_others(
    pipe: MuseTunePipeline, take: MuseTuneOutput, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def arrange(sheet: LeadSheet, **options: Any) -> Arrangement:
        asked.update(options, sheet=sheet)
        return replace(options["given"], stems=options["given"].stems | {"bass": NOTES.stems["bass"]})

    monkeypatch.setattr(pipe, "arrange", arrange)
    made = pipe.replay(take, "bass", rewrite=True, generator=seeded(5), **QUICK)
    assert asked["sheet"] == SHEET
    assert asked["seed"] == 5
    assert set(asked["stems"]) == set(NOTES.stems)
    assert "bass" not in asked["given"].stems
    assert set(made.arrangement.stems) == set(NOTES.stems)


def test_a_stereo_take_stays_stereo(pipe: MuseTunePipeline, take: MuseTuneOutput) -> None:
    wide = {name: np.stack([stem, 0.5 * stem]) for name, stem in take.stems.items()}
    both = replace(take, stems=wide, audios=sum(wide.values())[None])
    made = pipe.replay(both, "bass", generator=seeded(7), **QUICK)
    assert made.audios.shape == both.audios.shape
    assert np.array_equal(made.stems["drums"], wide["drums"])


@pytest.mark.parametrize(
    ("player", "change", "message"),
    [
        ("bas", {}, "did you mean 'bass'"),
        ("bass", {"stems": None}, "has no players"),
        ("bass", {"arrangement": Arrangement(SHEET.grid, {"drums": NOTES.stems["drums"]})}, "has no notes"),
    ],
)
def test_what_cannot_be_replayed_is_said(
    pipe: MuseTunePipeline, take: MuseTuneOutput, player: str, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pipe.replay(replace(take, **change), player, **QUICK)


def test_a_new_player_is_softer_where_the_sum_would_clip() -> None:
    rng = np.random.default_rng(0)
    rest, new = rng.uniform(-0.9, 0.9, 4000), rng.uniform(-0.8, 0.8, 4000)
    fits = beside(new, new, [rest])
    assert np.abs(rest + fits).max() <= 0.99 + 1e-6
    assert np.abs(fits).max() > 0.05
