"""Distillation's equations against diffusers' schedulers, and the student against the model that it starts as."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler, LCMScheduler

from musetune.training.distillation import (
    SIGMA_DATA,
    TIMESTEP_SCALING,
    consistency_function,
    pseudo_huber,
    split_prediction,
    trajectory_target,
)
from musetune.training.loss import add_noise, target

KINDS = ("epsilon", "v_prediction", "sample")


def scheduler(kind: str, schedule: str = "scaled_linear") -> DDIMScheduler:
    made = DDIMScheduler(
        beta_schedule=schedule, prediction_type=kind, timestep_spacing="trailing", clip_sample=False, steps_offset=0
    )
    made.set_timesteps(4)
    return made


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(4, 8, 6, 16, generator=g), torch.randn(4, 8, 6, 16, generator=g)


@pytest.mark.parametrize("kind", KINDS)
def test_one_step_of_the_scheduler_with_the_target_lands_on_the_teachers_state(
    kind: str, pair: tuple[torch.Tensor, torch.Tensor]
) -> None:
    ddim, (starts, ends) = scheduler(kind), pair
    alphas = ddim.alphas_cumprod[ddim.timesteps]
    alphas_end = torch.cat([alphas[1:], torch.ones(1)])
    wanted = trajectory_target(starts, ends, alphas, alphas_end, kind)
    for place, t in enumerate(ddim.timesteps):
        landed = ddim.step(wanted[place : place + 1], t, starts[place : place + 1]).prev_sample
        torch.testing.assert_close(landed, ends[place : place + 1], rtol=1e-3, atol=1e-3)


def test_the_target_holds_where_hardly_any_signal_is_left() -> None:
    """The cosine schedule's last timestep, which nano has, in float32."""
    ddim = scheduler("v_prediction", "squaredcos_cap_v2")
    noise, end = torch.randn(2, 1, 2, 16, generator=torch.Generator().manual_seed(1))
    alphas = ddim.alphas_cumprod[ddim.timesteps[:2]]
    assert alphas[0] < 1e-6
    wanted = trajectory_target(noise[None], end[None], alphas[:1], alphas[1:], "v_prediction")
    torch.testing.assert_close(ddim.step(wanted, ddim.timesteps[0], noise[None]).prev_sample, end[None])


@pytest.mark.parametrize("kind", KINDS)
def test_a_prediction_is_split_into_what_it_was_made_of(kind: str, pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    latents, noise = pair
    alphas, t = scheduler(kind).alphas_cumprod, torch.tensor([1, 200, 600, 998])
    sample = add_noise(latents, noise, alphas, t)
    found = split_prediction(sample, target(latents, noise, alphas, t, kind), alphas[t], kind)
    for one, other in zip(found, pair, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    with pytest.raises(ValueError, match="prediction_type='flow' is not one of epsilon"):
        split_prediction(sample, sample, alphas[t], "flow")


def test_the_boundary_condition_is_that_of_the_scheduler(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    sample, latents = pair
    lcm = LCMScheduler()
    assert (lcm.sigma_data if hasattr(lcm, "sigma_data") else SIGMA_DATA) == SIGMA_DATA
    assert lcm.config.timestep_scaling == TIMESTEP_SCALING
    for t in (0, 1, 499):
        skip, out = lcm.get_scalings_for_boundary_condition_discrete(t)
        got = consistency_function(sample, latents, torch.full((4,), t))
        torch.testing.assert_close(got, skip * sample + out * latents)


def test_the_loss_is_a_parabola_near_zero_and_a_line_far_from_it() -> None:
    width, wanted = 0.1, torch.zeros(1, 1)
    near, far = (pseudo_huber(torch.full((1, 1), d), wanted, width).item() for d in (1e-3, 100.0))
    assert near == pytest.approx(1e-6 / (2 * width), rel=1e-2)
    assert far == pytest.approx(100.0 - width, rel=1e-3)
    assert pseudo_huber(torch.full((1, 1), -3.0), wanted, 0.0).item() == 3.0
