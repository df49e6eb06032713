"""How music is played, in the pipeline: heard where it is given, refused where it cannot be followed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_pipe import make_pipe, play, seeded

from musetune import LeadSheet, MuseTunePipeline
from musetune.pipeline.request import PLAIN_LUFS
from musetune.symbols.expression import Expression

SEED = seeded().initial_seed()
LOUD_AND_SWUNG = {"loudness_db": [(0, -20), (1, -8)], "swing": 0.62}


@pytest.fixture(scope="module")
def pipe(tiny_base: Path) -> MuseTunePipeline:
    """With a branch for expression of random weights."""
    pipe = make_pipe(tiny_base)
    torch.manual_seed(4)
    with torch.no_grad():
        for p in pipe.adapter.add_expression(16, 8).parameters():
            p.normal_(std=0.1)
    return pipe


def audio(pipe: MuseTunePipeline, **settings: Any) -> np.ndarray:
    made: np.ndarray = play(pipe, **({"duration_seconds": 1.28} | settings)).audios
    return made


def test_expression_is_heard_as_a_dictionary_or_a_value(pipe: MuseTunePipeline) -> None:
    plain = audio(pipe)
    told = audio(pipe, expression=LOUD_AND_SWUNG)
    assert not np.array_equal(told, plain)
    assert np.array_equal(audio(pipe, expression=Expression(((0, -20), (1, -8)), swing=0.62)), told)
    assert np.array_equal(audio(pipe, expression={}), plain)
    level = {"swing": 0.7, "loudness_db": [(0, PLAIN_LUFS)]}
    assert np.array_equal(audio(pipe, expression={"swing": 0.7}), audio(pipe, expression=level))
    assert not np.array_equal(audio(pipe, expression={"swing": 0.7}), audio(pipe, expression={"swing": 0.5}))


def test_it_counts_beside_parts_of_a_sheet(pipe: MuseTunePipeline) -> None:
    assert not np.array_equal(audio(pipe, follow=["chords"], expression=LOUD_AND_SWUNG), audio(pipe, follow=["chords"]))


@pytest.mark.slow
def test_a_songs_chords_are_chosen_for_its_complexity(pipe: MuseTunePipeline) -> None:
    alone = {"harmonic_progression": None, "bpm": None, "duration_seconds": 6, "num_inference_steps": 1}
    for wanted in (0.0, 1.0):
        for said in ({"harmonic_complexity": wanted}, Expression(harmonic_complexity=wanted)):
            made = play(pipe, **alone, expression=said)
            assert made.plan == pipe.plan("warm pop", duration_seconds=6, seed=SEED, harmonic_complexity=wanted)
    assert play(pipe, **alone, expression={"swing": 0.5}).plan == pipe.plan("warm pop", duration_seconds=6, seed=SEED)


def test_a_batch_has_one_for_each_prompt(pipe: MuseTunePipeline) -> None:
    sheet = LeadSheet.parse("I V", bpm=120, duration_seconds=1.28)
    call: dict[str, Any] = {"lead_sheet": sheet, "num_inference_steps": 2}
    both = pipe(["a", "a"], generator=[seeded(), seeded()], expression=[None, {"swing": 0.7}], **call).audios
    alone = pipe("a", generator=seeded(), **call).audios[0]
    np.testing.assert_allclose(both[0], alone, atol=1e-4)
    assert not np.allclose(both[1], alone, atol=1e-4)
    with pytest.raises(ValueError, match="expression holds 1 for 2 prompts"):
        pipe(["a", "b"], expression=[{"swing": 0.7}], **call)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"expression": {"swing": 2}}, "swing=2.0 is outside of 0.4 to 0.8"),
        ({"expression": {"groove": 2}}, "expression has no groove"),
        ({"expression": LOUD_AND_SWUNG, "loop": True, "duration_seconds": 2.0}, "would jump at its seam"),
    ],
)
def test_what_cannot_be_is_refused(pipe: MuseTunePipeline, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        audio(pipe, **settings)


def test_it_needs_music_and_a_branch(pipe: MuseTunePipeline, tiny_base: Path) -> None:
    with pytest.raises(ValueError, match="needs music"):
        pipe("pop", expression={"swing": 0.6})
    with pytest.raises(TypeError, match="is no Expression"):
        audio(pipe, expression=0.6)
    other = make_pipe(tiny_base)
    with pytest.raises(ValueError, match="this adapter reads no expression"):
        audio(other, expression={"swing": 0.6})
    assert np.array_equal(audio(other, expression={}), audio(other))
