"""Gradient checkpointing of AudioLDM 2's U-Net, also where the T5 stream has a mask."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AudioLDM2UNet2DConditionModel
from diffusers.models.transformers import Transformer2DModel
from torch.utils.checkpoint import checkpoint


def enable_gradient_checkpointing(unet: AudioLDM2UNet2DConditionModel) -> None:
    """Recompute activations in the backward pass instead of keeping them.

    The U-Net's blocks hand their seven arguments to `Transformer2DModel` by position, as if it lacked
    `added_cond_kwargs`, so that a mask lands in the wrong place and raises; here they go by name.
    """
    unet.enable_gradient_checkpointing(_recompute)


def _recompute(module: torch.nn.Module, *args: Any) -> Any:
    if isinstance(module, Transformer2DModel) and len(args) == 7:
        sample, hidden, timestep, labels, attention_kwargs, mask, hidden_mask = args

        def forward(sample: torch.Tensor) -> Any:
            return module(
                sample,
                encoder_hidden_states=hidden,
                timestep=timestep,
                class_labels=labels,
                cross_attention_kwargs=attention_kwargs,
                attention_mask=mask,
                encoder_attention_mask=hidden_mask,
                return_dict=False,
            )

        return checkpoint(forward, sample, use_reentrant=False)
    return checkpoint(module, *args, use_reentrant=False)
