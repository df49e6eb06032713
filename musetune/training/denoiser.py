"""U-Net and adapter as one module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from diffusers import AudioLDM2UNet2DConditionModel

    from musetune.adapter import MusicAdapter
    from musetune.conditioning import MusicTokens
    from musetune.datasets.latent_dataset import TextEmbedding


class Denoiser(nn.Module):
    """U-Net and adapter as one module, so that one forward covers all that trains (DDP needs that)."""

    def __init__(self, unet: AudioLDM2UNet2DConditionModel, adapter: MusicAdapter, row_s: float) -> None:
        super().__init__()
        self.unet, self.adapter, self.row_s = unet, adapter, row_s

    def forward(self, noisy: Tensor, timesteps: Tensor, tokens: MusicTokens, text: TextEmbedding) -> Tensor:
        """noisy (B, channels, rows, cols), timesteps (B,) → prediction like noisy."""
        music = self.adapter.prepare(tokens, noisy.shape[2], noisy.shape[3], self.row_s)
        sample, hidden = self.adapter.inputs(noisy, text.generated_prompt_embeds, music)
        predicted: Tensor = self.unet(
            sample,
            timesteps,
            encoder_hidden_states=hidden,
            encoder_hidden_states_1=text.prompt_embeds,
            encoder_attention_mask_1=text.attention_mask,
            return_dict=False,
        )[0]
        return predicted
