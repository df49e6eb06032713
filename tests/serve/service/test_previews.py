"""What a generation is going to be, from the latents before and after a step."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from hypothesis import given
from hypothesis import strategies as st

from musetune.client.bodies import GenerationBody
from musetune.serve.service import previews
from musetune.serve.service.checks import DEFAULT_STEPS, PLAIN_STEPS, steps_of
from musetune.serve.service.generation import stepper
from musetune.serve.service.previews import DenoisingCall, predicted_latents, preview_steps


@given(st.integers(0, 8), st.integers(1, 1000))
def test_previews_lie_evenly_between_the_first_step_and_the_last(count: int, steps: int) -> None:
    marks = [step for _, step in preview_steps(count, [DenoisingCall(steps)])]
    assert len(marks) <= count
    assert all(1 < mark < steps for mark in marks)
    if steps > 4 * (count + 1):
        assert len(marks) == count
        gaps = [b - a for a, b in zip((0, *marks), (*marks, steps))]
        assert max(gaps) - min(gaps) <= 1


@given(st.integers(0, 8), st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60)), min_size=1, max_size=5))
def test_previews_of_several_calls_lie_within_what_each_does(count: int, sizes: list[tuple[int, int]]) -> None:
    calls = [DenoisingCall(done + first, first) for done, first in sizes]
    marks = preview_steps(count, calls)
    assert len(marks) <= count
    assert all(calls[call].first + 1 < step < calls[call].steps for call, step in marks)
    assert count == 0 or len(calls) > 1 or sizes[0][0] < 3 or marks


def test_an_edit_of_several_calls_is_told_and_heard_throughout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stretches far apart, of which the second is listened to from its own beginning on, and the first is not."""
    told: list[tuple[str, int, int]] = []
    shown: list[tuple[str, int, int]] = []
    heard: list[tuple[int, int]] = []

    def decode(clean: torch.Tensor, samples: int) -> list[torch.Tensor]:
        heard.append((int(clean[0, 0, 0, 0]), clean.shape[2]))
        return [torch.zeros(samples).numpy()]

    context: Any = SimpleNamespace(
        folder=tmp_path,
        step=lambda stage, step=0, steps=0: told.append((stage, step, steps)),
        show=lambda path, step, steps: shown.append((path.name, step, steps)),
    )
    pipe: Any = SimpleNamespace(
        row_s=0.5, _rate=8000, _rows=lambda seconds: round(seconds / 0.5), _decode=decode, scheduler=None
    )
    monkeypatch.setattr(previews, "predicted_latents", lambda scheduler, step, before, after: after)
    calls = [DenoisingCall(4, begin_s=0.0), DenoisingCall(4, begin_s=3.0)]
    on_step = stepper(pipe, context, 2, calls)
    latents = torch.arange(8.0)[:, None].expand(1, 1, 8, 2)
    for _ in calls:
        for step in range(4):
            assert on_step(pipe, step, None, {"latents": latents})["latents"] is latents
    assert [step for stage, step, steps in told if (stage, steps) == ("denoising", 8)] == list(range(1, 9))
    assert told[-1] == ("decoding", 0, 0)
    assert shown == [("preview-3.ogg", 3, 8), ("preview-6.ogg", 6, 8)]
    assert heard == [(0, 8), (6, 2)], "first row and number of rows of what was decoded"


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a_step_of_ddim_tells_what_it_takes_for_clean(prediction: str) -> None:
    scheduler = DDIMScheduler(prediction_type=prediction, clip_sample=False)
    scheduler.set_timesteps(10)
    torch.manual_seed(0)
    latents = torch.randn(2, 8, 4, 4)
    for step, t in enumerate(scheduler.timesteps[:-1]):
        stepped = scheduler.step(torch.randn_like(latents), t, latents)
        clean = predicted_latents(scheduler, step, latents, stepped.prev_sample)
        torch.testing.assert_close(clean, stepped.pred_original_sample, rtol=1e-3, atol=1e-3)
        latents = stepped.prev_sample


def test_a_multistep_solver_tells_what_it_extrapolates() -> None:
    scheduler = DPMSolverMultistepScheduler(prediction_type="v_prediction", timestep_spacing="trailing")
    scheduler.set_timesteps(8)
    torch.manual_seed(0)
    clean = torch.randn(1, 8, 4, 4)
    latents = noise = torch.randn_like(clean)
    for step, t in enumerate(scheduler.timesteps[:-1]):
        share = float(scheduler.alphas_cumprod[int(t)])
        alpha, sigma = share**0.5, (1 - share) ** 0.5
        latents = alpha * clean + sigma * noise
        after = scheduler.step(alpha * noise - sigma * clean, t, latents).prev_sample  # a network that is right
        torch.testing.assert_close(predicted_latents(scheduler, step, latents, after), clean, rtol=1e-2, atol=1e-2)


@pytest.mark.slow
def test_a_preview_becomes_the_result(full_base: Path, tmp_path: Path) -> None:
    """The nearer the end, the nearer the preview's latents are to those of the result."""
    from musetune import MuseTunePipeline

    pipe = MuseTunePipeline.from_pretrained(full_base)
    pipe.set_progress_bar_config(disable=True)
    kept: list[torch.Tensor] = []

    def keep(_: object, step: int, t: object, tensors: dict) -> dict:
        kept.append(tensors["latents"].clone())
        return tensors

    music = {"harmonic_progression": "I V", "duration_seconds": 2, "num_inference_steps": 8}
    output = pipe("x", callback_on_step_end=keep, generator=torch.Generator().manual_seed(0), **music)
    errors = [
        float((predicted_latents(pipe.scheduler, step, kept[step - 1], kept[step]) - output.latents).abs().mean())
        for step in (2, 6)
    ]
    assert errors[1] < errors[0]


def test_a_lora_of_few_steps_says_how_many_there_are() -> None:
    few: Any = SimpleNamespace(adapter_manager=SimpleNamespace(sampling=SimpleNamespace(steps=4)))
    other: Any = SimpleNamespace(adapter_manager=SimpleNamespace(sampling=None))
    body = GenerationBody(prompt="x", harmonic_progression="I V")
    assert [steps_of(body, pipe=pipe) for pipe in (few, other, None)] == [4, DEFAULT_STEPS, DEFAULT_STEPS]
    assert steps_of(body, music=False, pipe=few) == PLAIN_STEPS
    assert steps_of(body.model_copy(update={"num_inference_steps": 8}), pipe=few) == 8
