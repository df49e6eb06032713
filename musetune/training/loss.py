"""The diffusion loss: what the U-Net should answer, and how much each timestep counts.

Notation: x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise with a_t = `alphas_cumprod[t]`, and SNR(t) = a_t / (1 - a_t).
"""

from __future__ import annotations

from torch import Tensor

PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")


def add_noise(latents: Tensor, noise: Tensor, alphas_cumprod: Tensor, timesteps: Tensor) -> Tensor:
    """x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise. latents, noise (B, ...); timesteps (B,) long."""
    a = _per_sample(alphas_cumprod[timesteps], latents)
    return a.sqrt() * latents + (1 - a).sqrt() * noise


def target(latents: Tensor, noise: Tensor, alphas_cumprod: Tensor, timesteps: Tensor, prediction_type: str) -> Tensor:
    """What the network predicts: the noise, v = sqrt(a_t) noise - sqrt(1 - a_t) x_0 (arXiv 2202.00512), or x_0."""
    if prediction_type == "epsilon":
        return noise
    if prediction_type == "sample":
        return latents
    if prediction_type == "v_prediction":
        a = _per_sample(alphas_cumprod[timesteps], latents)
        return a.sqrt() * noise - (1 - a).sqrt() * latents
    raise ValueError(f"prediction_type={prediction_type!r} is not one of {', '.join(PREDICTION_TYPES)}")


def snr(alphas_cumprod: Tensor, timesteps: Tensor) -> Tensor:
    """Signal-to-noise ratio a_t / (1 - a_t) of each timestep, (B,)."""
    a = alphas_cumprod[timesteps]
    return a / (1 - a)


def min_snr_weight(ratio: Tensor, gamma: float, prediction_type: str) -> Tensor:
    """Min-SNR-gamma weights (arXiv 2303.09556): min(SNR, gamma) seen as a loss on x_0, for each parameterisation.

    ratio (B,) is the SNR; gamma > 0 (5 in the paper). A schedule with zero terminal SNR has ratio 0 at its end, where
    an epsilon prediction says nothing about x_0: that raises, use v_prediction.
    """
    if gamma <= 0:
        raise ValueError(
            f"snr_gamma={gamma} must be positive (the paper takes 5), or null to weigh all timesteps alike"
        )
    clipped = ratio.clamp(max=gamma)
    if prediction_type == "sample":
        return clipped
    if prediction_type == "v_prediction":
        return clipped / (ratio + 1)
    if prediction_type == "epsilon":
        if bool((ratio == 0).any()):
            raise ValueError("a timestep has zero signal: epsilon prediction cannot learn there, use v_prediction")
        return clipped / ratio
    raise ValueError(f"prediction_type={prediction_type!r} is not one of {', '.join(PREDICTION_TYPES)}")


def diffusion_loss(
    prediction: Tensor, wanted: Tensor, ratio: Tensor, prediction_type: str, snr_gamma: float | None
) -> Tensor:
    """Mean squared error of each sample, (B,) float32, weighted by min-SNR unless `snr_gamma` is None."""
    error = (prediction.float() - wanted.float()).square().flatten(1).mean(1)
    return error if snr_gamma is None else error * min_snr_weight(ratio, snr_gamma, prediction_type)


def _per_sample(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 1)).to(like.dtype)
