"""Guidance of words and music.

The formula, the passes that it needs, the intervals of the steps in which it applies.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from small_pipe import make_pipe, play

from musetune import MuseTunePipeline
from musetune.pipeline.guidance import Guidance, guide, passes


@pytest.fixture(scope="module")
def pipe(tiny_base: Path) -> MuseTunePipeline:
    return make_pipe(tiny_base)


@pytest.mark.parametrize("scales", [(2.5, 3.0), (0.0, 0.0), (1.0, 0.0), (1.0, 3.0), (1.0, 1.0), (3.0, 3.0), (0.0, 2.0)])
@pytest.mark.parametrize("rescale", [0.0, 0.7])
def test_guidance_of_two_conditions(scales: tuple[float, float], rescale: float) -> None:
    """As written down in full, whichever predictions are left out."""
    words, music = scales
    predictions = torch.randn(3, 2, 5)
    nothing, text, both = predictions
    wanted = nothing + words * (text - nothing) + music * (both - text)
    wanted = wanted * (rescale * both.std(1, keepdim=True) / wanted.std(1, keepdim=True) + 1 - rescale)
    torch.testing.assert_close(guide(predictions[list(passes(scales))].flatten(0, 1), (words, music), rescale), wanted)


@pytest.mark.parametrize(
    ("scales", "needed"),
    [((2.5, 3.0), (0, 1, 2)), ((1.0, 3.0), (1, 2)), ((3.0, 3.0), (0, 2)), ((1.0, 1.0), (2,)), ((1.0, 0.0), (1, 2))],
)
def test_only_what_counts_is_predicted(scales: tuple[float, float], needed: tuple[int, ...]) -> None:
    assert passes(scales) == needed


def test_scales_hold_in_their_interval() -> None:
    guidance = Guidance(2.5, 3.0, text_interval=(0.25, 0.5), music_interval=(0.5, 1.0))
    assert [guidance.at(step, 4) for step in range(4)] == [(1.0, 1.0), (2.5, 1.0), (1.0, 3.0), (1.0, 3.0)]


@pytest.mark.slow
def test_the_whole_interval_changes_nothing(pipe: MuseTunePipeline) -> None:
    plain = play(pipe).audios
    always = play(pipe, guidance_interval=(0, 1), music_guidance_interval=(0.0, 1.0)).audios
    assert np.array_equal(always, plain)
    assert not np.array_equal(play(pipe, guidance_interval=(0.5, 1)).audios, plain)
    assert not np.array_equal(play(pipe, music_guidance_interval=(0.5, 1)).audios, plain)


def test_outside_the_interval_the_scale_is_one(pipe: MuseTunePipeline) -> None:
    never = (0.4, 0.6)  # the middles of two steps are 0.25 and 0.75
    assert np.array_equal(play(pipe, guidance_interval=never).audios, play(pipe, guidance_scale=1.0).audios)
    music = play(pipe, music_guidance_interval=never).audios
    assert np.array_equal(music, play(pipe, music_guidance_scale=1.0).audios)


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({}, [2, 2]),  # by default both are pushed alike
        ({"guidance_scale": 2.0}, [3, 3]),
        ({"guidance_scale": 2.0, "guidance_interval": (0, 0.5), "music_guidance_interval": (0, 0.5)}, [3, 1]),
        ({"guidance_scale": 2.0, "guidance_interval": (0, 0.5)}, [3, 2]),
        ({"guidance_scale": 3.0, "num_waveforms_per_prompt": 2}, [4, 4]),
    ],
)
def test_unguided_steps_are_cheaper(pipe: MuseTunePipeline, settings: dict, rows: list[int]) -> None:
    seen: list[int] = []
    watch = pipe.unet.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    play(pipe, **settings)
    watch.remove()
    assert seen == rows


@pytest.mark.parametrize("name", ["guidance_interval", "music_guidance_interval"])
@pytest.mark.parametrize("value", [(0.5, 0.5), (-0.1, 1), (0, 2), (0.8, 0.2), (0.0, 0.5, 1.0)])
def test_intervals_that_are_none(pipe: MuseTunePipeline, name: str, value: tuple) -> None:
    with pytest.raises(
        ValueError, match=rf"{name}=\(.*\) is (not \(start, end\), two numbers|outside 0 ≤ start < end ≤ 1)"
    ):
        play(pipe, **{name: value})
