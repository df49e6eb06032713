"""The tiny decoder at AudioLDM 2's true shapes: as long as the base's own way out, with much less arithmetic."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from torch.utils.flop_counter import FlopCounterMode
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

from musetune.models.tiny_decoder import TinyDecoder

CONFIGS = Path(__file__).parents[1] / "data" / "audioldm2"


def flops(call) -> int:  # type: ignore[no-untyped-def]
    counter = FlopCounterMode(display=False)
    with counter:
        call()
    return counter.get_total_flops()


@torch.no_grad()
def test_at_true_size_it_is_a_small_part_of_the_pairs_arithmetic() -> None:
    config = {name: json.loads((CONFIGS / f"{name}.json").read_text()) for name in ("vae", "vocoder")}
    with torch.device("meta"):
        vae = AutoencoderKL.from_config(config["vae"])
        vocoder = SpeechT5HifiGan(SpeechT5HifiGanConfig(**config["vocoder"]))
        latents = torch.empty(1, 8, 256, 16)
        mel = vae.decode(latents).sample
        waves = vocoder(mel.squeeze(1))
        pair = flops(lambda: vocoder(vae.decode(latents).sample.squeeze(1)))
    tiny = TinyDecoder(scaling_factor=config["vae"]["scaling_factor"]).eval()
    short = torch.randn(1, 8, 32, 16)
    assert 8 * flops(lambda: tiny(short)) < pair / 20
    found = tiny(short)
    assert torch.isfinite(found).all()
    assert abs(8 * found.shape[1] - waves.shape[1]) < 8 * tiny.samples_per_row
    assert sum(p.numel() for p in tiny.parameters()) < 0.2 * sum(
        p.numel() for part in (vae.decoder, vocoder) for p in part.parameters()
    )


@torch.no_grad()
def test_shapes_lengths_and_folder(tmp_path: Path) -> None:
    tiny = TinyDecoder(
        dim=16, hidden=32, layers=1, latent_channels=4, cols=8, frames_per_row=2, hop=64, n_fft=256
    ).eval()
    z = torch.randn(2, 4, 10, 8)
    assert tiny(z).shape == (2, 10 * 2 * 64)
    tiny.save_pretrained(tmp_path)
    assert torch.equal(TinyDecoder.from_pretrained(tmp_path)(z), tiny(z))
    with pytest.raises(ValueError, match="n_fft=300 is no multiple of hop=64"):
        TinyDecoder(hop=64, n_fft=300)
