"""Distillation into few steps: what one step of the student should answer, and how far it is off.

Notation as in `musetune.training.loss`: x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise. A trajectory is what the teacher's
sampler passes through under guidance, from noise to x_0. Two methods:

- `trajectory`: one DDIM step of the student goes as far as several steps of the teacher (progressive distillation,
  arXiv 2202.00512, here in one round, along the teacher's own trajectories). It is sampled by DDIM, without new noise.
- `consistency`: from everywhere on a trajectory the student answers with its end (latent consistency distillation,
  arXiv 2310.04378). It is sampled by going to the end, adding noise, and going again.
"""

from __future__ import annotations

import torch
from torch import Tensor

from musetune.training.loss import target

METHODS = ("trajectory", "consistency")
SIGMA_DATA, TIMESTEP_SCALING = 0.5, 10.0  # of the boundary condition, as diffusers' LCMScheduler has them


def split_prediction(sample: Tensor, prediction: Tensor, alpha: Tensor, prediction_type: str) -> tuple[Tensor, Tensor]:
    """The clean latents and the noise of which a prediction says that `sample` is made.

    Args:
        sample: x_t, (B, ...).
        prediction: The network's answer, like `sample`.
        alpha: a_t, (B,), in 0…1; with `epsilon` over 0.
        prediction_type: epsilon, v_prediction or sample.

    Returns:
        x_0 and noise, each like `sample`.

    Raises:
        ValueError: The prediction type is none of these.

    Example:
        >>> import torch
        >>> x_0, noise = split_prediction(torch.ones(1, 1), torch.zeros(1, 1), torch.tensor([0.36]), "v_prediction")
        >>> round(x_0.item(), 2), round(noise.item(), 2)
        (0.6, 0.8)
    """
    signal, spread = _column(alpha.sqrt(), sample), _column((1 - alpha).sqrt(), sample)
    if prediction_type == "v_prediction":
        return signal * sample - spread * prediction, spread * sample + signal * prediction
    if prediction_type == "epsilon":
        return (sample - spread * prediction) / signal, prediction
    if prediction_type == "sample":
        return prediction, (sample - signal * prediction) / spread
    raise ValueError(f"prediction_type={prediction_type!r} is not one of epsilon, v_prediction, sample")


def trajectory_target(start: Tensor, end: Tensor, alpha: Tensor, alpha_end: Tensor, prediction_type: str) -> Tensor:
    """The prediction with which one DDIM step from `start` lands on `end` (arXiv 2202.00512, appendix G).

    DDIM (arXiv 2010.02502, equation 12 without new noise) goes from x_t to x_s = sqrt(a_s) x_0 + sqrt(1 - a_s) noise.
    Both equations together give x_0 and noise, and these the prediction.

    Args:
        start: x_t of the teacher, (B, ...).
        end: x_s of the teacher, several of its steps later, like `start`.
        alpha: a_t, (B,), in 0…1.
        alpha_end: a_s, (B,), over a_t; 1 at the end of the trajectory.
        prediction_type: epsilon, v_prediction or sample.

    Returns:
        A tensor like `start`.

    Example:
        >>> import torch
        >>> x_t, x_0 = torch.ones(1, 1), torch.full((1, 1), 0.6)
        >>> v = trajectory_target(x_t, x_0, torch.tensor([0.36]), torch.tensor([1.0]), "v_prediction")
        >>> abs(v.item()) < 1e-6  # of v = 0 `split_prediction` makes x_0 = 0.6
        True
    """
    signal, spread = alpha.sqrt(), (1 - alpha).sqrt()
    signal_end, spread_end = alpha_end.sqrt(), (1 - alpha_end).sqrt()
    area = _column(signal_end * spread - signal * spread_end, start)  # sine of the angle between both, over 0
    latents = (_column(spread, start) * end - _column(spread_end, start) * start) / area
    noise = (_column(signal_end, start) * start - _column(signal, start) * end) / area
    return target(latents, noise, alpha, torch.arange(len(alpha), device=alpha.device), prediction_type)


def consistency_function(sample: Tensor, latents: Tensor, timesteps: Tensor) -> Tensor:
    """The end of the trajectory as a consistency model sees it: c_skip x_t + c_out x_0, which is x_t where t is 0.

    The boundary condition of arXiv 2303.01469, equation 5, scaled as in LCM: with s = 10 t, c_skip = σ² / (s² + σ²) and
    c_out = s / sqrt(s² + σ²), σ = 0.5.

    Args:
        sample: x_t, (B, ...).
        latents: x_0 as the network predicts it, like `sample`.
        timesteps: (B,), from 0 on.

    Returns:
        A tensor like `sample`.

    Example:
        >>> import torch
        >>> consistency_function(torch.ones(1, 1), torch.zeros(1, 1), torch.tensor([0])).item()
        1.0
    """
    scaled = timesteps.to(sample.dtype) * TIMESTEP_SCALING
    skip = SIGMA_DATA**2 / (scaled**2 + SIGMA_DATA**2)
    out = scaled / (scaled**2 + SIGMA_DATA**2).sqrt()
    return _column(skip, sample) * sample + _column(out, sample) * latents


def pseudo_huber(prediction: Tensor, target: Tensor, width: float) -> Tensor:
    """Mean of sqrt(d² + c²) − c over each sample (arXiv 2310.14189, section 3.3): a parabola near 0, then a line.

    Args:
        prediction: (B, ...).
        target: Like `prediction`.
        width: c, from 0 on; 0 is the absolute error.

    Returns:
        (B,), float32.

    Example:
        >>> import torch
        >>> pseudo_huber(torch.tensor([[3.0]]), torch.tensor([[0.0]]), 4.0).item()
        1.0
    """
    square = (prediction.float() - target.float()).square()
    return ((square + width**2).sqrt() - width).flatten(1).mean(1)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 1)).to(like.dtype)
