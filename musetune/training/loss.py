"""The diffusion loss: what the U-Net should answer, and how much each timestep counts.

Notation: x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise with a_t = `alphas_cumprod[t]`, and SNR(t) = a_t / (1 - a_t).
"""

from __future__ import annotations

from torch import Tensor

PREDICTION_TYPES = ("epsilon", "v_prediction", "sample")


def add_noise(latents: Tensor, noise: Tensor, alphas_cumprod: Tensor, timesteps: Tensor) -> Tensor:
    """Noised latents x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) noise (DDPM, arXiv 2006.11239, equation 4).

    Args:
        latents: x_0, (B, ...).
        noise: Standard normal, like `latents`.
        alphas_cumprod: a_t of every timestep, (timesteps,), each in 0…1.
        timesteps: One a sample, (B,) long.

    Returns:
        x_t, like `latents`.

    Example:
        >>> import torch
        >>> add_noise(torch.ones(1, 1), torch.zeros(1, 1), torch.tensor([0.25]), torch.tensor([0]))
        tensor([[0.5000]])
    """
    a = _per_sample(alphas_cumprod[timesteps], latents)
    return a.sqrt() * latents + (1 - a).sqrt() * noise


def target(latents: Tensor, noise: Tensor, alphas_cumprod: Tensor, timesteps: Tensor, prediction_type: str) -> Tensor:
    """The answer that the network is trained to give.

    Args:
        latents: x_0, (B, ...).
        noise: What was added, like `latents`.
        alphas_cumprod: a_t of every timestep, (timesteps,).
        timesteps: One a sample, (B,) long.
        prediction_type: `epsilon`: the noise; `sample`: x_0; `v_prediction`: v = sqrt(a_t) noise - sqrt(1 - a_t) x_0
            (arXiv 2202.00512, appendix D).

    Returns:
        A tensor like `latents`.

    Raises:
        ValueError: The prediction type is none of these.

    Example:
        >>> import torch
        >>> x, noise, t = torch.ones(1, 1), torch.ones(1, 1), torch.tensor([0])
        >>> round(target(x, noise, torch.tensor([0.36]), t, "v_prediction").item(), 3)  # 0.6 - 0.8
        -0.2
    """
    if prediction_type == "epsilon":
        return noise
    if prediction_type == "sample":
        return latents
    if prediction_type == "v_prediction":
        a = _per_sample(alphas_cumprod[timesteps], latents)
        return a.sqrt() * noise - (1 - a).sqrt() * latents
    raise ValueError(f"prediction_type={prediction_type!r} is not one of {', '.join(PREDICTION_TYPES)}")


def snr(alphas_cumprod: Tensor, timesteps: Tensor) -> Tensor:
    """Signal-to-noise ratio a_t / (1 - a_t) of each sample (arXiv 2107.00630).

    Args:
        alphas_cumprod: a_t of every timestep, (timesteps,).
        timesteps: One a sample, (B,) long.

    Returns:
        (B,), at least 0.

    Example:
        >>> import torch
        >>> snr(torch.tensor([0.75]), torch.tensor([0]))
        tensor([3.])
    """
    a = alphas_cumprod[timesteps]
    return a / (1 - a)


def min_snr_weight(ratio: Tensor, gamma: float, prediction_type: str) -> Tensor:
    """Min-SNR-gamma weights (arXiv 2303.09556): min(SNR, gamma) seen as a loss on x_0, for each parameterisation.

    Args:
        ratio: The signal-to-noise ratio of each sample, (B,).
        gamma: Over 0; 5 in the paper.
        prediction_type: epsilon, v_prediction or sample.

    Returns:
        A weight a sample, (B,).

    Raises:
        ValueError: `gamma` is not positive, the prediction type is none of these, or epsilon is predicted at a ratio of
            0 (the end of a zero-terminal-SNR schedule), where it says nothing about x_0: use v_prediction there.

    Example:
        >>> import torch
        >>> min_snr_weight(torch.tensor([1.0, 20.0]), 5.0, "epsilon")
        tensor([1.0000, 0.2500])
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
    prediction: Tensor,
    target: Tensor,
    ratio: Tensor,
    prediction_type: str,
    snr_gamma: float | None,
    row_weights: Tensor | None = None,
) -> Tensor:
    """Mean squared error of each sample, weighted by min-SNR and, where given, row by row.

    Args:
        prediction: The network's answer, (B, ...); with `row_weights` (B, channels, rows, cols).
        target: What `target` says, like `prediction`.
        ratio: The signal-to-noise ratio of each sample, (B,).
        prediction_type: epsilon, v_prediction or sample.
        snr_gamma: Of `min_snr_weight`; None weighs all timesteps alike.
        row_weights: How much the error of each row counts, (B, rows), each in 0…1; None: all fully. A sample with
            unsure rows counts less as a whole.

    Returns:
        (B,), float32.

    Example:
        >>> import torch
        >>> diffusion_loss(torch.zeros(2, 3), torch.ones(2, 3), torch.ones(2), "epsilon", None)
        tensor([1., 1.])
    """
    square = (prediction.float() - target.float()).square()
    error = square.flatten(1).mean(1) if row_weights is None else (square.mean((1, 3)) * row_weights).mean(1)
    return error if snr_gamma is None else error * min_snr_weight(ratio, snr_gamma, prediction_type)


def _per_sample(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *[1] * (like.ndim - 1)).to(like.dtype)
