"""The loss against its formulas, written out by hand or taken from the scheduler's own code."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler

from musetune.training.loss import add_noise, diffusion_loss, min_snr_weight, snr, target

SCHEDULER = DDPMScheduler(num_train_timesteps=1000, beta_schedule="scaled_linear", beta_start=0.0015, beta_end=0.0195)
A = SCHEDULER.alphas_cumprod
T = torch.tensor([0, 17, 500, 999])


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(4, 8, 6, 16, generator=g), torch.randn(4, 8, 6, 16, generator=g)


def test_noise_and_velocity_are_the_schedulers(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, noise = pair
    torch.testing.assert_close(add_noise(x, noise, A, T), SCHEDULER.add_noise(x, noise, T))
    torch.testing.assert_close(target(x, noise, A, T, "v_prediction"), SCHEDULER.get_velocity(x, noise, T))
    assert torch.equal(target(x, noise, A, T, "epsilon"), noise)
    assert torch.equal(target(x, noise, A, T, "sample"), x)


@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction", "sample"])
def test_min_snr_is_one_weight_on_x0_whatever_is_predicted(
    prediction_type: str, pair: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """The same error in x_0 costs min(SNR, gamma) times its square under every parameterisation."""
    x, noise = pair
    noisy, wrong = add_noise(x, noise, A, T), x + 0.1
    # the answer of a network that believes x_0 = wrong, given the same noisy input
    a = A[T].reshape(-1, 1, 1, 1)
    implied_noise = (noisy - a.sqrt() * wrong) / (1 - a).sqrt()
    answer = target(wrong, implied_noise, A, T, prediction_type)
    loss = diffusion_loss(answer, target(x, noise, A, T, prediction_type), snr(A, T), prediction_type, 5.0)
    torch.testing.assert_close(loss, 0.01 * snr(A, T).clamp(max=5.0), rtol=2e-2, atol=1e-6)


def test_without_gamma_the_loss_is_the_mean_square(pair: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, noise = pair
    loss = diffusion_loss(x, noise, snr(A, T), "epsilon", None)
    torch.testing.assert_close(loss, ((x - noise) ** 2).mean((1, 2, 3)))


def test_bad_settings_say_what_is_allowed() -> None:
    with pytest.raises(ValueError, match="snr_gamma=0"):
        min_snr_weight(torch.ones(1), 0.0, "epsilon")
    with pytest.raises(ValueError, match="'velocity' is not one of epsilon, v_prediction, sample"):
        min_snr_weight(torch.ones(1), 5.0, "velocity")
    with pytest.raises(ValueError, match="use v_prediction"):
        min_snr_weight(torch.zeros(1), 5.0, "epsilon")
    assert min_snr_weight(torch.zeros(1), 5.0, "v_prediction").item() == 0


def test_rows_of_unsure_bars_count_less() -> None:
    torch.manual_seed(0)
    predicted, wanted = torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)
    plain = diffusion_loss(predicted, wanted, torch.ones(2), "epsilon", None)
    weights = torch.ones(2, 4)
    torch.testing.assert_close(diffusion_loss(predicted, wanted, torch.ones(2), "epsilon", None, weights), plain)
    weights[1, 2:] = 0.0
    first, second = diffusion_loss(predicted, wanted, torch.ones(2), "epsilon", None, weights)
    torch.testing.assert_close(first, plain[0])
    torch.testing.assert_close(second, (predicted - wanted)[1, :, :2].square().mean() / 2)
