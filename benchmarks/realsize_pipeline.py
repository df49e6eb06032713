"""A whole AudioLDM 2 with random weights, so that calls and sizes of the real one are measured without downloading it.

U-Net, autoencoder, vocoder and GPT-2 by the configs in tests/data/audioldm2; CLAP and T5 as its folder names them
(laion/clap-htsat-unfused, google/flan-t5-large); the recipe's adapter with its LoRA. Words are told apart by nano's
tokenizers: the numbers mean nothing here, only how many there are counts.
"""

from __future__ import annotations

import torch
from diffusers import AudioLDM2ProjectionModel, AutoencoderKL, DDIMScheduler
from realsize import SHAPES, adapter_of, base_of, config_of, recipe_of, unet_of
from transformers import (
    ClapConfig,
    ClapModel,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    SpeechT5HifiGan,
    SpeechT5HifiGanConfig,
    T5Config,
    T5EncoderModel,
)

from musetune.adapter import lora
from musetune.models.tiny_decoder import TinyDecoder
from musetune.pipeline.pipeline import MuseTunePipeline

FLAN_T5_LARGE = {
    "d_model": 1024,
    "d_kv": 64,
    "d_ff": 2816,
    "num_layers": 24,
    "num_heads": 16,
    "feed_forward_proj": "gated-gelu",
    "vocab_size": 32128,
}


def text_encoder() -> PreTrainedModel:
    """CLAP: transformers' default configuration is that of laion/clap-htsat-unfused."""
    return ClapModel(ClapConfig()).eval()


def text_encoder_2() -> PreTrainedModel:
    """The encoder of T5."""
    return T5EncoderModel(T5Config(**FLAN_T5_LARGE)).eval()


def language_model() -> PreTrainedModel:
    """GPT-2."""
    return GPT2LMHeadModel(GPT2Config(**config_of(SHAPES, "language_model"))).eval()


def sound_pair() -> tuple[AutoencoderKL, SpeechT5HifiGan]:
    """Autoencoder and vocoder."""
    torch.manual_seed(0)
    vae = AutoencoderKL.from_config(config_of(SHAPES, "vae"))
    return vae.eval(), SpeechT5HifiGan(SpeechT5HifiGanConfig(**config_of(SHAPES, "vocoder"))).eval()


def tiny_decoder() -> TinyDecoder:
    """What recipes/base/distill_decoder.py distils for it by default; random weights."""
    torch.manual_seed(0)
    return TinyDecoder(scaling_factor=config_of(SHAPES, "vae")["scaling_factor"]).eval()


def audioldm2() -> MuseTunePipeline:
    """The pipeline, with adapter and LoRA."""
    base, recipe = base_of("audioldm2"), recipe_of("audioldm2")
    nano = MuseTunePipeline.from_pretrained("nano")
    unet = unet_of(base)
    adapter = adapter_of(unet, base, recipe, recipe.rank)
    for parameter in lora.parameters(unet, "music"):
        torch.nn.init.normal_(parameter, std=0.02)
    vae, vocoder = sound_pair()
    gpt2, t5 = base.unet["cross_attention_dim"][0][1:]
    return MuseTunePipeline(
        vae=vae,
        text_encoder=text_encoder(),
        text_encoder_2=text_encoder_2(),
        projection_model=AudioLDM2ProjectionModel(ClapConfig().projection_dim, t5, gpt2).eval(),
        language_model=language_model(),
        tokenizer=nano.tokenizer,
        tokenizer_2=nano.tokenizer_2,
        feature_extractor=nano.feature_extractor,
        unet=unet,
        scheduler=DDIMScheduler(
            beta_start=0.0015, beta_end=0.0195, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False
        ),
        vocoder=vocoder,
        adapter=adapter,
    )
