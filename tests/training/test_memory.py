"""Gradient checkpointing changes memory, never numbers, mask or no mask."""

from __future__ import annotations

import pytest
import torch
from diffusers import AudioLDM2UNet2DConditionModel

from musetune.training.memory import enable_gradient_checkpointing


@pytest.mark.parametrize("masked", [True, False])
def test_same_output_and_gradients(masked: bool) -> None:
    torch.manual_seed(0)
    unet = AudioLDM2UNet2DConditionModel(
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=((None, 12, 6),) * 2,
        attention_head_dim=2,
        transformer_layers_per_block=1,
    ).train()
    sample, t = torch.randn(2, 4, 8, 4), torch.tensor([1, 500])
    generated, states = torch.randn(2, 3, 12), torch.randn(2, 5, 6)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]) if masked else None

    def run() -> tuple[torch.Tensor, list[torch.Tensor]]:
        unet.zero_grad()
        out = unet(
            sample, t, encoder_hidden_states=generated, encoder_hidden_states_1=states, encoder_attention_mask_1=mask
        ).sample
        out.square().sum().backward()
        return out.detach(), [p.grad.clone() for p in unet.parameters() if p.grad is not None]

    plain_out, plain_grads = run()
    enable_gradient_checkpointing(unet)
    out, grads = run()
    torch.testing.assert_close(out, plain_out)
    assert len(grads) == len(plain_grads) > 50
    for a, b in zip(grads, plain_grads, strict=True):
        torch.testing.assert_close(a, b)
