"""A folder as cvssp/audioldm2 lies on the Hub, true sizes, random weights.

It loads, trains a step, generates a step.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from memory import give_back

from musetune import LeadSheet, MuseTunePipeline, MusicAdapter
from musetune.adapter.lora import ATTENTION
from musetune.conditioning import tokenize

CONFIGS = Path(__file__).parents[1] / "data" / "audioldm2"
SMALL = 64  # width of the text encoders whose size does not matter here


def config(name: str) -> dict:
    return json.loads((CONFIGS / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Hub's layout: GPT2Model in the index; U-Net, autoencoder and vocoder at their true sizes, GPT-2 less deep."""
    from diffusers import AudioLDM2UNet2DConditionModel, AutoencoderKL, DDIMScheduler
    from diffusers.pipelines.audioldm2 import AudioLDM2ProjectionModel
    from transformers import GPT2Config, GPT2Model, SpeechT5HifiGan, SpeechT5HifiGanConfig, T5Config, T5EncoderModel

    from musetune.models.nano import build_nano

    out = tmp_path_factory.mktemp("audioldm2")
    torch.manual_seed(0)
    tiny = build_nano("tiny")
    t5 = T5Config(vocab_size=400, d_model=1024, d_kv=16, d_ff=SMALL, num_layers=1, num_heads=4)
    parts = {
        "unet": lambda: AudioLDM2UNet2DConditionModel.from_config(config("unet")),
        "vae": lambda: AutoencoderKL.from_config(config("vae")),
        "vocoder": lambda: SpeechT5HifiGan(SpeechT5HifiGanConfig(**config("vocoder"))),
        "language_model": lambda: GPT2Model(GPT2Config(**config("language_model") | {"n_layer": 2})),
        "text_encoder": lambda: tiny.text_encoder,
        "text_encoder_2": lambda: T5EncoderModel(t5),
        "projection_model": lambda: AudioLDM2ProjectionModel(tiny.text_encoder.config.projection_dim, 1024, 768),
        "scheduler": lambda: DDIMScheduler(
            beta_schedule="scaled_linear", beta_start=0.0015, beta_end=0.0195, clip_sample=False
        ),
        "tokenizer": lambda: tiny.tokenizer,
        "tokenizer_2": lambda: tiny.tokenizer_2,
        "feature_extractor": lambda: tiny.feature_extractor,
    }
    for name, build in parts.items():  # one after the other: together they take 2 GB
        build().save_pretrained(out / name)
    give_back()
    (out / "model_index.json").write_text((CONFIGS / "model_index.json").read_text())
    return out


@pytest.mark.slow
@pytest.mark.real_size
def test_the_real_thing_loads_trains_and_plays(folder: Path) -> None:
    pipe = MuseTunePipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    unet = pipe.unet.requires_grad_(False)
    assert sum(p.numel() for p in unet.parameters()) == pytest.approx(346.9e6, rel=0.01)
    assert pipe.row_s == pytest.approx(0.04)
    plain = pipe(
        "warm pop", num_inference_steps=1, audio_length_in_s=0.64, generator=torch.Generator().manual_seed(0)
    ).audios
    assert plain.shape == (1, 10240)

    adapter = MusicAdapter.for_unet(unet, frames_per_row=2)
    pipe.load_adapter(adapter)
    adapter.add_lora(8, ATTENTION)
    trained = adapter.trainable_parameters()
    assert sum(p.numel() for p in trained) <= 20e6
    sheet = LeadSheet.parse("I V", bpm=120, duration_seconds=0.64)
    music = adapter.prepare(tokenize(sheet, frame_s=0.02, n_frames=32), 16, 16, pipe.row_s)
    sample, hidden = adapter.inputs(torch.randn(1, 8, 16, 16), torch.randn(1, 8, 768), music)
    out = unet(sample, 500, encoder_hidden_states=hidden, encoder_hidden_states_1=torch.randn(1, 4, 1024)).sample
    out.square().mean().backward()
    assert sum(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in trained) > 10
    torch.optim.AdamW(trained, 1e-3).step()

    made = pipe("warm pop", lead_sheet=sheet, num_inference_steps=1, generator=torch.Generator().manual_seed(0))
    assert made.audios.shape == (1, 10240)
    again = pipe(
        "warm pop", num_inference_steps=1, audio_length_in_s=0.64, generator=torch.Generator().manual_seed(0)
    ).audios
    assert (again == plain).all()
