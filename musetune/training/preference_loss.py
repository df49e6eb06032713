"""Losses that learn from what is preferred. recipes/align/tune.py takes one of them; formulas and sources stand here.

Notation: e = mean |prediction − target|² of a sample, both as the base predicts (noise, v or x_0), at one timestep and
one noise; ref: the same by the frozen copy of the adapter; w the better take, l the worse one, both at the same
timestep and noise.

    supervised  e_w                                                        the best of K, as in any fine-tuning
    dpo         −log σ(−β/2 · [(e_w − e_w,ref) − (e_l − e_l,ref)])         Diffusion-DPO, arXiv 2311.12908, eq. 14
    crpo        dpo + λ · e_w                                              TangoFlux's CRPO, arXiv 2412.21037, eq. 6
    nft         r · |v⁺ − target|² + (1 − r) · |v⁻ − target|²,             DiffusionNFT, arXiv 2509.16117, eq. 5
                v⁺ = (1 − β) v_ref + β v,  v⁻ = (1 + β) v_ref − β v
    refl        R(x̂_0) + α · |v − v_ref|²,                                 ReFL, arXiv 2304.05977, algorithm 1
                x̂_0 from v_∅ + g (v − v_∅), the guided guess

R is a loss that gradients go through: here how ill strokes are heard where they were asked for; v_∅ is the reference's,
without words and music
(`musetune.training.stroke_network`). Without λ · e_w a DPO may widen the gap by making both takes less likely, the
worse one faster.
"""

from __future__ import annotations

import torch
from torch import Tensor

METHODS = ("supervised", "dpo", "crpo", "nft", "refl")


def sample_errors(prediction: Tensor, target: Tensor) -> Tensor:
    """e: mean squared error of each sample, (B, …) and (B, …) → (B,) float32.

    Example:
        >>> sample_errors(torch.zeros(2, 3), torch.ones(2, 3)).tolist()
        [1.0, 1.0]
    """
    return (prediction.float() - target.float()).square().flatten(1).mean(1)


def preference_margin(error: Tensor, reference_error: Tensor) -> Tensor:
    """By how much the policy prefers the better take more than its reference does: (e_l − e_l,ref) − (e_w − e_w,ref).

    Args:
        error: e of the policy, (2 B,): B better takes, then the B worse ones.
        reference_error: e of the reference, alike.

    Returns:
        (B,); 0 where the policy is the reference.

    Raises:
        ValueError: The count is odd.

    Example:
        >>> preference_margin(torch.tensor([0.5, 1.5]), torch.tensor([1.0, 1.0])).tolist()
        [1.0]
    """
    if len(error) % 2:
        raise ValueError(f"{len(error)} errors are no pairs: give those of the better takes, then those of the worse")
    winner, loser = (error - reference_error).chunk(2)
    return loser - winner


def dpo_loss(error: Tensor, reference_error: Tensor, beta: float) -> Tensor:
    """Diffusion-DPO, −log σ(β/2 · margin), of each pair (Wallace et al., arXiv 2311.12908, equation 14).

    Args:
        error: e of the policy, (2 B,): B better takes, then the B worse ones.
        reference_error: e of the reference, alike.
        beta: How far the policy may go from the reference: the less, the farther. Holds the paper's β T; over 0.

    Returns:
        (B,); log 2 where the policy is the reference.

    Example:
        >>> round(dpo_loss(torch.ones(2), torch.ones(2), 2000.0).item(), 4)
        0.6931
    """
    if beta <= 0:
        raise ValueError(f"beta={beta} must be over 0; 2000 is usual")
    return -torch.nn.functional.logsigmoid(beta / 2 * preference_margin(error, reference_error))


def crpo_loss(error: Tensor, reference_error: Tensor, beta: float, winner_weight: float) -> Tensor:
    """Diffusion-DPO and the better take's own loss, of each pair (TangoFlux, arXiv 2412.21037, equation 6).

    Args:
        error: e of the policy, (2 B,): B better takes, then the B worse ones.
        reference_error: e of the reference, alike.
        beta: Of `dpo_loss`.
        winner_weight: λ of e_w, at least 0.

    Returns:
        (B,).

    Example:
        >>> round(crpo_loss(torch.ones(2), torch.ones(2), 2000.0, 1.0).item(), 4)
        1.6931
    """
    if winner_weight < 0:
        raise ValueError(f"winner_weight={winner_weight} must be at least 0; 1 is usual")
    return dpo_loss(error, reference_error, beta) + winner_weight * error.chunk(2)[0]


def nft_loss(prediction: Tensor, reference: Tensor, target: Tensor, optimality: Tensor, beta: float) -> Tensor:
    """DiffusionNFT on single takes: towards the good ones, away from the bad ones (arXiv 2509.16117, equation 5).

    Args:
        prediction: The policy's, (B, …).
        reference: The old policy's, which drew the takes, alike.
        target: Alike.
        optimality: r of each take, (B,), 0…1; 0.5 at the reference moves nothing.
        beta: How far v⁺ and v⁻ lie from the reference, over 0; 1 is usual.

    Returns:
        (B,).

    Example:
        >>> x = torch.zeros(1, 2)
        >>> nft_loss(x, x, torch.ones(1, 2), torch.tensor([0.5]), 1.0).item()
        1.0
    """
    if beta <= 0:
        raise ValueError(f"nft_beta={beta} must be over 0; 1 is usual")
    step = beta * (prediction.float() - reference.float())
    towards, away = (sample_errors(reference.float() + sign * step, target) for sign in (1, -1))
    return optimality * towards + (1 - optimality) * away


def refl_loss(reward_loss: Tensor, prediction: Tensor, reference: Tensor, anchor: float) -> Tensor:
    """Reward feedback on the guess of a clean take, near to the reference (Xu et al., arXiv 2304.05977, algorithm 1).

    There the model's own loss on data keeps it where it was; here its distance to the reference does, which needs no
    data beside the takes.

    Args:
        reward_loss: What the reward says of each guess, (B,), the lower the better.
        prediction: The policy's, (B, …).
        reference: Of the adapter as it was, alike.
        anchor: α, at least 0: how close to the reference.

    Returns:
        (B,).

    Example:
        >>> refl_loss(torch.tensor([0.5]), torch.ones(1, 2), torch.zeros(1, 2), 2.0).item()
        2.5
    """
    if anchor < 0:
        raise ValueError(f"refl_anchor={anchor} must be at least 0; 12 is usual")
    return reward_loss + anchor * sample_errors(prediction, reference)
