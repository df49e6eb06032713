"""What a generation is going to be, from the latents before and after a step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler, DPMSolverMultistepScheduler
from hypothesis import given
from hypothesis import strategies as st

from musetune.serve.service.previews import predicted_latents, preview_steps


@given(st.integers(0, 8), st.integers(1, 1000))
def test_previews_lie_evenly_between_the_first_step_and_the_last(previews: int, steps: int) -> None:
    marks = preview_steps(previews, steps)
    assert len(marks) <= previews
    assert all(1 < mark < steps for mark in marks)
    if steps > 4 * (previews + 1):
        assert len(marks) == previews
        gaps = [b - a for a, b in zip((0, *marks), (*marks, steps))]
        assert max(gaps) - min(gaps) <= 1


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
