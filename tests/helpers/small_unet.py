"""A small U-Net, an adapter on it that does something, tokens, and one forward."""

from __future__ import annotations

import torch
from diffusers import AudioLDM2UNet2DConditionModel

from musetune.adapter import MusicAdapter
from musetune.conditioning import MusicTokens, tokenize
from musetune.symbols import LeadSheet

GPT2, T5, ROW_S = 32, 24, 0.128
SHEETS = [
    LeadSheet.parse("I V vi IV", bpm=120, duration_seconds=5.12),
    LeadSheet.parse("ii7 V7", key="Eb", bpm=95, duration_seconds=5.12),
]


def make_unet(seed: int = 0, depth: int = 1, widths: tuple[int, ...] = (16, 32, 32)) -> AudioLDM2UNet2DConditionModel:
    torch.manual_seed(seed)
    unet = AudioLDM2UNet2DConditionModel(
        sample_size=40,
        in_channels=4,
        out_channels=4,
        block_out_channels=widths,
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=[[None, GPT2, T5]] * 3,
        attention_head_dim=4,
        transformer_layers_per_block=depth,
    )
    return unet.requires_grad_(False).eval()


def make_adapter(
    unet: AudioLDM2UNet2DConditionModel, *, rank: int = 0, seed: int | None = 1, **parts: object
) -> MusicAdapter:
    """Attached; with a seed every weight is random, so that it does something.

    ``parts``: what takes part, by default all.
    """
    chosen = {"map_modulation": True} | parts
    adapter = MusicAdapter.for_unet(unet, dim=32, hidden=16, map_channels=8, **chosen).attach(unet).eval()
    if rank:
        adapter.add_lora(rank)
    if seed is not None:
        torch.manual_seed(seed)
        with torch.no_grad():
            for p in adapter.trainable_parameters():
                p.normal_(std=0.1)
    return adapter


def tokens(rows: int = 40, sheets: list[LeadSheet] = SHEETS) -> MusicTokens:
    return MusicTokens.stack([tokenize(s, frame_s=ROW_S / 4, n_frames=4 * rows) for s in sheets])


def noise(batch: int = 2, rows: int = 40, seed: int = 0) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {
        "sample": torch.randn(batch, 4, rows, 16, generator=g),
        "timestep": torch.full((batch,), 300),
        "text": torch.randn(batch, 8, GPT2, generator=g),
        "words": torch.randn(batch, 5, T5, generator=g),
    }


def run(
    unet, x: dict[str, torch.Tensor], adapter: MusicAdapter | None = None, music: MusicTokens | None = None
) -> torch.Tensor:
    sample, hidden = x["sample"], x["text"]
    if adapter is not None:
        prepared = adapter.prepare(music, sample.shape[2], sample.shape[3], ROW_S)
        sample, hidden = adapter.inputs(sample, hidden, prepared)
    return unet(sample, x["timestep"], encoder_hidden_states=hidden, encoder_hidden_states_1=x["words"]).sample
